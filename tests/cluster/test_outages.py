"""The worker while PostgreSQL or Redis is away."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from config import env
from drivers.clock import database_now
from orders.models import Order
from tests import cast
from tests.cluster import rig
from tests.cluster.test_worker import BACK_WITHIN, START_WITHIN, both_seats_taken, late, sweeping_again_within
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]


@contextmanager
def closed_database() -> Iterator[None]:
    """Nobody can connect, and everybody but this test is thrown out: what a restart looks like from outside."""
    connection.ensure_connection()
    owner = env.database("DATABASE_OWNER_URL")
    name = connection.settings_dict["NAME"]
    with psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"],
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=owner["NAME"],
        autocommit=True,
    ) as session:
        session.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            throw_everybody_out()
            yield
        finally:
            session.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def throw_everybody_out() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


def test_it_starts_and_comes_back_with_the_database(tmp_path: Path) -> None:
    with rig.worker(tmp_path / "worker.log") as worker:
        with closed_database():
            wait_until(lambda: waiting_lines(worker), seconds=START_WITHIN, what="waiting")
        both_seats_taken()
        swept, said = rig.heartbeat().active_at, waiting_lines(worker)
        sweepers = worker.cluster("sweeps")
        with closed_database():
            wait_until(lambda: waiting_lines(worker) > said, seconds=10, what="noticed")
            wait_until(lambda: not rig.active(), seconds=10, what="nobody sweeps")

        sweeping_again_within(BACK_WITHIN)
        both_seats_taken()
        assert rig.heartbeat().active_at != swept
        assert {rig.active(), rig.standby()} <= sweepers, "no process had to be restarted for that"


def waiting_lines(worker: rig.Worker) -> int:
    return worker.log.read_bytes().count(b"Waiting for the database")


def test_it_waits_for_the_database_at_start_and_stops_while_waiting(tmp_path: Path) -> None:
    with closed_database(), rig.worker(tmp_path / "worker.log") as worker:
        wait_until(lambda: waiting_lines(worker), seconds=START_WITHIN, what="waiting")

        assert worker.stop() == 0
        assert worker.left_over() == set()


def test_a_redis_that_hangs_does_not_hold_up_the_sweeps(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        # It takes connections and never says a word.
        hanging = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with rig.worker(tmp_path / "worker.log", REDIS_URL=hanging):
            both_seats_taken()
            orders = []
            for n in range(6):
                soon = database_now() + timedelta(seconds=1 + n / 2)
                orders.append(cast.order(expires_at=soon, auto_assign_at=soon))

            wait_until(
                lambda: Order.objects.filter(pk__in=[o.pk for o in orders], expired=True).count() == len(orders),
                seconds=10,
                what="all have expired",
            )

    assert max(late(order, "order.expired", "expires_at") for order in orders) < 1.5
