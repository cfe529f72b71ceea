"""One client's way to the API: sends, waits at most so long, writes down what came of it."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import msgspec

from benchmarks.storm.record import Asked, Book, now

#: The patience of an app before it calls a request lost, seconds.
PATIENCE_S = 10.0
NETWORK = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class Door:
    def __init__(self, base: str, token: str, who: str, book: Book, session: aiohttp.ClientSession) -> None:
        self.base, self.token, self.who, self.book, self.session = base, token, who, book, session

    async def ask(
        self,
        verb: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        order: str = "",
        mark: str = "",
        driver: int = 0,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        patience_s: float = PATIENCE_S,
    ) -> tuple[int, dict[str, Any]]:
        """Status and document; (0, {}) when no answer came. A 503 or 429 is an answer."""
        line = Asked(
            who=self.who, verb=verb, sent_at=now(), took_s=0.0, status=0, order=order, mark=mark, driver=driver
        )
        document: dict[str, Any] = {}
        try:
            async with asyncio.timeout(patience_s):
                async with self.session.request(
                    method,
                    self.base + path,
                    json=body,
                    headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
                ) as answer:
                    raw = await answer.read()
                    line.fault = _wrong_with(answer, raw)
                    with contextlib.suppress(msgspec.DecodeError):
                        document = msgspec.json.decode(raw)
                    line.status = answer.status
        except NETWORK:
            document = {}
        line.took_s = round(now() - line.sent_at, 4)
        if isinstance(document, dict):
            line.code = str(document.get("code", "")) if line.status >= 400 else ""
            version = document.get("version")
            line.version = version if isinstance(version, int) and line.status < 400 else 0
            if verb == "place" and line.status == 201:
                line.order = document["id"]
        self.book.write(line)
        return line.status, document if isinstance(document, dict) else {}


def _wrong_with(answer: aiohttp.ClientResponse, raw: bytes) -> str:
    """What no answer of Baton may be, whatever is broken behind it."""
    if answer.status < 400:
        return ""
    if answer.content_type != "application/problem+json":
        return f"{answer.status} is no problem document: {raw[:200]!r}"
    if answer.status in {429, 503} and "Retry-After" not in answer.headers:
        return f"{answer.status} without Retry-After"
    if answer.status >= 500 and answer.status != 503:
        return f"{answer.status}: {raw[:300]!r}"
    return ""
