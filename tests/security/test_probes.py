"""A driver with a modified app and somebody else's ids, at every door a driver has. New doors fail here until they are
probed, too."""

import json
from collections.abc import Callable
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import pytest
from django.test import Client as Http
from django.urls import URLPattern, get_resolver, reverse

from dispatch import services
from dispatch.api.base import DriverView
from dispatch.api.orders import HasGrantOrIsDriver
from dispatch.consumers import frames
from dispatch.models import ActionReceipt, Offer
from drivers.models import DeviceToken, Driver, Presence, PushSubscription
from orders.models import ContactAccess, DeliveryPin, DeliveryProof, Order, OrderContact, OrderEvent
from orders.services import Contact, Place
from tests import cast, pictures
from tests.dispatch.live.rig import Client, token_of, wait_until

#: What nobody but bob may ever read.
SECRETS = (
    "Zelda Quux",
    "+49 170 5550199",
    "key under the mat",
    "Hidden Pickup Lane",
    "Hidden Dropoff Row",
    "REF-8841",
    "Meet Zed",
)
THING = {"lat": 37.75, "lng": -122.5}

# --- What there is to probe: read from the URL configuration and the frames themselves -------------------------------


def api_routes() -> dict[str, type[Any]]:
    """Name of every address below /api/v1/ → its view."""
    found = {}
    for resolver in get_resolver().url_patterns:
        if str(resolver.pattern) == "api/v1/":
            for pattern in resolver.url_patterns:  # type: ignore[union-attr]  # these are included lists
                assert isinstance(pattern, URLPattern)
                assert pattern.name, pattern
                found[pattern.name] = pattern.callback.view_class  # type: ignore[attr-defined]  # class-based, all of them
    return found


def methods_of(view: type[Any]) -> list[str]:
    return [method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)]


def driver_doors() -> set[tuple[str, str]]:
    """(method, name) of everything that lets a driver in."""
    doors = set()
    for name, view in api_routes().items():
        if issubclass(view, DriverView):
            doors |= {(method, name) for method in methods_of(view)}
        elif HasGrantOrIsDriver in view.permission_classes:
            doors.add(("get", name))
    return doors


SUBSCRIPTION = {"endpoint": "{bobs_endpoint}", "keys": {"p256dh": "x", "auth": "x"}}
#: Sent as it is, to an address with a query.
PICTURE: dict[str, Any] = {"picture": True}
#: Doors that name an order: what they answer to somebody to whom it was never offered, and to an id that does not exist.
ORDER_DOORS: dict[tuple[str, str], tuple[dict[str, Any], tuple[int, str], tuple[int, str]]] = {
    ("get", "order"): ({}, (404, "not_found"), (404, "not_found")),
    ("post", "accept"): ({}, (403, "not_offered"), (404, "not_found")),
    ("post", "decline"): ({}, (404, "not_found"), (404, "not_found")),
    ("post", "release"): ({"reason": "mine"}, (404, "not_found"), (404, "not_found")),
    ("post", "pick-up"): ({}, (404, "not_found"), (404, "not_found")),
    ("post", "deliver"): ({"proof": {"kind": "none"}}, (404, "not_found"), (404, "not_found")),
    ("post", "fail"): ({"reason": "lost"}, (404, "not_found"), (404, "not_found")),
    ("post", "proofs"): (PICTURE, (404, "not_found"), (404, "not_found")),
}
#: Doors that name nobody: whatever is added to ask for somebody else, and the status of the answer.
OWN_DOORS: dict[tuple[str, str], list[tuple[str, dict[str, Any] | None, int]]] = {
    ("get", "driver"): [("?driver={bob}", None, 200), ("?id={bob}", None, 200)],
    ("patch", "driver"): [("", {"is_online": True, "driver": "{bob}"}, 400), ("", {"id": "{bob}"}, 400)],
    ("post", "heartbeat"): [("", {**THING, "driver": "{bob}"}, 400), ("?driver={bob}", THING, 200)],
    ("get", "sync"): [("?driver={bob}", None, 200), ("?driver_id={bob}&order={order}", None, 200)],
    ("get", "push"): [("?driver={bob}", None, 400), ("", None, 200)],
    # Push is off, so a subscription that is right in itself finds nothing there.
    ("post", "push"): [("", {"driver": "{bob}"}, 400), ("", SUBSCRIPTION, 404), ("?driver={bob}", SUBSCRIPTION, 400)],
    ("delete", "push"): [("", {"endpoint": "{bobs_endpoint}"}, 204), ("", {"driver": "{bob}"}, 400)],
    ("get", "figures"): [("?driver={bob}", None, 400), ("?tz_offset_minutes=60", None, 200)],
    ("get", "driver-orders"): [
        ("?driver={bob}", None, 400),
        ("?driver_id={bob}", None, 400),
        ("?cursor={cursor}", None, 200),
        ("?cursor={cursor}&limit=100", None, 200),
    ],
    ("get", "driver-messages"): [("?driver={bob}", None, 400), ("?limit=50", None, 400), ("", None, 200)],
    ("post", "driver-message-read"): [("", {}, 404), ("?driver={bob}", {}, 404), ("", {"driver": "{bob}"}, 400)],
    ("post", "ticket"): [("", {"driver": "{bob}"}, 400), ("?driver={bob}", {}, 200)],
    ("post", "sign-out"): [("", {"driver": "{bob}", "token": "{bobs_digest}"}, 400), ("?driver={bob}", {}, 204)],
}
SOCKET_FRAMES: dict[str, list[dict[str, Any]]] = {
    "heartbeat": [{**THING, "driver": "{bob}"}, {**THING, "driver_id": "{bob}"}, {**THING, "id": "{bob}"}],
    "seen": [{"order": "{order}"}, {"order": "{order}", "driver": "{bob}"}],
    "sync": [{}, {"driver": "{bob}"}, {"order": "{order}"}],
}


def test_every_door_of_a_driver_has_its_probe() -> None:
    assert driver_doors() == ORDER_DOORS.keys() | OWN_DOORS.keys()


def test_every_frame_of_a_driver_has_its_probe() -> None:
    kinds = get_args(get_type_hints(frames.driver_frame)["return"])
    assert {kind.__struct_config__.tag for kind in kinds} == SOCKET_FRAMES.keys()


# --- The scene -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mallory(db: None) -> Driver:
    """On duty, far from everything."""
    return cast.driver("mallory", at=cast.OCEAN_BEACH, capacity=5)


@pytest.fixture
def scene(db: None, bob: Driver, mallory: Driver) -> dict[str, Order]:
    """Bob's orders: on offer to him, held, picked up, delivered by him; mallory was offered none of them."""
    Driver.objects.filter(pk=bob.pk).update(capacity=5)
    names = ("offered", "held", "picked_up", "delivered")
    made = {
        name: cast.order(
            reference="REF-8841",
            pickup=Place(*cast.FERRY_BUILDING, "Hidden Pickup Lane"),
            dropoff=Place(*cast.UNION_SQUARE, "Hidden Dropoff Row"),
            contact=Contact(name="Zelda Quux", phone="+49 170 5550199", notes="key under the mat"),
        )
        for name in names
    }
    for name in names[1:]:
        services.accept_order(order_id=made[name].pk, driver_id=bob.pk, tap=services.Tap(f"tap-{name}"))
    for name in names[2:]:
        services.pick_up_order(order_id=made[name].pk, driver_id=bob.pk)
    services.deliver_order(order_id=made["delivered"].pk, driver_id=bob.pk)
    assert cast.offers(made["offered"]) == {"bob": "open"}
    return made


def app_of(driver: Driver) -> Http:
    return Http(headers={"Authorization": f"Bearer {token_of(driver)}"})


def rows(model: type[Any], **of: Any) -> list[dict[str, Any]]:
    return list(model.objects.filter(**of).order_by("pk").values())


WATCHED = (Order, OrderContact, DeliveryPin, DeliveryProof, OrderEvent, Offer, ActionReceipt, Driver, PushSubscription)


def everything(mallory: Driver) -> dict[str, Any]:
    """All that a probe must leave as it is: everybody's rows but the prober's own presence and devices."""
    return {
        **{model.__name__: rows(model) for model in WATCHED},
        "presence": list(Presence.objects.exclude(pk=mallory.pk).order_by("pk").values()),
        "devices": list(DeviceToken.objects.exclude(user=mallory.user_id).order_by("pk").values()),
        "looks": rows(ContactAccess),
    }


def leaks(said: bytes | str) -> list[str]:
    text = said.decode() if isinstance(said, bytes) else said
    return [secret for secret in SECRETS if secret in text or json.dumps(secret)[1:-1] in text]


def filled(value: Any, ids: dict[str, str]) -> Any:
    """The probe with the victim's ids put in."""
    if isinstance(value, dict):
        return {name: filled(part, ids) for name, part in value.items()}
    if isinstance(value, str):
        for name, one in ids.items():
            value = value.replace("{" + name + "}", one)
    return value


def victims_ids(bob: Driver, scene: dict[str, Order]) -> dict[str, str]:
    page = app_of(bob).get("/api/v1/driver/orders/?limit=1").json()
    cursor = page["next"].split("cursor=")[1].split("&")[0]
    digest = DeviceToken.objects.filter(user=bob.user_id).first()
    assert digest is not None
    endpoint = "https://fcm.googleapis.com/fcm/send/bob"
    PushSubscription.objects.get_or_create(endpoint=endpoint, driver=bob, token=digest, p256dh="p", auth="a")
    message = services.send_message(driver_id=bob.pk, text="Meet Zed", actor=cast.DISPATCHER)
    return {
        "message": str(message.pk),
        "bob": str(bob.pk),
        "order": str(scene["held"].pk),
        "cursor": cursor,
        "bobs_digest": digest.digest,
        "bobs_endpoint": endpoint,
    }


def said_by(app: Http, method: str, url: str, body: dict[str, Any] | None) -> Any:
    if method == "get":
        return app.get(url)
    if body and body.get("picture"):
        address = f"{url}?kind=photo&action_id={body.get('action_id', 'probe')}"
        return app.post(address, pictures.jpeg(), content_type="image/jpeg")
    return getattr(app, method)(url, body or {}, content_type="application/json")


# --- The probes ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["offered", "held", "picked_up", "delivered", "unknown"])
@pytest.mark.parametrize("door", ORDER_DOORS, ids=lambda door: " ".join(door))
def test_somebody_elses_order_is_refused_and_nothing_is_written_or_told(
    scene: dict[str, Order], mallory: Driver, door: tuple[str, str], state: str
) -> None:
    method, name = door
    body, known, unknown = ORDER_DOORS[door]
    app, before = app_of(mallory), everything(mallory)
    order_id = uuid4() if state == "unknown" else scene[state].pk
    if method == "post":
        body = {**body, "action_id": "probe"}

    answer = said_by(app, method, reverse(name, args=[order_id]), body)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (unknown if state == "unknown" else known)
    # The same words for every state: how far somebody else's order has come is not told either.
    assert set(problem) == {"type", "title", "status", "code", "detail"}
    assert leaks(answer.content) == []
    assert everything(mallory) == before


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["accept", "release", "pick-up", "deliver"])
def test_somebody_elses_action_id_replays_nothing(scene: dict[str, Order], mallory: Driver, verb: str) -> None:
    app, before = app_of(mallory), everything(mallory)

    answer = said_by(app, "post", reverse(verb, args=[scene["held"].pk]), {"action_id": "tap-held"})

    assert answer.status_code in {403, 404}
    assert "Idempotent-Replayed" not in answer.headers
    assert leaks(answer.content) == []
    assert everything(mallory) == before


@pytest.mark.django_db
@pytest.mark.parametrize("door", OWN_DOORS, ids=lambda door: " ".join(door))
def test_a_door_of_ones_own_shows_and_changes_nobody_else(
    scene: dict[str, Order], mallory: Driver, bob: Driver, door: tuple[str, str]
) -> None:
    method, name = door
    ids = victims_ids(bob, scene)
    before = everything(mallory)

    for query, body, status in OWN_DOORS[door]:
        args = [ids["message"]] if name == "driver-message-read" else []
        answer = said_by(app_of(mallory), method, reverse(name, args=args) + filled(query, ids), filled(body, ids))

        assert answer.status_code == status, answer.content
        assert leaks(answer.content) == []
        assert str(scene["held"].pk) not in answer.content.decode()
        if (method, name) == ("get", "driver"):
            assert answer.json()["id"] == mallory.pk
    assert everything(mallory) == before


@pytest.mark.django_db
def test_a_ticket_is_for_whoever_asked(mallory: Driver, bob: Driver) -> None:
    from dispatch.selectors_access import driver_by_ticket

    ticket = app_of(mallory).post(f"/api/v1/auth/ticket/?driver={bob.pk}", {}, "application/json").json()

    assert driver_by_ticket(ticket=ticket["ticket"])[0] == mallory.pk


@pytest.mark.django_db
def test_the_doors_of_others_are_closed_to_a_driver(scene: dict[str, Order], mallory: Driver) -> None:
    app, before = app_of(mallory), everything(mallory)
    tried = 0

    for name, view in api_routes().items():
        for method in methods_of(view):
            if (method, name) in driver_doors() or name == "sign-in":
                continue
            args: list[Any] = [scene["held"].pk] if name.startswith("order") and name != "orders" else []
            if name == "board-driver":
                args = [mallory.pk]
            answer = said_by(app, method, reverse(name, args=args), {})
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), name
            assert leaks(answer.content) == []
            tried += 1

    assert tried >= 12
    assert everything(mallory) == before


@pytest.mark.django_db(transaction=True)
def test_every_frame_with_somebody_elses_ids_does_and_tells_nothing(
    connect_driver: Callable[..., Client], scene: dict[str, Order], mallory: Driver, bob: Driver
) -> None:
    at_bob, at_mallory = connect_driver(bob), connect_driver(mallory)
    # Bob's own socket marks his offer as delivered; that is his.
    wait_until(lambda: Offer.objects.get(order=scene["offered"]).delivered_at)
    ids = victims_ids(bob, scene)
    before = everything(mallory)
    heard: list[dict[str, Any]] = []

    for kind, probes in SOCKET_FRAMES.items():
        for probe in probes:
            for order in scene.values():
                at_mallory.send(type=kind, **filled(probe, {**ids, "order": str(order.pk)}))
    at_mallory.send(type="heartbeat", id="last")
    heard.append(at_mallory.get("heartbeat_ack", id="last"))
    # A heartbeat takes its turn behind every mark of a seen offer that came before it; a second one is written after them.
    at_mallory.send(type="heartbeat", id="after")
    heard += [at_mallory.get("heartbeat_ack", id="after"), *at_mallory.others]

    assert leaks(json.dumps(heard, ensure_ascii=False)) == []
    assert {frame["type"] for frame in heard} == {"heartbeat_ack", "error", "snapshot"}
    for frame in heard:
        if frame["type"] == "heartbeat_ack":
            assert (frame["active"], frame["open_offers"]) == ([], 0)
        elif frame["type"] == "snapshot":
            assert (frame["active"], frame["offers"]) == ([], [])
        else:
            assert frame["problem"]["code"] == "invalid"
    assert everything(mallory) == before
    assert at_bob.is_served()


@pytest.mark.django_db(transaction=True)
def test_what_happens_to_somebody_elses_order_is_not_pushed(
    connect_driver: Callable[..., Client], mallory: Driver, bob: Driver
) -> None:
    at_bob, at_mallory = connect_driver(bob), connect_driver(mallory)

    order = cast.order(contact=Contact(name="Zelda Quux", phone="1", notes=""))
    at_bob.get("offer")
    services.accept_order(order_id=order.pk, driver_id=bob.pk)
    at_bob.get("order")
    services.pick_up_order(order_id=order.pk, driver_id=bob.pk)
    services.deliver_order(order_id=order.pk, driver_id=bob.pk)
    wait_until(lambda: at_bob.get("order")["order"]["status"] == "delivered")

    at_mallory.send(type="heartbeat", id="end")
    assert at_mallory.get("heartbeat_ack", id="end")
    assert at_mallory.others == []
