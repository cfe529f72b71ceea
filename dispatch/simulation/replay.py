"""Reads a recorded day: `PINGS.csv` (t_s, cab, lat, lon, occupied) and `TRIPS.csv` (request_s, dropoff_s, pickup_lat,
pickup_lon, dropoff_lat, dropoff_lon, …). Further columns are passed over; a row that makes no sense is named."""

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dispatch.simulation.geo import Place

PING_COLUMNS = ("t_s", "cab", "lat", "lon", "occupied")
TRIP_COLUMNS = ("request_s", "dropoff_s", "pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon")


class BadData(Exception):
    """A file that cannot be used; the text says which line and why."""


@dataclass(frozen=True, slots=True)
class Ping:
    second: float
    place: Place
    occupied: bool


@dataclass(frozen=True, slots=True)
class RecordedTrip:
    #: The row in the file, 1 for the first below the header.
    row: int
    request: float
    dropoff: float
    start: Place
    goal: Place


def read_pings(path: Path) -> dict[str, list[Ping]]:
    """Cab → its pings in order of time. Raises BadData."""
    cabs: dict[str, list[Ping]] = defaultdict(list)

    def keep(row: dict[str, str]) -> None:
        if not (cab := row["cab"].strip()):
            raise ValueError("cab is empty")
        if row["occupied"].strip() not in {"0", "1"}:
            raise ValueError(f"occupied must be 0 or 1, not {row['occupied']!r}")
        ping = Ping(_number(row, "t_s"), _place(row, "lat", "lon"), row["occupied"].strip() == "1")
        cabs[cab].append(ping)

    _each_row(path, PING_COLUMNS, keep)
    if not cabs:
        raise BadData(f"{path}: there are no pings in it")
    for pings in cabs.values():
        pings.sort(key=lambda ping: ping.second)
    return dict(cabs)


def read_trips(path: Path) -> list[RecordedTrip]:
    """Trips in order of request. Raises BadData."""
    trips: list[RecordedTrip] = []

    def keep(row: dict[str, str]) -> None:
        request, dropoff = _number(row, "request_s"), _number(row, "dropoff_s")
        if dropoff <= request:
            raise ValueError(f"dropoff_s {dropoff:g} is not after request_s {request:g}")
        start, goal = _place(row, "pickup_lat", "pickup_lon"), _place(row, "dropoff_lat", "dropoff_lon")
        trips.append(RecordedTrip(len(trips) + 1, request, dropoff, start, goal))

    _each_row(path, TRIP_COLUMNS, keep)
    if not trips:
        raise BadData(f"{path}: there are no trips in it")
    return sorted(trips, key=lambda trip: (trip.request, trip.row))


def _each_row(path: Path, columns: tuple[str, ...], keep: Callable[[dict[str, str]], None]) -> None:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [name for name in columns if name not in (reader.fieldnames or [])]:
                raise BadData(f"{path}: the header lacks {', '.join(missing)} (needed: {', '.join(columns)})")
            for row in reader:
                if None in row or None in row.values():
                    raise BadData(f"{path}, line {reader.line_num}: not as many fields as the header has")
                try:
                    keep(row)
                except ValueError as error:
                    raise BadData(f"{path}, line {reader.line_num}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path}: cannot be read: {error}") from None


def _number(row: dict[str, str], name: str) -> float:
    try:
        number = float(row[name])
    except ValueError:
        raise ValueError(f"{name} must be a number, not {row[name]!r}") from None
    if not -1e9 < number < 1e9:
        raise ValueError(f"{name} is out of range: {row[name]}")
    return number


def _place(row: dict[str, str], lat: str, lng: str) -> Place:
    place = Place(_number(row, lat), _number(row, lng))
    if not (-90 <= place.lat <= 90 and -180 <= place.lng <= 180):
        raise ValueError(f"{lat}, {lng} is not on the map: {place.lat:g}, {place.lng:g}")
    return place
