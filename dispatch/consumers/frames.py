"""What goes over a socket: the frames that clients may send, the frames that they get, and the codes at the end.

| server → driver | members besides `type` and `at` |
|---|---|
| `snapshot` | `server_time`, `offers`, `active`, `messages` (unread): replaces everything that the app knows |
| `offer` | `version`, `offer` |
| `offer_closed` | `version`, `order` (id), `reason` |
| `order` | `version`, `kind`, `order`; with `contact` while the driver holds it |
| `message` | `message`: a dispatcher's word |
| `order_removed` | `version`, `order` (id), `reason` |
| `heartbeat_ack` | `id`, `server_time`, `active` (`[[order id, version], …]`), `open_offers` |
| `resync` | nothing: messages were lost, send `sync` |
| `error` | `problem` (a problem document), `id` if it answers a heartbeat that had one |

A dispatcher sends `sync`, `viewing` (`order`, or null) and `ping` (`id`), the latter every few seconds.

| server → dispatcher | |
|---|---|
| `snapshot` | `server_time`, `orders`, `drivers`, `stats`, `attention`, `viewers` (order id → people); with `?chunked=1` \
`driver_chunks` is true, `drivers` empty, and they follow as `driver` with `chunk` and `of` |
| `order` | `version`, `kind`, `order` |
| `driver` | `drivers`: what is known anew of each; members that are not there have not changed; or `seen` (ids), \
heard of again at `seen_at` |
| `stats` | `stats` |
| `attention` | `rows`, the most urgent first: `order`, `reason`, `minutes`, `trouble_at`, `since`, `detail` |
| `offers` | `offers`: order id → how many of its offers are open, declined, made |
| `viewers` | `order`, `people` (`id`, `name`) who have it open, whoever reads this included |
| `pong` | `id`, `server_time`, `live`: false while the server itself is cut off from the news |
| `resync`, `error` | as above |
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string
from msgspec import Meta, Struct

from dispatch import live, representations
from dispatch.attention import Attention
from dispatch.selectors import FeedState, Sync
from dispatch.selectors_board import Board
from drivers.errors import Invalid
from drivers.http import rfc3339, storable

SUBPROTOCOL = "baton.v1"
#: Characters in one frame from a client. The server refuses longer ones itself (`--ws-max-size`), as 1009.
MAX_FRAME = 16 * 1024
MAX_DETAIL = 300

#: Order id → who has it open.
People = dict[str, list[dict[str, Any]]]


class Close(IntEnum):
    """Why the server ended a socket. The server's own codes: 1009 frame too large, 1011 no answer to pings."""

    #: Another process takes over: reconnect, there is somebody.
    RESTART = 1012

    #: The token or session is no longer good, or was revoked: sign in again.
    SIGNED_OUT = 4001
    #: The driver is suspended: do not reconnect.
    SUSPENDED = 4003
    #: The client did not read what it was sent: reconnect and sync.
    TOO_SLOW = 4008
    #: More or larger frames than anybody needs.
    TOO_MUCH = 4009
    #: The same driver opened newer sockets: do not reconnect by yourself.
    REPLACED = 4010


Id = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=-(2**53), le=2**53)]


class Heartbeat(Struct, tag="heartbeat", tag_field="type", forbid_unknown_fields=True):
    """A sign of life, as a rule with a position (degrees, WGS 84; metres; degrees from north; metres per second)."""

    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lng: Annotated[float, Meta(ge=-180, le=180)] | None = None
    accuracy_m: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    heading: Annotated[float, Meta(ge=0, le=360)] | None = None
    speed_mps: Annotated[float, Meta(ge=0, le=1e3)] | None = None
    recorded_at: Annotated[datetime, Meta(tz=True)] | None = None
    id: Id | None = None


class Seen(Struct, tag="seen", tag_field="type", forbid_unknown_fields=True):
    """The offer of this order is on screen."""

    order: UUID


class SyncAsked(Struct, tag="sync", tag_field="type", forbid_unknown_fields=True):
    """Tell me everything anew."""


class Viewing(Struct, tag="viewing", tag_field="type", forbid_unknown_fields=True):
    """This order is open on the screen; None: none is."""

    order: UUID | None


class Ping(Struct, tag="ping", tag_field="type", forbid_unknown_fields=True):
    """Answer at once."""

    id: Id | None = None


_DRIVER = msgspec.json.Decoder(Heartbeat | Seen | SyncAsked)
_DISPATCHER = msgspec.json.Decoder(SyncAsked | Viewing | Ping)

#: The device's clock may say anything and decides nothing: what no database would take is taken as the nearest that it does.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def driver_frame(text: str) -> Heartbeat | Seen | SyncAsked:
    """Raises Invalid, naming the field."""
    frame: Heartbeat | Seen | SyncAsked = _decode(_DRIVER, text)
    if isinstance(frame, Heartbeat):
        if (frame.lat is None) != (frame.lng is None):
            raise Invalid(**{"lat" if frame.lat is None else "lng": "lat and lng come together."})
        if frame.recorded_at is not None:
            frame.recorded_at = min(max(frame.recorded_at, EARLIEST), LATEST)
    return frame


def dispatcher_frame(text: str) -> SyncAsked | Viewing | Ping:
    """Raises Invalid, naming the field."""
    frame: SyncAsked | Viewing | Ping = _decode(_DISPATCHER, text)
    return frame


def _decode(decoder: Any, text: str) -> Any:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise Invalid(body="Nested too deeply.") from None
    except msgspec.ValidationError as error:
        field, sentence = _explain(str(error))
        raise Invalid(**{field: sentence}) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(body=f"Not valid JSON: {error}"[:MAX_DETAIL]) from None


def _explain(message: str) -> tuple[str, str]:
    """msgspec's sentence as (field, sentence): the field is at its end, or what is missing or unknown."""
    sentence, _, path = message.partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    if not field and (named := re.search(r"(?:required|unknown) field `([^`]*)`", sentence)):
        field = named[1]
    if not storable(field):
        field = "body"
    return field[:64] or "body", sentence[:MAX_DETAIL] + "."


# --- What clients get ------------------------------------------------------------------------------------------------


def snapshot(sync: Sync) -> str:
    return live.encode(
        {
            "type": "snapshot",
            "at": live.now(),
            "server_time": rfc3339(sync.server_time),
            "offers": [representations.offer_for_driver(offer) for offer in sync.offers],
            "active": [
                representations.order_for_driver(order, getattr(order, "contact", None)) for order in sync.active
            ],
            "messages": [representations.message(message) for message in sync.messages],
        }
    )


def heartbeat_acks(server_time: datetime) -> Callable[[str | int | None, FeedState], str]:
    """Writes the answers of one batch. What they have in common is encoded once, and few have anything of their own."""
    head = live.encode({"type": "heartbeat_ack", "at": live.now(), "server_time": rfc3339(server_time)})[:-1]

    def ack(beat: str | int | None, state: FeedState) -> str:
        named = beat if isinstance(beat, int) else live.encode(beat)
        active = live.encode(state.active) if state.active else "[]"
        return f'{head},"id":{named},"active":{active},"open_offers":{state.open_offers}}}'

    return ack


def problem_of(error: BaseException) -> dict[str, Any]:
    """The document that HTTP would answer with."""
    problem: dict[str, Any] = import_string(settings.PROBLEM_OF)(error)
    return problem


def error(error: BaseException, beat: str | int | None = None) -> str:
    """`beat`: the id of the heartbeat that it answers."""
    about = {} if beat is None else {"id": beat}
    return live.encode({"type": "error", "at": live.now(), **about, "problem": problem_of(error)})


def resync() -> str:
    return live.encode({"type": "resync", "at": live.now()})


def board_snapshot(board: Board, needed: Attention, people: People, *, chunked: bool = False) -> str:
    """`chunked`: the drivers follow in frames of their own."""
    return live.encode(
        {
            "type": "snapshot",
            "at": live.now(),
            "server_time": rfc3339(board.server_time),
            "orders": [representations.order_for_board(order, board.offers.get(order.pk)) for order in board.orders],
            "drivers": board.drivers,
            **({"driver_chunks": True} if chunked else {}),
            "stats": board.stats,
            "attention": needed.told(),
            "viewers": people,
        }
    )


def driver_chunk(rows: list[dict[str, Any]], chunk: int, of: int) -> str:
    return live.encode({"type": "driver", "at": live.now(), "drivers": rows, "chunk": chunk, "of": of})


def drivers_seen(ids: Iterable[int], at: datetime) -> str:
    return live.encode({"type": "driver", "at": live.now(), "drivers": [], "seen": sorted(ids), "seen_at": rfc3339(at)})


def attention(needed: Attention) -> str:
    return live.encode({"type": "attention", "at": live.now(), "rows": needed.told()})


def offers(counts: Mapping[UUID, dict[str, int]]) -> str:
    told = {str(order_id): counted for order_id, counted in counts.items()}
    return live.encode({"type": "offers", "at": live.now(), "offers": told})


def viewers(order_id: str, people: list[dict[str, Any]]) -> str:
    return live.encode({"type": "viewers", "at": live.now(), "order": order_id, "people": people})


def pong(ping: str | int | None, server_time: datetime, *, hears: bool) -> str:
    """`hears`: whether this process is told the news just now; a board that gets no answer knows that by itself."""
    return live.encode(
        {"type": "pong", "at": live.now(), "id": ping, "server_time": rfc3339(server_time), "live": hears}
    )


def drivers(rows: Iterable[dict[str, Any]]) -> str:
    return live.encode({"type": "driver", "at": live.now(), "drivers": list(rows)})


def stats(counts: dict[str, int]) -> str:
    return live.encode({"type": "stats", "at": live.now(), "stats": counts})
