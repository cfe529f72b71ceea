"""The main job through the public doors, every process behind PgBouncer in transaction mode with two sessions for all."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from drivers.clock import database_now
from drivers.http import rfc3339
from orders.services import create_api_key
from tests import cast
from tests.cluster import rig as cluster
from tests.config.rig import Answer, ask
from tests.dispatch.live.rig import ROOT, Client, Process
from tests.scaling.rig import Pooler, Sockets, Web, pooler
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]

SESSIONS = 2
HERE = {"lat": cast.FERRY_BUILDING[0], "lng": cast.FERRY_BUILDING[1]}


class Stack:
    def __init__(self, pooler: Pooler, web: Web, sockets: Sockets) -> None:
        self.pooler, self.web, self.sockets = pooler, web, sockets
        #: Sessions that tests before this one have left in this process.
        self.strangers = self._sessions().keys()

    def call(self, method: str, path: str, body: Any = None, *, token: str = "", by: Process | None = None) -> Answer:
        return ask(by or self.web, f"/api/v1/{path}", method=method, body=body, token=token)

    def run(self, *command: str) -> str:
        """A command of manage.py."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.web.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sessions(self) -> Counter[str]:
        """Everybody who is connected to the database, but for this test and the ones before."""
        return Counter(name for pid, name in self._sessions().items() if pid not in self.strangers)

    @staticmethod
    def _sessions() -> dict[int, str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid, CASE application_name WHEN 'baton-sweep-seat' THEN 'seats' ELSE 'pooled' END"
                " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return dict(cursor.fetchall())


@pytest.fixture
def stack(tmp_path: Path, transactional_db: None) -> Iterator[Stack]:
    with ExitStack() as running:
        before = running.enter_context(pooler(tmp_path, sessions=SESSIONS))
        made = Stack(before, Web(tmp_path, before), Sockets(tmp_path, before))
        running.enter_context(cluster.worker(tmp_path / "worker.log", **before.behind))
        for process in (made.web, made.sockets):
            running.callback(process.stop)
        with ThreadPoolExecutor(2) as starting:
            list(starting.map(Process.start, (made.web, made.sockets)))
        yield made


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    together = Barrier(len(acts), timeout=20)

    def run(act: Callable[[], Any]) -> Any:
        together.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def order_body(**changes: Any) -> dict[str, Any]:
    return {
        "pickup": {**HERE, "address": "Ferry Building"},
        "dropoff": {"lat": cast.UNION_SQUARE[0], "lng": cast.UNION_SQUARE[1], "address": "Union Square"},
        "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100"},
        **changes,
    }


def test_the_main_job_with_two_sessions_for_all_processes(stack: Stack) -> None:
    names = ("alice", "bob", "carl")
    for name in names:
        cast.driver(name, is_online=False)
    _, key = create_api_key(name="Shop", scopes=["orders:read", "orders:write"])

    # Everybody signs in and comes on duty; one says where they are over HTTP, the others over their sockets.
    tokens, clients = {}, {}
    for name in names:
        answer = stack.call("POST", "auth/login/", {"username": name, "password": cast.PASSWORD}, by=stack.sockets)
        tokens[name] = answer.document["token"]
        assert stack.call("PATCH", "driver/", {"is_online": True}, token=tokens[name]).status == 200
        headers = {"Authorization": f"Bearer {tokens[name]}"}
        clients[name] = Client(stack.sockets.url("/ws/driver/"), additional_headers=headers)
        clients[name].get("snapshot")
    assert stack.call("POST", "driver/heartbeat/", HERE, token=tokens["alice"]).status == 200
    for name in ("bob", "carl"):
        clients[name].send(type="heartbeat", id="here", **HERE)
        clients[name].get("heartbeat_ack", id="here")

    # An order is offered to all of them, and one gets it.
    placed = stack.call("POST", "orders/", order_body(), token=key)
    assert placed.status == 201
    order = placed.document["id"]
    for name in names:
        assert clients[name].get("offer")["offer"]["order"] == order
    answers = at_once(
        [lambda name=name: stack.call("POST", f"orders/{order}/accept/", {}, token=tokens[name]) for name in names]  # type: ignore[misc]
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert [answer.document["code"] for answer in answers if answer.status == 409] == ["order_taken", "order_taken"]
    winner = next(name for name, answer in zip(names, answers, strict=True) if answer.status == 200)

    # Each sees what is theirs, whoever had the session the moment before; only the holder sees the customer.
    def sync(name: str) -> tuple[str, list[str], bool]:
        content = stack.call("GET", "driver/sync/", token=tokens[name])
        assert content.status == 200
        return name, [held["id"] for held in content.document["active"]], b"Carol Customer" in content.content

    for _ in range(5):
        for name, active, sees_customer in at_once([lambda name=name: sync(name) for name in names * 2]):  # type: ignore[misc]
            assert (active, sees_customer) == (([order], True) if name == winner else ([], False))

    for act in ("pick-up", "deliver"):
        assert stack.call("POST", f"orders/{order}/{act}/", {}, token=tokens[winner]).status == 200
        assert clients[winner].get("order")["order"]["id"] == order

    # The sweeps: one order is assigned when its time has come, another, where nobody is, expires.
    wait_until(lambda: cluster.active() and cluster.standby(), seconds=90, what="one sweeps and one stands by")
    soon = rfc3339(database_now() + timedelta(seconds=1.5))
    assigned = stack.call("POST", "orders/", order_body(auto_assign_at=soon), token=key).document["id"]
    nowhere = {"lat": -36.8485, "lng": 174.7633, "address": "Auckland"}
    expired = stack.call("POST", "orders/", order_body(pickup=nowhere, auto_assign_at=soon, expires_at=soon), token=key)
    wait_until(lambda: "assigned" in cast.history(assigned), seconds=6, what="assigned by the system")
    wait_until(lambda: "expired" in cast.history(expired.document["id"]), seconds=6, what="expired")

    assert cast.history(order) == ["created", "offered", "assigned", "picked_up", "delivered"]
    feed = stack.call("GET", "events/", token=key).document["results"]
    assert [event["kind"] for event in feed if event["order"] == order] == [
        f"order.{kind}" for kind in cast.history(order)
    ]
    for client in clients.values():
        client.close()
    assert ask(stack.web, "/readyz").status == 200
    assert "Audit clean" in stack.run("audit")
    assert stack.sessions() == {"pooled": SESSIONS, "seats": 2}
