"""A fleet and its customers through the real doors, then the audit."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from dispatch.audit import audit
from dispatch.management.arguments import above_zero, add_area, add_url, refusals
from dispatch.services.accounts import stage
from dispatch.simulation.geo import Circle, Place
from dispatch.simulation.plan import Plan, invented, recorded
from dispatch.simulation.progress import progress_on
from dispatch.simulation.replay import BadData, read_pings, read_trips
from dispatch.simulation.run import Accounts, CannotRun, Result, Simulation
from dispatch.simulation.summary import summarise

#: San Francisco.
CITY = (37.7793, -122.4193)


class Command(BaseCommand):
    help = (
        "Drive a fleet through the running Baton, over HTTP and WebSockets like any app, and audit what came of it. Either "
        "an invented city (--drivers, --orders-per-minute, --seconds) or a recorded day (--replay PINGS.csv TRIPS.csv): "
        "every cab a driver, every trip an order. Needs a server and a worker; ends with 1 if anything went wrong: a 5xx, "
        "a lost socket, an error, an order not accounted for, a broken promise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--drivers", type=int, metavar="N", help="how many drivers (default 100)")
        parser.add_argument("--orders-per-minute", type=above_zero, metavar="R", help="per real minute (default 60)")
        parser.add_argument("--seconds", type=above_zero, metavar="S", help="orders come for so long (default 60)")
        parser.add_argument(
            "--replay",
            nargs=2,
            type=Path,
            metavar=("PINGS.csv", "TRIPS.csv"),
            help="columns t_s, cab, lat, lon, occupied and request_s, dropoff_s, pickup_lat, pickup_lon, dropoff_lat, "
            "dropoff_lon; seconds of the day, degrees",
        )
        parser.add_argument("--limit", type=int, metavar="N", help="of a recorded day, only the first N trips")
        parser.add_argument(
            "--speed",
            type=above_zero,
            default=20.0,
            metavar="X",
            help="the simulated world runs so many times as fast as ours (default 20): driving, thinking, recorded pings "
            "and requests, and the deadlines that orders are placed with: auto-assigned after 15/X s and expired after "
            "120/X s, but not under 2 s and 6 s, as the server knows only real time. Heartbeats stay real: every 20 s, "
            "and at each recorded ping (at most one a second)",
        )
        add_area(parser, default=CITY, spread_km=3.0)
        parser.add_argument(
            "--prefix", default="sim", help="of the drivers' user names; two at a time need two (default %(default)s)"
        )
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="another number, other luck (default 1)")
        add_url(parser)

    def handle(self, **options: Any) -> None:
        plan, prefix = self._plan(options), options["prefix"]
        with refusals(), stage(prefix=prefix, count=len(plan.shifts), integrator=f"Simulation {prefix}") as accounts:
            # It will be minutes until the database is needed again.
            connection.close()
            try:
                result = self._run(
                    plan,
                    Accounts(accounts.usernames, accounts.password, accounts.api_key),
                    options["url"],
                    options["seed"],
                )
            except CannotRun as error:
                raise CommandError(str(error)) from error
        summary = summarise(result, plan)
        report = audit()
        for line in (*summary.lines, f"{'audit':<22}{report.verdict}"):
            self.stdout.write(line)
        for outcome in report.outcomes:
            for row in outcome.rows:
                self.stdout.write(f"  {outcome.check.name}: {row}")
        wrong = summary.wrong + ([] if report.clean else [f"audit: {', '.join(report.broken)}"])
        for sentence in wrong:
            self.stdout.write(self.style.ERROR(f"WRONG  {sentence}"))
        if result.was_stopped:
            self.stdout.write("Stopped by hand, so the rest was not played.")
        if wrong:
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS("Everything is accounted for."))

    def _plan(self, options: dict[str, Any]) -> Plan:
        fleet_options = ("drivers", "orders_per_minute", "seconds")
        if options["replay"]:
            if given := [name for name in fleet_options if options[name] is not None]:
                raise CommandError(
                    f"--replay brings its own drivers and orders: leave out --{given[0].replace('_', '-')}."
                )
            if options["limit"] is not None and options["limit"] < 1:
                raise CommandError("--limit must be at least 1.")
            try:
                pings, trips = read_pings(options["replay"][0]), read_trips(options["replay"][1])
                return recorded(pings=pings, trips=trips, speed=options["speed"], limit=options["limit"])
            except BadData as error:
                raise CommandError(str(error)) from error
        if options["limit"] is not None:
            raise CommandError("--limit is for --replay.")
        drivers = 100 if options["drivers"] is None else options["drivers"]
        if not 1 <= drivers <= 200_000:
            raise CommandError("--drivers must be from 1 to 200000.")
        if not 0 < options["spread_km"] <= 500:
            raise CommandError("--spread-km must be above 0 and at most 500.")
        return invented(
            circle=Circle(Place(*options["near"]), options["spread_km"]),
            drivers=drivers,
            orders_per_minute=options["orders_per_minute"] or 60.0,
            seconds=options["seconds"] or 60.0,
            speed=options["speed"],
            seed=options["seed"],
        )

    def _run(self, plan: Plan, accounts: Accounts, url: str, seed: int) -> Result:
        async def simulated() -> Result:
            simulation = Simulation(plan=plan, accounts=accounts, url=url, seed=seed, progress=progress_on())
            # Ctrl-C once: no more orders, and what there is is told. Twice: out.
            loop = asyncio.get_running_loop()

            def stop() -> None:
                simulation.stop.set()
                loop.remove_signal_handler(signal.SIGINT)

            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(signal.SIGINT, stop)
            return await simulation.run()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(simulated())
