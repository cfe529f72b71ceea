"""The demo city: a small fleet and its customers, for ever."""

import asyncio
import random
import signal
import time
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from dispatch.management.arguments import above_zero, add_url
from dispatch.services.accounts import stage
from dispatch.simulation.demo import AccountsGone, Demo
from dispatch.simulation.run import Accounts, allow_files

PREFIX = "demo"
INTEGRATOR = "Demo city"


class Command(BaseCommand):
    help = (
        "Keep a small fleet and its customers going against the local server, until SIGTERM or Ctrl-C. Waits for the server "
        "and the database, and goes on after the restart of anything. bin/up runs it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--drivers", type=int, default=40, metavar="N", help="how many (default %(default)s)")
        parser.add_argument(
            "--orders-per-minute", type=above_zero, default=6.0, metavar="R", help="default %(default)s"
        )
        add_url(parser)

    def handle(self, **options: Any) -> None:
        self._ended = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        allow_files(options["drivers"] + 100)
        pause = 1.0
        while not self._ended:
            try:
                with stage(prefix=PREFIX, count=options["drivers"], integrator=INTEGRATOR) as prepared:
                    # The rest is done through the doors.
                    connection.close()
                    accounts = Accounts(prepared.usernames, prepared.password, prepared.api_key)
                    self._run(accounts, options)
                pause = 1.0
            except AccountsGone as gone:
                self._say(f"The accounts are no longer good ({gone}); preparing them again.")
            except (DatabaseError, InterfaceError) as error:
                self._say(f"The database is away: {' '.join(str(error).split())[:200]}")
            if not self._ended:
                time.sleep(random.uniform(pause / 2, pause))
                pause = min(pause * 2, 15.0)
        self._say("The demo ends.")

    def _run(self, accounts: Accounts, options: dict[str, Any]) -> None:
        async def lived() -> None:
            demo = Demo(
                accounts=accounts,
                url=options["url"],
                orders_per_minute=options["orders_per_minute"],
                say=self._say,
            )

            def end() -> None:
                self._end()
                demo.stop.set()

            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, end)
            await demo.run()

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(lived())
        finally:
            signal.signal(signal.SIGTERM, self._end)
            signal.signal(signal.SIGINT, self._end)

    def _end(self, *_: object) -> None:
        self._ended = True

    def _say(self, text: str) -> None:
        self.stdout.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}")
        self.stdout.flush()
