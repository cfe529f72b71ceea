"""A delivery's proof: the receiver's PIN and name."""

from typing import Any

import pytest
from django.db import transaction

from dispatch import services
from dispatch.services import carry
from drivers.access import as_driver
from drivers.models import Driver
from orders.models import DeliveryPin, Order, OrderContact, OrderEvent
from orders.services import Contact
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, problem
from tests.dispatch.api.carrying import in_hand

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(alice: Driver) -> Order:
    return in_hand(alice)


def delivered(app: Caller, order: Order, **proof: Any) -> Any:
    return app.post(f"orders/{order.pk}/deliver/", {"proof": proof})


def test_a_pin_is_compared_and_told_to_nobody(app: Caller, alice: Driver, shop: Caller) -> None:
    document = callers.placed(shop, contact={"name": "Carol", "phone": "1", "pin": "0420"})
    assert "0420" not in str(document)
    order = callers.order_of(document)
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    shown = app.get(f"orders/{order.pk}/").json()
    assert shown["contact"] == {"name": "Carol", "phone": "1", "notes": "", "has_pin": True}

    assert errors(delivered(app, order, kind="pin", pin="0421")) == {"proof.pin": ["This is not the receiver's PIN."]}
    assert errors(delivered(app, order, kind="pin")) == {"proof.pin": ["The receiver has a PIN; ask for it."]}
    assert Order.objects.get(pk=order.pk).status == "picked_up"

    assert delivered(app, order, kind="pin", pin="0420").status_code == 200
    told = OrderEvent.objects.get(order=order, kind="order.delivered").data
    assert told == {"proof": {"kind": "pin", "checked": True}}
    assert "0420" not in str(shop.get(f"orders/{order.pk}/").json())


def test_a_driver_cannot_read_the_pin_even_from_the_database(app: Caller, alice: Driver) -> None:
    from django.db import DatabaseError

    order = in_hand(alice, pin="0420")

    with as_driver(alice.pk):
        assert OrderContact.objects.get(pk=order.pk).has_pin
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), as_driver(alice.pk):
        list(DeliveryPin.objects.all())


def test_wrong_pins_are_counted_and_a_right_one_is_not(app: Caller, alice: Driver) -> None:
    order = in_hand(alice, pin="123456")
    for guess in ("000000", "111111", "222222", "333333"):
        errors(delivered(app, order, kind="pin", pin=guess))
    # Once more than the app means to: the answer was lost, and the same tap comes again.
    tap = {"action_id": "d1", "proof": {"kind": "pin", "pin": "123456"}}
    for _ in range(3):
        assert app.post(f"orders/{order.pk}/deliver/", tap).status_code == 200


def test_after_five_wrong_pins_even_the_right_one_must_wait(app: Caller, alice: Driver) -> None:
    order = in_hand(alice, pin="1234")
    for guess in range(5):
        errors(delivered(app, order, kind="pin", pin=f"000{guess}"))

    refused = delivered(app, order, kind="pin", pin="1234")

    assert problem(refused, 429, "throttled")["retry_after"] <= 12
    assert Order.objects.get(pk=order.pk).status == "picked_up"
    # Only the PIN is closed: the order can be handed over with another proof, which the history then tells.
    assert delivered(app, order, kind="photo").status_code == 200


def test_nobody_else_can_try_a_pin(app: Caller, bob: Driver) -> None:
    order = in_hand(bob, pin="1234")

    for guess in ("1234", "0000"):
        problem(delivered(app, order, kind="pin", pin=guess), 404, "not_found")
    assert not carry.PIN_TRIES.wait(f"{order.pk}:{bob.pk}")


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", "٤٢٤٢", "1234\n", 1234, None, ""])
def test_a_pin_is_four_to_eight_digits(app: Caller, alice: Driver, shop: Caller, pin: Any) -> None:
    order = in_hand(alice, pin="1234")
    assert list(errors(delivered(app, order, kind="pin", pin=pin))) == ["proof.pin"]

    if pin != "":
        contact = {"name": "Carol", "phone": "1", "pin": pin}
        assert list(errors(shop.post("orders/", callers.body(contact=contact)))) == ["contact.pin"]


def test_a_pin_belongs_to_its_kind(app: Caller, order: Order) -> None:
    assert list(errors(delivered(app, order, kind="photo", pin="1234"))) == ["proof.pin"]


def test_without_a_pin_of_the_order_there_is_nothing_to_compare(app: Caller, order: Order) -> None:
    assert delivered(app, order, kind="pin", pin="1234").status_code == 200
    assert OrderEvent.objects.get(order=order, kind="order.delivered").data == {"proof": {"kind": "pin"}}


def test_who_took_it_is_kept_with_the_contact_and_not_in_the_history(app: Caller, order: Order) -> None:
    assert delivered(app, order, kind="name", recipient="Dave from next door").status_code == 200

    assert OrderContact.objects.get(pk=order.pk).recipient == "Dave from next door"
    assert "Dave" not in str(list(OrderEvent.objects.filter(order=order).values_list("data", flat=True)))


def test_a_correction_replaces_the_pin_with_the_contact(shop: Caller) -> None:
    document = callers.placed(shop, contact={"name": "Carol", "phone": "1", "pin": "0420"})
    order, address = callers.order_of(document), f"orders/{document['id']}/"

    def pin() -> tuple[list[str], bool]:
        pins = list(DeliveryPin.objects.filter(pk=order.pk).values_list("digits", flat=True))
        return pins, OrderContact.objects.get(pk=order.pk).has_pin

    shop.patch(address, {"reference": "A-1"})
    assert pin() == (["0420"], True)
    assert shop.patch(address, {"contact": {"name": "Carol", "phone": "1", "pin": "9999"}}).json()["version"] == 3
    assert pin() == (["9999"], True)
    assert shop.patch(address, {"contact": {"name": "Carol", "phone": "1", "pin": "9999"}}).json()["version"] == 3
    shop.patch(address, {"contact": {"name": "Carol", "phone": "1"}})
    assert pin() == ([], False)
    # The back office does not know it, so it leaves it alone.
    shop.patch(address, {"contact": {"name": "Carol", "phone": "1", "pin": "1111"}})
    services.correct_order(
        order_id=order.pk, corrections={}, contact=Contact(name="Caroline", phone="1"), actor=cast.DISPATCHER
    )
    assert pin() == (["1111"], True)


def test_a_sync_says_that_there_is_a_pin_at_no_extra_query(
    app: Caller, alice: Driver, django_assert_num_queries: Any
) -> None:
    from dispatch import selectors

    in_hand(alice, pin="1234")

    with django_assert_num_queries(1):
        (held,) = selectors.sync_driver(driver_id=alice.pk).active
        assert held.contact.has_pin
    (shown,) = app.get("driver/sync/").json()["active"]
    assert shown["contact"]["has_pin"] is True
    assert "1234" not in str(shown["contact"])
