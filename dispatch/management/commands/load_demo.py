"""The demo city's people, and how to sign in as them."""

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dispatch.management.arguments import refusals
from dispatch.services.demo import DemoCity, load_demo


class Command(BaseCommand):
    help = (
        "Make the demo city in this database: an administrator, a supervisor, a dispatcher, a driver, 40 more drivers who "
        "are moved by the command demo, and an integrator with an API key. Passwords are made once; with --secrets FILE "
        "they are kept there (only its owner may read it), so that the next call shows them again. Asks for --yes, or "
        "BATON_DEMO=1, because nobody wants these accounts by accident."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="this installation is a demo")
        parser.add_argument("--secrets", type=Path, metavar="FILE", help="where the passwords are kept")
        parser.add_argument(
            "--url",
            default=f"http://localhost:{os.environ.get('BATON_PORT', '8000')}",
            help="the address to show (default %(default)s)",
        )

    def handle(self, **options: Any) -> None:
        if not options["yes"] and os.environ.get("BATON_DEMO") != "1":
            raise CommandError(
                "This makes accounts, an administrator among them, whose passwords are shown. If this installation is a "
                "demo, say --yes or set BATON_DEMO=1."
            )
        path: Path | None = options["secrets"]
        known = read_secrets(path) if path is not None else {}
        with refusals():
            city = load_demo(known=known, renew=path is not None)
        if path is not None and city.secrets != known:
            write_secrets(path, city.secrets)
        for line in table(city, options["url"].rstrip("/")):
            self.stdout.write(line)


UNKNOWN = "(not known here)"


def table(city: DemoCity, url: str) -> list[str]:
    # The dispatcher first: that is where most people want to look.
    ranks = {"Dispatcher": 0, "Supervisor": 1, "Administrator": 2, "Driver": 3}
    lines = ["", f"  {'':<15}{'user name':<12}{'password':<18}"]
    for sign_in in sorted(city.sign_ins, key=lambda sign_in: ranks[sign_in.role]):
        address = f"{url}/driver/" if sign_in.role == "Driver" else f"{url}/admin/"
        password = sign_in.password or UNKNOWN
        lines.append(f"  {sign_in.role:<15}{sign_in.username:<12}{password:<18}{address}")
    lines += ["", f"  {'API key':<15}{city.api_key or UNKNOWN}", f"  {'':<15}{url}/api/docs/"]
    return lines


def read_secrets(path: Path) -> dict[str, str]:
    """Raises CommandError for a file that is not ours."""
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}. Delete it to have new passwords.") from error
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise CommandError(f"{path} is not a file of demo secrets. Delete it, or name another.")
    return kept


def write_secrets(path: Path, secrets: dict[str, str]) -> None:
    """Whole or not at all, and never readable by anybody else, not even for a moment."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(secrets, file, indent=2)
            file.write("\n")
        fresh.replace(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error
