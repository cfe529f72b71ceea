"""What several commands read from their command line, and how a refusal is said there."""

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser

from dispatch.simulation.doors import is_address
from drivers.errors import DomainError
from drivers.fleet import Area


def place(text: str) -> tuple[float, float]:
    """`LAT,LNG` in degrees."""
    try:
        lat, lng = (float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LAT,LNG, as in 37.7793,-122.4193") from None
    if not (-85 <= lat <= 85 and -180 <= lng <= 180):
        raise argparse.ArgumentTypeError(f"{text!r} is not on the map: latitude -85 to 85, longitude -180 to 180")
    return lat, lng


def address(text: str) -> str:
    if not is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address like http://127.0.0.1:8000")
    return text


def add_url(parser: CommandParser) -> None:
    parser.add_argument(
        "--url",
        type=address,
        default=f"http://127.0.0.1:{os.environ.get('BATON_PORT', '8000')}",
        help="where Baton answers (default %(default)s)",
    )


def above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def add_area(parser: CommandParser, *, default: tuple[float, float] | None, spread_km: float) -> None:
    # argparse takes `-33.9,151.2` for an option, unless it looks like what it calls a negative number.
    parser._negative_number_matcher = re.compile(r"^-\d+(\.\d*)?(,-?\d+(\.\d*)?)?$")
    parser.add_argument(
        "--near",
        type=place,
        default=default,
        metavar="LAT,LNG",
        help="the middle of where they are" + (f" (default {default[0]},{default[1]})" if default else ""),
    )
    parser.add_argument(
        "--spread-km", type=float, default=spread_km, metavar="K", help="how far around it (default %(default)s)"
    )


def area_of(options: dict[str, object]) -> Area | None:
    near = options["near"]
    if near is None:
        return None
    assert isinstance(near, tuple)
    return Area(lat=near[0], lng=near[1], radius_km=float(str(options["spread_km"])))


@contextmanager
def refusals() -> Iterator[None]:
    """A business refusal ends the command with its sentence, naming the option; no stack trace."""
    try:
        yield
    except DomainError as error:
        fields = error.data.get("errors", {})
        sentences = [f"--{field.replace('_', '-')}: {' '.join(texts)}" for field, texts in fields.items()]
        raise CommandError("; ".join(sentences) or str(error)) from error
