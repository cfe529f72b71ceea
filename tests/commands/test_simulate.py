import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from drivers.models import DeviceToken, Driver, Presence
from orders.models import ApiKey, Order
from tests.cluster import rig as cluster
from tests.dispatch.live.rig import ROOT, Server, free_port
from tests.waiting import wait_until

PREFIX = "simulated"


@dataclass
class Served:
    server: Server

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
def baton(transactional_db: None, tmp_path: Path) -> Iterator[Served]:
    """A whole Baton: a server and a worker that sweeps."""
    server = Server(tmp_path, prefix=PREFIX)
    with cluster.worker(tmp_path / "worker.log", BATON_REDIS_PREFIX=PREFIX):
        server.start()
        try:
            wait_until(cluster.active, seconds=30, what="somebody sweeps")
            yield Served(server)
        finally:
            server.stop()


def simulate(*arguments: str) -> dict[str, str]:
    """The summary, by what its lines begin with."""
    said = StringIO()
    try:
        call_command("simulate", *arguments, stdout=said)
    except SystemExit:
        pytest.fail(said.getvalue())
    lines = said.getvalue().splitlines()
    assert lines[-1] == "Everything is accounted for."
    return {line[:22].strip(): line[22:] for line in lines[:-1]}


@pytest.mark.cluster
def test_a_fleet_delivers_what_is_ordered_through_the_public_doors(baton: Served) -> None:
    summary = simulate(
        *("--drivers", "6", "--orders-per-minute", "60", "--seconds", "8"),
        *("--spread-km", "0.4", "--speed", "40", "--url", baton.address),
    )

    assert list(summary) == [
        "orders created",
        "offered",
        "accepted",
        "auto-assigned",
        "delivered",
        "expired",
        "at the end",
        "receipts",
        "time to assignment",
        "push latency",
        "HTTP answers",
        "heartbeats",
        "sockets",
        "ran for",
        "errors",
        "audit",
    ]
    assert summary["orders created"] == "8"
    assert int(summary["delivered"]) + int(summary["expired"]) == 8
    assert int(summary["delivered"]) >= 4
    assert int(summary["accepted"]) + int(summary["auto-assigned"]) >= int(summary["delivered"])
    assert summary["sockets"] == "6 opened, 0 lost"
    assert summary["errors"] == "none"
    assert summary["audit"].startswith("clean: ")
    assert Order.objects.count() == 8
    # Everybody went home, and the key is good no more.
    assert not Presence.objects.filter(is_online=True).exists()
    assert not DeviceToken.objects.exists()
    assert not ApiKey.objects.filter(revoked_at=None).exists()


@pytest.mark.cluster
def test_a_recorded_day_is_replayed(baton: Served, tmp_path: Path) -> None:
    pings, trips = tmp_path / "pings.csv", tmp_path / "trips.csv"
    near, far = (37.7955, -122.3937), (37.7880, -122.4075)
    rows = [
        f"{second},{cab},{near[0] + cab / 1000},{near[1]},{occupied}"
        for cab in (4, 5, 11)
        for second, occupied in ((960, int(cab == 11)), (1020, 0), (1100, 0), (1900, 0))
    ]
    pings.write_text("t_s,cab,lat,lon,occupied\n" + "\n".join(rows))
    trips.write_text(
        "request_s,dropoff_s,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\n"
        f"1000,1100,{near[0]},{near[1]},{far[0]},{far[1]}\n"
        f"1010,1090,{near[0]},{near[1]},{far[0]},{far[1]}\n"
    )

    summary = simulate("--replay", str(pings), str(trips), "--speed", "40", "--url", baton.address)

    assert summary["orders created"] == "2"
    assert summary["at the end"] == "2 delivered"
    assert summary["sockets"] == "3 opened, 0 lost"
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["1", "2"]
    assert Driver.objects.count() == 3


@pytest.mark.cluster
def test_a_server_that_was_killed_costs_sockets_but_no_order(baton: Served, tmp_path: Path) -> None:
    output = tmp_path / "simulate.log"
    with output.open("wb") as log:
        simulation = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "simulate", "--drivers", "4", "--orders-per-minute", "120"),
                *("--seconds", "10", "--spread-km", "0.4", "--speed", "40", "--url", baton.address),
            ],
            cwd=ROOT,
            env=baton.server.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: Order.objects.count() >= 4, seconds=60, what="orders come")
        baton.server.stop(signal.SIGKILL)
        baton.server.start()
        status = simulation.wait(timeout=180)
    finally:
        simulation.kill()
        simulation.wait()

    said = output.read_text()
    assert status == 1, said
    assert "WRONG  lost sockets: 4 closed with" in said
    assert "not accounted for" not in said
    assert "disagree" not in said
    assert "\naudit                 clean: " in said
    assert Order.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_without_a_server_it_says_so_and_leaves_no_key_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.simulation.run.SEARCHES", 2)

    with pytest.raises(CommandError, match=r"^There is no Baton at http://127\.0\.0\.1:\d+: .*Start it with bin/up"):
        call_command("simulate", "--drivers", "1", "--url", f"http://127.0.0.1:{free_port()}")

    assert ApiKey.objects.count() == 1
    assert not ApiKey.objects.filter(revoked_at=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--drivers", "0"], "--drivers must be from 1 to 200000."),
        (["--spread-km", "0"], "--spread-km must be above 0 and at most 500."),
        (["--limit", "3"], "--limit is for --replay."),
        (["--speed", "0"], "Error: argument --speed: '0' is not a number above 0"),
        (["--orders-per-minute", "many"], "Error: argument --orders-per-minute: 'many' is not a number above 0"),
        (
            ["--replay", "{pings}", "{trips}", "--drivers", "3"],
            "--replay brings its own drivers and orders: leave out --drivers.",
        ),
        (["--replay", "{pings}", "{trips}", "--limit", "0"], "--limit must be at least 1."),
        (["--replay", "{pings}", "{trips}"], "{pings}, line 2: lat, lon is not on the map: 99, 2"),
        (["--prefix", "a b", "--url", "http://127.0.0.1:1"], "--prefix: May hold letters, digits and @ . + - _ only."),
        (
            ["--drivers", "1", "--url", "ftp://x"],
            "Error: argument --url: 'ftp://x' is not an address like http://127.0.0.1:8000",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_begins(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    files = {"pings": tmp_path / "pings.csv", "trips": tmp_path / "trips.csv"}
    files["pings"].write_text("t_s,cab,lat,lon,occupied\n1,1,99,2,0\n")
    files["trips"].write_text("")

    with pytest.raises(CommandError) as refusal:
        call_command("simulate", *(argument.format(**files) for argument in arguments))

    assert str(refusal.value) == complaint.format(**files)
    assert not Order.objects.exists()


@pytest.mark.cluster
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["killed", "stopped by hand"])
def test_a_server_that_dies_for_good_while_everybody_signs_in_ends_it(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch.simulation.run.SIGN_IN_SECONDS", 2.0)
    server = Server(tmp_path, prefix=PREFIX)
    server.start()
    address = f"http://127.0.0.1:{server.port}"

    def end() -> None:
        try:
            wait_until(lambda: DeviceToken.objects.count() >= 3, seconds=60, what="somebody is signed in")
            if how == "killed":
                server.stop(signal.SIGKILL)
            else:
                os.kill(os.getpid(), signal.SIGINT)
        finally:
            connection.close()

    ending = Thread(target=end)
    ending.start()
    began = time.monotonic()
    try:
        with pytest.raises(CommandError) as refusal:
            call_command("simulate", "--drivers", "5000", "--seconds", "5", "--url", address)
    finally:
        ending.join()
        server.stop()

    sentences = {
        "killed": f"{address} does not answer any more: POST api/v1/auth/login/.",
        "stopped by hand": "Stopped by hand before everybody was signed in.",
    }
    assert str(refusal.value) == sentences[how]
    assert time.monotonic() - began < 60
    assert DeviceToken.objects.count() < 5000
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert not Order.objects.exists()
