"""What a client writes down, one JSON line each: what it asked and what it was told."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


class Asked(msgspec.Struct, tag="asked", tag_field="line", omit_defaults=True):
    """One request. `status` 0: no answer came, so whether it was carried out is for the database to say."""

    who: str
    verb: str
    #: Seconds since the epoch, by the one clock of this machine.
    sent_at: float
    took_s: float
    status: int
    order: str = ""
    #: The app's own name for the tap, the Idempotency-Key, or the reason: whatever tells this request's effect from others'.
    mark: str = ""
    driver: int = 0
    code: str = ""
    #: Of the order in the answer.
    version: int = 0
    #: What was wrong with the answer itself.
    fault: str = ""


class Pushed(msgspec.Struct, tag="pushed", tag_field="line", omit_defaults=True):
    """One frame about an order that a driver's socket brought."""

    who: str
    driver: int
    at: float
    type: str
    order: str
    version: int
    kind: str = ""
    has_contact: bool = False


class View(msgspec.Struct, tag="view", tag_field="line"):
    """What a driver's app believed when all was quiet, beside what `driver/sync/` answered just then."""

    who: str
    driver: int
    offers: list[str]
    active: list[tuple[str, int]]
    sync_offers: list[str]
    sync_active: list[tuple[str, int]]


Line = Asked | Pushed | View


@dataclass
class Book:
    """One client process's lines, written as they come: what a crash leaves is true as far as it goes."""

    path: Path
    encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def __post_init__(self) -> None:
        self.file = self.path.open("ab")
        self.asked = 0

    def write(self, line: Line) -> None:
        self.asked += isinstance(line, Asked)
        self.file.write(self.encoder.encode(line) + b"\n")

    def close(self) -> None:
        self.file.close()


def read(paths: list[Path]) -> list[Line]:
    decoder: Any = msgspec.json.Decoder(Line)
    lines: list[Line] = []
    for path in paths:
        lines += [decoder.decode(text) for text in path.read_bytes().splitlines()]
    return lines


def now() -> float:
    return time.time()
