"""Create drivers d1 … dN, for a test or a simulation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dispatch.management.arguments import add_area, area_of, refusals
from drivers.fleet import create_drivers
from drivers.models import Vehicle


class Command(BaseCommand):
    help = (
        "Create drivers with the user names PREFIX1 … PREFIXN. Those who exist are kept as they are; their password is "
        "set to this one. With --near each also gets a position there; nobody is put on duty."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, required=True, metavar="N", help="how many")
        parser.add_argument("--prefix", required=True, metavar="d", help="what their user names start with")
        parser.add_argument("--password", required=True, metavar="P", help="the one password of all of them")
        parser.add_argument("--capacity", type=int, default=1, metavar="C", help="orders at once (default 1)")
        parser.add_argument("--vehicle", choices=Vehicle.values, default=Vehicle.CAR, help="default %(default)s")
        add_area(parser, default=None, spread_km=3.0)

    def handle(self, **options: Any) -> None:
        area = area_of(options)
        with refusals():
            fleet = create_drivers(
                prefix=options["prefix"],
                count=options["count"],
                password=options["password"],
                vehicle=Vehicle(options["vehicle"]),
                capacity=options["capacity"],
                area=area,
            )
        prefix, count = options["prefix"], options["count"]
        text = f"{prefix}1 … {prefix}{count}: {fleet.created} created, {fleet.kept} kept with a new password"
        if area is not None:
            text += f", all within {area.radius_km:g} km of {area.lat},{area.lng}"
        self.stdout.write(f"{text}.")
