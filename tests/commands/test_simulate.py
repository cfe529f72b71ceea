import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from drivers.models import DeviceToken, Driver, Presence
from orders.models import ApiKey, Order
from tests.cluster import rig as cluster
from tests.dispatch.live.rig import Server, free_port
from tests.waiting import wait_until

PREFIX = "simulated"


@pytest.fixture
def url(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    """A whole Baton: a server and a worker that sweeps."""
    server = Server(tmp_path, prefix=PREFIX)
    with cluster.worker(tmp_path / "worker.log", BATON_REDIS_PREFIX=PREFIX):
        server.start()
        try:
            wait_until(cluster.active, seconds=30, what="somebody sweeps")
            yield f"http://127.0.0.1:{server.port}"
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
def test_a_fleet_delivers_what_is_ordered_through_the_public_doors(url: str) -> None:
    summary = simulate(
        *("--drivers", "6", "--orders-per-minute", "60", "--seconds", "8"),
        *("--spread-km", "0.4", "--speed", "40", "--url", url),
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
def test_a_recorded_day_is_replayed(url: str, tmp_path: Path) -> None:
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

    summary = simulate("--replay", str(pings), str(trips), "--speed", "40", "--url", url)

    assert summary["orders created"] == "2"
    assert summary["at the end"] == "2 delivered"
    assert summary["sockets"] == "3 opened, 0 lost"
    assert sorted(Order.objects.values_list("reference", flat=True)) == ["1", "2"]
    assert Driver.objects.count() == 3


@pytest.mark.cluster
def test_whatever_goes_wrong_ends_with_1_and_is_said(transactional_db: None, tmp_path: Path) -> None:
    """Without a worker nothing expires and nothing is assigned by itself; without a driver nearby nobody accepts."""
    server = Server(tmp_path, prefix=PREFIX)
    server.start()
    said = StringIO()
    began = time.monotonic()
    try:
        # A server of this very database, but one that a driver's socket cannot reach: another address than that of HTTP.
        with pytest.raises(CommandError, match="There is no Baton at"):
            call_command("simulate", "--drivers", "1", "--url", f"http://127.0.0.1:{free_port()}", stdout=said)
    finally:
        server.stop()
    assert time.monotonic() - began < 60
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
        (["--drivers", "1", "--url", "ftp://x"], "'ftp://x' is not an address like http://127.0.0.1:8000"),
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
