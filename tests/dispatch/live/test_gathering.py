"""Heartbeats of many sockets, written in batches (dispatch/consumers/heartbeats.py)."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, connections

from dispatch.consumers import database, heartbeats
from dispatch.consumers.frames import Close
from dispatch.consumers.heartbeats import Gathered
from dispatch.selectors import FeedState
from dispatch.services import Position
from drivers.models import Presence
from tests import cast

pytestmark = pytest.mark.django_db(transaction=True)


class Phone:
    """A driver's socket that keeps what it is told."""

    def __init__(self, driver_id: int) -> None:
        self.driver_id = driver_id
        self.told: list[dict[str, Any]] = []
        self.closed_as: Close | None = None

    def reply(self, text: str) -> None:
        self.told.append(json.loads(text))

    def shut(self, code: Close) -> None:
        self.closed_as = code

    @property
    def is_done(self) -> bool:
        return bool(self.told) or self.closed_as is not None


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drivers each statement wrote; at most two at a time, and a pause that a test does not outlast."""
    sizes: list[int] = []
    record = heartbeats._record

    def counted(positions: list[Position]) -> tuple[dict[int, FeedState], datetime]:
        sizes.append(len(positions))
        return record(positions)

    monkeypatch.setattr(heartbeats, "_record", counted)
    monkeypatch.setattr(heartbeats, "BATCH", 2)
    return sizes


def beat_all(phones: Sequence[Phone]) -> None:
    """Everybody's heartbeat at once, two of the first; returns when each has its answer."""

    async def scene() -> None:
        gathered = Gathered()
        for number, phone in enumerate([phones[0], *phones]):
            gathered.heartbeat(phone, Position(phone.driver_id, lat=37.7, lng=-122.0 - number / 100), number)
        async with asyncio.timeout(20):
            while not all(phone.is_done for phone in phones):
                await asyncio.sleep(0.01)

    asyncio.run(scene())
    database.WRITES.submit(connections.close_all).result()


def test_more_than_a_batch_is_written_piece_by_piece_and_everybody_answered(
    batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = [cast.driver(f"driver-{n}", at=cast.FERRY_BUILDING) for n in range(5)]
    phones = [Phone(driver.pk) for driver in drivers]
    # Only the last, which is no full batch, waits for more.
    waits: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        if seconds == heartbeats.GATHER_SECONDS:
            waits.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", counted)

    beat_all(phones)

    assert batches == [2, 2, 1]
    assert len(waits) == 1
    assert [[one["id"] for one in phone.told] for phone in phones] == [[0, 1], [2], [3], [4], [5]]
    assert {one["type"] for phone in phones for one in phone.told} == {"heartbeat_ack"}
    stored = Presence.objects.filter(pk__in=[driver.pk for driver in drivers]).order_by("pk")
    assert [round(row.location.x, 2) for row in stored if row.location] == [-122.01, -122.02, -122.03, -122.04, -122.05]


def test_a_driver_who_is_no_more_is_shown_out_and_the_others_are_answered(batches: list[int]) -> None:
    driver = cast.driver("last", at=cast.FERRY_BUILDING)
    gone, here = Phone(driver.pk + 1000), Phone(driver.pk)

    beat_all([gone, here])

    assert (gone.told, gone.closed_as) == ([], Close.SIGNED_OUT)
    assert ([one["type"] for one in here.told], here.closed_as) == (["heartbeat_ack"], None)


def test_when_the_database_fails_twice_all_who_wait_hear_of_it(
    batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = [Phone(cast.driver(f"driver-{n}", at=cast.FERRY_BUILDING).pk) for n in range(7)]
    sizes: list[int] = []

    def away(positions: list[Position]) -> None:
        sizes.append(len(positions))
        raise OperationalError("away")

    monkeypatch.setattr(heartbeats, "_record", away)

    beat_all(phones)

    assert sizes == [2, 2]
    assert {one["problem"]["code"] for phone in phones for one in phone.told} == {"unavailable"}
    assert [len(phone.told) for phone in phones] == [2, 1, 1, 1, 1, 1, 1]
