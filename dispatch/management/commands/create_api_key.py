"""Create an API key for an integrator. The secret is the only line on standard output, so that a script can keep it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dispatch.management.arguments import refusals
from orders.models import Scope
from orders.services import create_api_key

DEFAULT_SCOPES = f"{Scope.ORDERS_READ},{Scope.ORDERS_WRITE}"


class Command(BaseCommand):
    help = (
        "Create an API key for the integrator NAME, who is created if there is none. The secret is printed once, alone on "
        "its line on standard output, and stored nowhere: KEY=$(bin/manage create_api_key 'Corner shop')."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the integrator, as screens show it")
        parser.add_argument(
            "--scopes",
            default=DEFAULT_SCOPES,
            help=f"comma separated, of {', '.join(Scope.values)} (default %(default)s)",
        )

    def handle(self, **options: Any) -> None:
        scopes = [word.strip() for word in options["scopes"].split(",") if word.strip()]
        with refusals():
            key, secret = create_api_key(name=options["name"].strip(), scopes=scopes)
        self.stderr.write(
            f"API key {key.prefix}… of {key.integrator.name} ({', '.join(key.scopes)}). This is shown only once:"
        )
        self.stderr.flush()
        self.stdout.write(secret)
