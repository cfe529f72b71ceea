from pathlib import Path

import pytest

from dispatch.simulation.geo import Place
from dispatch.simulation.plan import LEAD, deadlines, recorded
from dispatch.simulation.replay import BadData, Ping, RecordedTrip, read_pings, read_trips
from dispatch.simulation.tracks import Pings

PINGS = "t_s,cab,lat,lon,occupied\n"
TRIPS = "request_s,dropoff_s,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon,served_by_cab\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_text(text)
    return path


def test_pings_are_kept_by_cab_in_order_of_time(tmp_path: Path) -> None:
    path = written(tmp_path, PINGS + "70,7,37.5,-122.5,1\n10,9,37.1,-122.1,0\n10,7,37.4,-122.4,0\n")

    assert read_pings(path) == {
        "7": [Ping(10, Place(37.4, -122.4), occupied=False), Ping(70, Place(37.5, -122.5), occupied=True)],
        "9": [Ping(10, Place(37.1, -122.1), occupied=False)],
    }


def test_trips_come_in_order_of_request_and_keep_the_number_of_their_row(tmp_path: Path) -> None:
    path = written(tmp_path, TRIPS + "20,30,1,2,3,4,99\n10,15,5,6,7,8,98\n")

    assert read_trips(path) == [
        RecordedTrip(2, 10, 15, Place(5, 6), Place(7, 8)),
        RecordedTrip(1, 20, 30, Place(1, 2), Place(3, 4)),
    ]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("x,7,37,-122,0", "line 3: t_s must be a number, not 'x'"),
        ("nan,7,37,-122,0", "line 3: t_s is out of range: nan"),
        ("1,,37,-122,0", "line 3: cab is empty"),
        ("1,7,97,-122,0", "line 3: lat, lon is not on the map: 97, -122"),
        ("1,7,37,-122,2", "line 3: occupied must be 0 or 1, not '2'"),
        ("1,7,37", "line 3: not as many fields as the header has"),
        ("1,7,37,-122,0,5", "line 3: not as many fields as the header has"),
    ],
)
def test_a_bad_ping_is_named_by_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    path = written(tmp_path, PINGS + "1,7,37,-122,0\n" + row + "\n")

    with pytest.raises(BadData) as refusal:
        read_pings(path)

    assert str(refusal.value) == f"{path}, {complaint}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (TRIPS + "20,20,1,2,3,4,9\n", ", line 2: dropoff_s 20 is not after request_s 20"),
        (TRIPS + "20,30,1,2,3,400,9\n", ", line 2: dropoff_lat, dropoff_lon is not on the map: 3, 400"),
        (TRIPS, ": there are no trips in it"),
        (
            "request_s,dropoff_s\n1,2\n",
            ": the header lacks pickup_lat, pickup_lon, dropoff_lat, dropoff_lon (needed: request_s, dropoff_s, ",
        ),
        ("", ": the header lacks request_s"),
    ],
)
def test_bad_trips_say_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(BadData) as refusal:
        read_trips(path)

    assert str(refusal.value).startswith(f"{path}{complaint}")


def test_a_file_that_is_not_there_or_not_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"nowhere\.csv: cannot be read: .*No such file"):
        read_pings(tmp_path / "nowhere.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match=r"binary\.csv: cannot be read"):
        read_pings(binary)


# --- What is made of them --------------------------------------------------------------------------------------------

HERE, THERE = Place(37.78, -122.42), Place(37.79, -122.41)


def ping(second: float, *, occupied: bool = False, at: Place = HERE) -> Ping:
    return Ping(second, at, occupied)


def test_every_cab_is_a_driver_and_every_trip_an_order() -> None:
    trips = [RecordedTrip(2, 1000, 1300, HERE, THERE), RecordedTrip(1, 1060, 1100, THERE, HERE)]
    plan = recorded(pings={"10": [ping(900), ping(5000)], "9": [ping(995), ping(4990)]}, trips=trips, speed=20)

    assert [shift.begins for shift in plan.shifts] == [25.0, 0.0]
    assert [shift.ends for shift in plan.shifts] == [float("inf")] * 2
    orders = list(plan.trips)
    assert [(order.moment, order.reference, order.seconds) for order in orders] == [
        (LEAD, "2", 300),
        (LEAD + 60, "1", 40),
    ]
    assert (plan.trip_count, plan.lasts, plan.behaviour.releases) == (2, LEAD + 60, 0.0)


def test_a_cab_that_starts_with_a_passenger_comes_on_duty_when_it_is_free() -> None:
    pings = {"1": [ping(990, occupied=True), ping(1050), ping(1100, occupied=True), ping(3000)], "2": [ping(9000)]}
    plan = recorded(pings=pings, trips=[RecordedTrip(1, 1000, 1300, HERE, THERE)], speed=20)

    began = 1000 - LEAD
    assert (plan.shifts[0].begins, plan.shifts[0].ends) == (1050 - began, 3000 - began)


def test_a_cab_that_is_never_free_is_left_out() -> None:
    trips = [RecordedTrip(1, 1000, 1300, HERE, THERE)]
    busy = {"1": [ping(990, occupied=True), ping(1050, occupied=True)]}

    assert len(recorded(pings={**busy, "2": [ping(1000)]}, trips=trips, speed=20).shifts) == 1
    with pytest.raises(BadData, match="no cab has a ping without a passenger"):
        recorded(pings=busy, trips=trips, speed=20)


def test_only_so_many_trips_if_asked() -> None:
    trips = [RecordedTrip(number, 1000 + number, 2000, HERE, THERE) for number in range(1, 6)]
    plan = recorded(pings={"1": [ping(900), ping(1500)]}, trips=trips, speed=20, limit=2)
    assert [trip.reference for trip in plan.trips] == ["1", "2"]


def test_deadlines_are_sped_up_but_never_shorter_than_a_server_needs() -> None:
    assert (deadlines(1).auto_assign, deadlines(1).expiry) == (15, 120)
    assert (deadlines(5).auto_assign, deadlines(5).expiry) == (3, 24)
    assert (deadlines(20).auto_assign, deadlines(20).expiry) == (2, 6)
    assert (deadlines(500).auto_assign, deadlines(500).expiry) == (2, 6)


def test_between_two_pings_a_cab_is_on_the_straight_line_between_them() -> None:
    track = Pings([0, 60, 1000], [Place(0, 0), Place(6, 12), Place(8, 8)])

    assert track.at(-5) == Place(0, 0)
    assert track.at(15) == Place(1.5, 3)
    assert track.at(60) == Place(6, 12)
    # For more than five minutes nothing was heard of it.
    assert track.at(500) == Place(6, 12)
    assert track.at(2000) == Place(8, 8)
