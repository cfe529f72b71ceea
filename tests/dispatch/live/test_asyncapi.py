"""docs/asyncapi.yaml and what really goes over the sockets are the same."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_type_hints

import pytest
from jsonschema import Draft202012Validator, ValidationError

from dispatch import live, services
from dispatch.consumers import frames
from drivers.errors import Invalid
from drivers.models import Driver
from tests import asyncapi, cast
from tests.dispatch.live.rig import PATIENCE, Client, Server, wait_until
from tests.dispatch.live.test_console import at_chunked_board
from tests.dispatch.live.test_frames import BAD_FRAMES

Connect = Callable[..., Client]


@cache
def document() -> dict[str, Any]:
    return asyncapi.document()


def resolved(pointer: str) -> Any:
    found: Any = document()
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step]
    return found


@cache
def validator(channel: str, kind: str) -> Draft202012Validator:
    """Of the frames of one type on one of the sockets."""
    message = resolved(document()["channels"][channel]["messages"][kind]["$ref"])
    schema = {**message["payload"], "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def check(channel: str, frame: dict[str, Any]) -> None:
    assert frame["type"] in document()["channels"][channel]["messages"], f"{frame['type']} is not described"
    try:
        validator(channel, frame["type"]).validate(frame)
    except ValidationError as error:
        raise AssertionError(f"{channel} {json.dumps(frame)[:500]}: {error.message}") from error


def said_by(channel: str, action: str) -> set[str]:
    """The types of frames that the server sends, or receives, there."""
    return {
        reference["$ref"].rsplit("/", 1)[1]
        for operation in document()["operations"].values()
        if operation["channel"]["$ref"] == f"#/channels/{channel}" and operation["action"] == action
        for reference in operation["messages"]
    }


# --- The document itself ---------------------------------------------------------------------------------------------


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_everything_is_used() -> None:
    used = set(references(document()))

    for reference in used:
        assert resolved(reference) is not None
    components = document()["components"]
    for kind in ("messages", "schemas"):
        unused = {name for name in components[kind] if f"#/components/{kind}/{name}" not in used}
        assert unused == set()


def test_every_message_of_a_socket_is_said_by_somebody() -> None:
    for name, channel in document()["channels"].items():
        assert said_by(name, "send") | said_by(name, "receive") == set(channel["messages"])
        assert not said_by(name, "send") & said_by(name, "receive")


def test_every_schema_is_one() -> None:
    for name, schema in document()["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description") or schema["type"] == "object", name
    for message in document()["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])
        assert message["summary"]


def test_what_both_descriptions_have_is_the_same() -> None:
    ours = document()["components"]["schemas"]

    for name, schema in asyncapi.shared().items():
        assert ours[name] == json.loads(json.dumps(schema)), f"{name} has changed: python -m tests.asyncapi"


# --- Against the code ------------------------------------------------------------------------------------------------


def test_every_frame_of_the_code_is_described() -> None:
    source = inspect.getsource(frames) + inspect.getsource(live)
    sent = set(re.findall(r'"type": "(\w+)"', source))
    described = said_by("driver", "send") | said_by("dispatch", "send")
    # The table in front of the code is what people read.
    told = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", frames.__doc__ or "", re.MULTILINE))
    listed = {name for cell in told for name in re.findall(r"`(\w+)`", cell)}

    assert {"snapshot", "offer", "order", "heartbeat_ack", "stats"} <= sent
    assert sent <= described
    assert listed <= described


@pytest.mark.parametrize(
    ("channel", "decode"), [("driver", frames.driver_frame), ("dispatch", frames.dispatcher_frame)]
)
def test_every_frame_that_is_understood_is_described(channel: str, decode: Any) -> None:
    kinds = get_type_hints(decode)["return"]
    tags = {kind.__struct_config__.tag: kind for kind in get_args(kinds) or (kinds,)}

    assert tags.keys() <= said_by(channel, "receive")
    for tag, kind in tags.items():
        schema = validator(channel, tag).schema
        if "$ref" in schema:
            schema = resolved(schema["$ref"])
        assert set(schema["properties"]) == {"type", *kind.__struct_fields__}


@pytest.mark.parametrize(("frame", "field"), BAD_FRAMES, ids=lambda value: str(value)[:50])
def test_what_the_code_refuses_the_description_refuses(frame: Any, field: str) -> None:
    with pytest.raises(Invalid):
        frames.driver_frame(json.dumps(frame))
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str) or field == "type":
        return

    # A time without a zone is the one thing that JSON Schema's formats let pass in some libraries.
    assert not validator("driver", frame["type"]).is_valid(frame) or field in {"recorded_at", "order"}


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "heartbeat"},
        {"type": "heartbeat", "lat": 37.7, "lng": -122.4, "id": "a"},
        {"type": "heartbeat", "lat": 37, "lng": -122, "accuracy_m": 5, "heading": 360, "speed_mps": 0, "id": 7},
        {"type": "heartbeat", "recorded_at": "2026-01-31T12:00:00.5+02:00", "heading": None, "id": None},
        {"type": "seen", "order": "01a20b5a-6109-7668-acc4-f44ae41ea912"},
        {"type": "sync"},
    ],
)
def test_what_the_description_takes_the_code_takes(frame: dict[str, Any]) -> None:
    check("driver", frame)

    assert frames.driver_frame(json.dumps(frame))


# --- Against real sockets --------------------------------------------------------------------------------------------


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Client, dict[str, Any]]]:
    """Every frame that any client gets from now on."""
    told: list[tuple[Client, dict[str, Any]]] = []
    read = Client.frame

    def frame(client: Client, within: float = PATIENCE) -> dict[str, Any]:
        found = read(client, within)
        told.append((client, found))
        return found

    monkeypatch.setattr(Client, "frame", frame)
    return told


@pytest.mark.django_db(transaction=True)
def test_a_whole_day_over_real_sockets_is_as_described(
    heard: list[tuple[Client, dict[str, Any]]],
    server: Server,
    clients: list[Client],
    connect_driver: Connect,
    connect_board: Connect,
    alice: Driver,
    bob: Driver,
    dora: Any,
) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    at_alice, at_bob, at_dora = connect_driver(alice), connect_driver(bob), connect_board(dora)

    order = cast.order(payout=Decimal(12), currency="USD")
    at_alice.get("offer")
    at_alice.send(type="seen", order=str(order.pk))
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    at_alice.get("order")
    at_bob.get("offer_closed")
    services.release_order(order_id=order.pk, driver_id=alice.pk, reason="flat tyre")
    at_alice.get("order_removed")
    services.accept_order(order_id=order.pk, driver_id=bob.pk)
    services.pick_up_order(order_id=order.pk, driver_id=bob.pk)
    services.deliver_order(order_id=order.pk, driver_id=bob.pk, proof={"kind": "name"}, recipient="Dave")
    second = cast.order()
    services.accept_order(order_id=second.pk, driver_id=alice.pk)
    services.cancel_order(order_id=second.pk, actor=cast.DISPATCHER)
    third = cast.order()
    services.decline_order(order_id=third.pk, driver_id=alice.pk)
    cast.let_time_pass(third, seconds=121)
    services.expire_orders()
    fourth = cast.order()
    services.accept_order(order_id=fourth.pk, driver_id=alice.pk)
    services.send_message(driver_id=alice.pk, text="Call me, please.", actor=cast.DISPATCHER)
    at_alice.get("message")
    at_dora.send(type="viewing", order=str(fourth.pk))
    at_dora.get("viewers")
    at_dora.send(type="ping", id=1)
    at_dora.get("pong")
    for client in (at_alice, at_bob):
        client.connection.send("nonsense")
        client.send(type="heartbeat", lat=91, lng=0, id="wrong")
        client.send(type="sync")
        client.get("snapshot")
        client.send(type="heartbeat", lat=37.7955, lng=-122.3937, heading=90, id="last")
        client.get("heartbeat_ack", id="last")
    services.go_offline(driver_id=bob.pk)
    wait_until(lambda: any(row.get("is_online") is False for row in at_dora.get("driver")["drivers"]))
    at_dora.send(type="nonsense")
    at_dora.get("error")
    at_dora.send(type="sync")
    at_dora.get("snapshot")
    at_dora.get("stats")
    at_chunked = at_chunked_board(server, dora)
    clients.append(at_chunked)
    at_chunked.get("driver", chunk=1)

    kinds: dict[str, set[str]] = {"driver": set(), "dispatch": set()}
    for client, frame in heard:
        channel = "dispatch" if client in (at_dora, at_chunked) else "driver"
        check(channel, frame)
        kinds[channel].add(frame["type"])
    assert kinds["driver"] >= {
        "snapshot",
        "offer",
        "offer_closed",
        "order",
        "order_removed",
        "heartbeat_ack",
        "message",
        "error",
    }
    assert kinds["dispatch"] >= {
        "snapshot",
        "order",
        "driver",
        "stats",
        "attention",
        "viewers",
        "pong",
        "error",
    }


def test_what_is_said_in_trouble_is_as_described() -> None:
    for frame in (frames.resync(), frames.error(Invalid(body="x"), "a"), frames.error(ValueError())):
        for channel in ("driver", "dispatch"):
            check(channel, json.loads(frame))
