"""What a socket writes, in which order, and when it has to wait: against a server that says when."""

import asyncio
from typing import Any

import pytest

from dispatch.consumers.base import Socket


class Line:
    """The server's side of a socket: takes frames at once, or holds them up while `is_free` is not set."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.failure: Exception | None = None
        self.socket = Socket()
        self.socket.base_send = self._send

    async def _send(self, message: dict[str, Any]) -> None:
        await self.is_free.wait()
        if self.failure is not None:
            raise self.failure
        self.written.append(message["text"])


def running(scene: Any) -> None:
    asyncio.run(scene())


def test_a_frame_that_the_server_takes_at_once_costs_no_task() -> None:
    async def scene() -> None:
        line = Line()
        before = asyncio.all_tasks()
        line.socket.reply("one")
        line.socket.reply("two")
        assert line.written == ["one", "two"]
        assert asyncio.all_tasks() == before

    running(scene)


def test_frames_that_have_to_wait_are_written_in_their_order() -> None:
    async def scene() -> None:
        line = Line()
        line.is_free.clear()
        line.socket.trickle(["backlog 1", "backlog 2"])
        line.socket.reply("one")
        line.socket.reply("two")
        assert line.written == []
        line.is_free.set()
        writer = line.socket._writer
        assert writer is not None
        await writer
        # The first was on its way already; whatever is urgent passes the rest of the backlog.
        assert line.written == ["backlog 1", "one", "two", "backlog 2"]
        line.socket.reply("three")
        assert line.written[-1] == "three"

    running(scene)


def test_what_is_said_while_a_frame_is_written_follows_it() -> None:
    async def scene() -> None:
        line = Line()
        line.socket.were_written = lambda offers: line.socket.reply("after")  # type: ignore[method-assign]
        line.socket.reply("offer", ["an order"])
        assert line.written == ["offer", "after"]

    running(scene)


@pytest.mark.parametrize("failure", [OSError("gone"), RuntimeError("closing"), ValueError("a fault of ours")])
def test_a_line_that_fails_is_no_matter_of_whoever_pushes(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        line = Line()
        line.failure = failure
        line.socket.push("one")
        assert line.written == []
        line.failure = None
        line.socket.push("two")
        assert line.written == ["two"]

    running(scene)
    assert len(caplog.records) == (1 if isinstance(failure, ValueError) else 0)


def test_a_socket_that_ends_takes_its_waiting_writer_along() -> None:
    async def scene() -> None:
        line = Line()
        line.is_free.clear()
        line.socket.reply("never")
        writer = line.socket._writer
        assert writer is not None
        await asyncio.sleep(0)
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        assert line.socket._writer is None
        assert line.written == []

    running(scene)
