"""Who counts as looking at an order, and for how long."""

import asyncio
import json
from typing import Any

import pytest

from dispatch.consumers import viewers
from dispatch.consumers.viewers import Viewers
from tests.dispatch.live.rig import PATIENCE

ORDER = "01934b5e-8f2a-7c3d-9e10-5a6b7c8d9e0f"


class Screen:
    def __init__(self, user_id: int, user_name: str) -> None:
        self.user_id, self.user_name = user_id, user_name
        self.told: list[dict[str, Any]] = []

    def push(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def hears(self, people: list[str]) -> None:
        """Returns when the last that was told is that these people look."""
        async with asyncio.timeout(PATIENCE):
            while not self.told or [one["name"] for one in self.told[-1]["people"]] != people:
                await asyncio.sleep(0.01)


def test_who_has_not_been_heard_of_does_not_count_until_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(viewers, "TELL_SECONDS", 0.1)

    async def day() -> None:
        dora, eric = Screen(1, "dora"), Screen(2, "eric")
        here = Viewers("one", [dora, eric])
        here.view(dora, ORDER)
        await eric.hears(["dora"])
        await eric.hears([])
        here.heard(dora)
        await eric.hears(["dora"])
        here.view(dora, None)
        await eric.hears([])
        assert here.people() == {}

    asyncio.run(day())


def test_what_another_process_told_is_forgotten_when_it_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "FORGET_SECONDS", 0.3)
    monkeypatch.setattr(viewers, "TELL_SECONDS", 0.1)

    async def day() -> None:
        dora = Screen(1, "dora")
        here = Viewers("one", [dora])
        here.take({"viewing": "one", "rows": [[9, "echo", ORDER]]})
        here.take({"viewing": "two", "rows": [[2, "eric", ORDER]]})
        await dora.hears(["eric"])
        await dora.hears([])

    asyncio.run(day())


def test_two_windows_of_one_person_are_one_person() -> None:
    async def day() -> None:
        windows = [Screen(1, "dora"), Screen(1, "dora")]
        here = Viewers("one", windows)
        for window in windows:
            here.view(window, ORDER)
        assert here.people() == {ORDER: [{"id": 1, "name": "dora"}]}
        here.left(windows[0])
        assert here.people() == {ORDER: [{"id": 1, "name": "dora"}]}
        here.left(windows[1])
        assert here.people() == {}

    asyncio.run(day())
