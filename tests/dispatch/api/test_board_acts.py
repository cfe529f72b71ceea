"""The console's acts: many rows at once, each with its own answer, nothing on a row that has moved on."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User

from dispatch import services
from dispatch.models import Message
from drivers.models import Driver, Presence
from orders.models import Order
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, problem

pytestmark = pytest.mark.django_db

ALL = (
    "orders.view_order",
    "orders.dispatch_order",
    "drivers.view_driver",
    "drivers.duty_driver",
    "dispatch.add_message",
)


@pytest.fixture
def dora() -> Caller:
    return callers.staff("dora", *ALL)


def act(caller: Caller, name: str, *orders: Order, **options: Any) -> list[dict[str, Any]]:
    """The answers to an act on the orders as they are now."""
    rows = [{"order": str(order.pk), "version": Order.objects.get(pk=order.pk).version} for order in orders]
    return done(caller.post("board/acts/", {"act": name, "rows": rows, **options}))


def done(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def holder(order: Order) -> int | None:
    return Order.objects.get(pk=order.pk).driver_id


def test_each_row_gets_its_own_answer_in_the_order_that_was_asked(dora: Caller, alice: Driver, bob: Driver) -> None:
    free, taken, second = (cast.order() for _ in range(3))
    services.accept_order(order_id=taken.pk, driver_id=bob.pk)
    gone = uuid4()
    rows = [
        {"order": str(taken.pk), "version": 2},
        {"order": str(free.pk), "version": 2},
        {"order": str(gone), "version": 1},
        {"order": str(second.pk), "version": 2},
    ]

    results = done(dora.post("board/acts/", {"act": "assign", "rows": rows, "driver": alice.pk}))

    assert [row["order"] for row in results] == [str(taken.pk), str(free.pk), str(gone), str(second.pk)]
    assert [row["ok"] for row in results] == [False, True, False, False]
    assert [row["problem"]["code"] for row in results if not row["ok"]] == [
        "version_conflict",
        "not_found",
        "driver_at_capacity",
    ]
    assert (holder(free), holder(taken), holder(second)) == (alice.pk, bob.pk, None)
    document = results[1]["document"]
    assert (document["status"], document["driver"], document["pinned"], document["version"]) == (
        "assigned",
        alice.pk,
        True,
        3,
    )


def test_a_row_that_has_moved_on_says_what_it_is_now_and_who_did_what(dora: Caller, alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    row = {"order": str(order.pk), "version": 2}

    (result,) = done(dora.post("board/acts/", {"act": "cancel", "rows": [row], "reason": "twice"}))

    told = result["problem"]
    assert (told["code"], told["version"], told["order_status"]) == ("version_conflict", 3, "assigned")
    assert (told["current"]["version"], told["current"]["driver"]) == (3, alice.pk)
    assert (told["last_event"]["kind"], told["last_event"]["actor"]["name"]) == ("order.assigned", "Alice")
    assert Order.objects.get().status == "assigned"


def test_an_act_on_orders_needs_the_version_that_was_seen(dora: Caller, alice: Driver) -> None:
    order = cast.order()
    before = callers.written()

    response = dora.post("board/acts/", {"act": "assign_nearest", "rows": [{"order": str(order.pk)}]})

    assert errors(response) == {"rows.0": ["Must have order and version, and nothing else."]}
    assert callers.written() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "act"),
        ({"act": "fly", "rows": [{"driver": 1}]}, "act"),
        ({"act": "assign", "rows": []}, "rows"),
        ({"act": "assign", "rows": [{"order": str(UUID(int=1)), "version": 1}]}, "driver"),
        ({"act": "cancel", "rows": [{"order": str(UUID(int=1)), "version": 1}]}, "reason"),
        ({"act": "cancel", "rows": [{"order": str(UUID(int=1)), "version": 1}], "reason": ""}, "reason"),
        ({"act": "extend", "rows": [{"order": str(UUID(int=1)), "version": 1}]}, "seconds"),
        ({"act": "pin", "rows": [{"order": str(UUID(int=1)), "version": 1}], "seconds": 5}, "seconds"),
        ({"act": "pin", "rows": [{"order": str(UUID(int=1)), "version": 1}] * 2}, "rows"),
        ({"act": "pin", "rows": [{"order": 1, "version": 1}]}, "rows.0.order"),
        ({"act": "duty", "rows": [{"driver": 1}]}, "is_online"),
        ({"act": "message", "rows": [{"driver": 1}], "text": "  "}, "text"),
        ({"act": "message", "rows": [{"order": str(UUID(int=1)), "version": 1}], "text": "x"}, "rows.0"),
        ({"act": "duty", "rows": [{"driver": n} for n in range(1, 202)], "is_online": True}, "rows"),
    ],
)
def test_what_does_not_belong_or_is_missing_is_named(dora: Caller, body: dict[str, Any], field: str) -> None:
    assert field in errors(dora.post("board/acts/", body))


def test_every_act_on_orders_does_what_it_says(dora: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()

    (pinned,) = act(dora, "pin", order)
    (unpinned,) = act(dora, "unpin", order)
    assert (pinned["document"]["pinned"], unpinned["document"]["pinned"]) == (True, False)
    assert pinned["document"]["offers"] == {"open": 2, "declined": 0, "made": 2}
    (longer,) = act(dora, "extend", order, seconds=60)
    assert longer["document"]["expires_at"] > pinned["document"]["expires_at"]
    (again,) = act(dora, "reoffer", order, seconds=300)
    assert again["document"]["status"] == "pending"
    (nearest,) = act(dora, "assign_nearest", order)
    assert nearest["document"]["driver"] == alice.pk
    (moved,) = act(dora, "reassign", order, driver=bob.pk)
    assert moved["document"]["driver"] == bob.pk
    (back,) = act(dora, "unassign", order, reason="flat tyre")
    assert (back["document"]["status"], back["document"]["driver"]) == ("pending", None)
    (cancelled,) = act(dora, "cancel", order, reason="sold out")
    assert cancelled["document"]["status"] == "cancelled"
    with_way_back = [nearest, moved, back]
    without = [pinned, unpinned, longer, again, cancelled]
    assert [row["undo"] is not None for row in with_way_back + without] == [True] * 3 + [False] * 5


def test_drivers_are_put_on_and_off_duty_and_written_to(dora: Caller, alice: Driver, bob: Driver) -> None:
    rows = [{"driver": alice.pk}, {"driver": bob.pk}, {"driver": 999999}]

    off = done(dora.post("board/acts/", {"act": "duty", "rows": rows, "is_online": False}))
    told = done(dora.post("board/acts/", {"act": "message", "rows": rows, "text": "Come home"}))

    assert [(row["driver"], row["ok"]) for row in off] == [(alice.pk, True), (bob.pk, True), (999999, False)]
    assert off[0]["document"]["is_online"] is False
    assert not Presence.objects.filter(is_online=True).exists()
    assert [row["ok"] for row in told] == [True, True, False]
    assert (told[0]["document"]["text"], told[0]["document"]["from"]) == ("Come home", "dora")
    assert Message.objects.count() == 2


def test_a_message_with_the_same_key_again_is_the_same_message(dora: Caller, alice: Driver, bob: Driver) -> None:
    rows = [{"driver": alice.pk}, {"driver": bob.pk}]
    body = {"act": "message", "rows": rows, "text": "Come home", "key": "one"}

    first = done(dora.post("board/acts/", body))
    again = done(dora.post("board/acts/", body))

    assert [result["ok"] for result in first] == [True, True]
    assert again == first
    assert Message.objects.count() == 2

    other = done(dora.post("board/acts/", {**body, "text": "Stay there"}))
    assert [result["problem"]["code"] for result in other] == ["idempotency_mismatch"] * 2
    # A key is its sender's own.
    erin = callers.staff("erin", *ALL)
    assert [result["ok"] for result in done(erin.post("board/acts/", {**body, "text": "Stay there"}))] == [True, True]
    assert done(dora.post("board/acts/", {**body, "key": "two"}))[0]["ok"]
    assert sorted(Message.objects.values_list("driver_id", "actor_name", "text", "key")) == sorted(
        [
            (driver.pk, name, text, key)
            for driver in (alice, bob)
            for name, text, key in (
                ("dora", "Come home", "one"),
                ("dora", "Come home", "two"),
                ("erin", "Stay there", "one"),
            )
        ]
    )


def test_a_shift_of_two_hundred_rows_is_answered_row_by_row(dora: Caller) -> None:
    orders = [cast.order(reference=str(number)) for number in range(200)]

    results = act(dora, "pin", *orders)

    assert [row["ok"] for row in results] == [True] * 200
    assert [row["document"]["reference"] for row in results] == [str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("assign_nearest", "orders.dispatch_order"),
        ("reoffer", "orders.dispatch_order"),
        ("unassign", "orders.dispatch_order"),
        ("pin", "orders.dispatch_order"),
        ("unpin", "orders.dispatch_order"),
        ("cancel", "orders.dispatch_order"),
        ("extend", "orders.dispatch_order"),
        ("assign", "orders.dispatch_order"),
        ("reassign", "orders.dispatch_order"),
        ("duty", "drivers.duty_driver"),
        ("message", "dispatch.add_message"),
    ],
)
def test_every_act_is_refused_without_its_own_permission(alice: Driver, name: str, needed: str) -> None:
    order = cast.order()
    options: dict[str, dict[str, Any]] = {
        "cancel": {"reason": "x"},
        "extend": {"seconds": 5},
        "assign": {"driver": alice.pk},
        "reassign": {"driver": alice.pk},
        "duty": {"is_online": False},
        "message": {"text": "x"},
    }
    on_driver = name in {"duty", "message"}
    row = {"driver": alice.pk} if on_driver else {"order": str(order.pk), "version": order.version}
    body = {"act": name, "rows": [row], **options.get(name, {})}
    everything_else = callers.staff("eric", *(permission for permission in ALL if permission != needed))
    before = callers.written()

    problem(everything_else.post("board/acts/", body), 403, "permission_denied")

    assert callers.written() == before
    assert Presence.objects.get(pk=alice.pk).is_online
    assert not Message.objects.exists()
    assert callers.staff("dora", "orders.view_order", needed).post("board/acts/", body).status_code == 200


def test_an_integrators_key_without_the_dispatch_scope_has_no_console(shop: Caller, script: Caller) -> None:
    order = callers.placed(shop)
    body = {"act": "cancel", "rows": [{"order": order["id"], "version": 1}], "reason": "x"}

    problem(shop.post("board/acts/", body), 403, "permission_denied")
    assert done(script.post("board/acts/", body))[0]["ok"] is True


# --- Undo ------------------------------------------------------------------------------------------------------------


def test_an_act_is_taken_back_by_whoever_did_it(dora: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    (moved,) = act(dora, "reassign", order, driver=bob.pk)
    eric = callers.staff("eric", *ALL)

    problem(eric.post("board/undo/", {"undo": moved["undo"]["id"]}), 404, "not_found")
    assert holder(order) == bob.pk

    response = dora.post("board/undo/", {"undo": moved["undo"]["id"]})
    assert (response.status_code, response.json()["driver"]) == (200, alice.pk)
    problem(dora.post("board/undo/", {"undo": moved["undo"]["id"]}), 410, "undo_too_late")
    assert holder(order) == alice.pk


def test_what_has_moved_on_is_not_taken_back_and_one_is_told_why(dora: Caller, alice: Driver) -> None:
    order = cast.order()
    (given,) = act(dora, "assign_nearest", order)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)

    told = problem(dora.post("board/undo/", {"undo": given["undo"]["id"]}), 409, "version_conflict")

    assert (told["current"]["status"], told["last_event"]["kind"]) == ("picked_up", "order.picked_up")
    assert Order.objects.get().status == "picked_up"


def test_undo_needs_a_name_that_could_be_one(dora: Caller) -> None:
    assert "undo" in errors(dora.post("board/undo/", {}))
    assert "undo" in errors(dora.post("board/undo/", {"undo": 7}))
    problem(dora.post("board/undo/", {"undo": str(uuid4())}), 404, "not_found")
    assert User.objects.filter(username="dora").exists()
