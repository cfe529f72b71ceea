"""A delivery's proof: the picture, the receiver's PIN and name."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from dispatch import services
from dispatch.services import carry
from dispatch.services import proofs as proof_services
from drivers.access import as_driver
from drivers.models import Driver
from orders import proofs
from orders.models import DeliveryPin, DeliveryProof, Order, OrderContact, OrderEvent
from orders.services import Contact
from tests import cast, pictures
from tests.dispatch.api import callers, contract
from tests.dispatch.api.callers import Caller, errors, phone, problem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


@pytest.fixture
def app(alice: Driver) -> Caller:
    return phone(alice)


def in_hand(driver: Driver, **contact: Any) -> Order:
    """An order that the driver has picked up."""
    order = cast.order(contact=Contact(name="Carol", phone="1", **contact))
    services.accept_order(order_id=order.pk, driver_id=driver.pk)
    services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
    return order


@pytest.fixture
def order(alice: Driver) -> Order:
    return in_hand(alice)


def sent(
    app: Caller, order: Order | str, content: bytes | None = None, *, media_type: str = "image/jpeg", **query: str
) -> Any:
    """The picture under the name `p1`, unless the query says otherwise; None takes a part of it out."""
    parts = {"kind": "photo", "action_id": "p1", **query}
    address = f"/api/v1/orders/{order if isinstance(order, str) else order.pk}/proofs/"
    response = app.client.post(
        address,
        pictures.jpeg() if content is None else content,
        content_type=media_type,
        headers=app.headers,
        query_params={name: text for name, text in parts.items() if text != ""},
    )
    contract.check("post", address, None, response)
    return response


def files(media: Path) -> int:
    return sum(path.is_file() for path in media.rglob("*"))


def nothing_was_kept(media: Path) -> bool:
    return not DeliveryProof.objects.exists() and files(media) == 0


# --- Pictures --------------------------------------------------------------------------------------------------------


def test_a_picture_is_kept_and_shown_by_its_size(app: Caller, order: Order, alice: Driver, media: Path) -> None:
    answer = sent(app, order, pictures.jpeg(orientation=6), taken_at="2026-01-31T12:00:00+01:00")

    assert answer.status_code == 201
    kept = DeliveryProof.objects.get()
    assert answer.json() == {"id": str(kept.pk), "kind": "photo", "width": 60, "height": 80}
    assert (kept.order_id, kept.driver_id, kept.action_id) == (order.pk, alice.pk, "p1")
    assert kept.taken_at is not None
    assert kept.taken_at.isoformat() == "2026-01-31T11:00:00+00:00"
    assert pictures.read(proofs.read_file(kept.file)).size == (60, 80)
    # It is no change of the order: nothing that anybody watches has moved.
    assert cast.history(order) == ["created", "offered", "assigned", "picked_up"]


@pytest.mark.parametrize(("media_type", "form"), [("image/png", "PNG"), ("image/webp", "WEBP")])
def test_a_signature_may_be_png_or_webp(app: Caller, order: Order, media_type: str, form: str) -> None:
    answer = sent(app, order, pictures.encoded(pictures.drawn(), form), media_type=media_type, kind="signature")

    assert (answer.status_code, answer.json()["kind"]) == (201, "signature")


def test_the_same_picture_again_keeps_nothing_more(app: Caller, order: Order, media: Path) -> None:
    first = sent(app, order)
    again = sent(app, order)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert (DeliveryProof.objects.count(), files(media)) == (1, 1)


def test_a_name_that_was_used_for_something_else_is_refused(
    app: Caller, order: Order, alice: Driver, media: Path
) -> None:
    Driver.objects.update(capacity=2)
    other = in_hand(alice)
    sent(app, order)

    problem(sent(app, other), 422, "idempotency_mismatch")
    problem(sent(app, order, kind="signature"), 422, "idempotency_mismatch")

    assert (DeliveryProof.objects.count(), files(media)) == (1, 1)


def deliver(order: Order, driver: Driver) -> None:
    services.deliver_order(order_id=order.pk, driver_id=driver.pk)


def fail(order: Order, driver: Driver) -> None:
    services.fail_order(order_id=order.pk, driver_id=driver.pk, reason="nobody there")


@pytest.mark.parametrize("end", [deliver, fail])
def test_a_picture_may_come_long_after_the_act(
    app: Caller, order: Order, alice: Driver, end: Callable[[Order, Driver], None]
) -> None:
    end(order, alice)

    assert sent(app, order).status_code == 201


def let_days_pass(order: Order, days: float) -> None:
    fresh = Order.objects.get(pk=order.pk)
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(
            version=fresh.version + 1, delivered_at=cast.now() - timedelta(days=days)
        )
        OrderEvent.objects.create(order=order, version=fresh.version + 1, kind="order.corrected", actor_type="system")


def test_after_a_week_it_is_too_late(app: Caller, order: Order, alice: Driver, media: Path) -> None:
    deliver(order, alice)
    let_days_pass(order, 6.99)
    assert sent(app, order).status_code == 201
    let_days_pass(order, 7.01)

    assert problem(sent(app, order, action_id="p2"), 409, "order_not_pending")["order_status"] == "delivered"
    # What was kept before is still answered.
    assert sent(app, order).status_code == 201
    assert files(media) == 1


def test_what_would_be_erased_at_once_is_not_kept(
    app: Caller, order: Order, alice: Driver, media: Path, settings: Any
) -> None:
    settings.CONTACT_RETENTION_DAYS = 2
    deliver(order, alice)
    let_days_pass(order, 2.01)

    problem(sent(app, order), 409, "order_not_pending")
    assert nothing_was_kept(media)


def test_there_is_nothing_to_prove_before_the_pick_up(app: Caller, alice: Driver, media: Path) -> None:
    order = cast.order()
    problem(sent(app, order), 404, "not_found")
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    assert problem(sent(app, order), 409, "order_not_pending")["order_status"] == "assigned"
    assert nothing_was_kept(media)


def test_a_cancelled_order_says_so(app: Caller, order: Order, media: Path) -> None:
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    problem(sent(app, order), 410, "order_cancelled")
    assert nothing_was_kept(media)


def test_an_order_in_other_hands_is_not_to_be_found(app: Caller, bob: Driver, media: Path) -> None:
    order = in_hand(bob)

    problem(sent(app, order), 404, "not_found")
    problem(sent(app, str(uuid4())), 404, "not_found")
    assert nothing_was_kept(media)


def test_an_order_keeps_a_dozen_pictures(
    app: Caller, order: Order, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_services, "MOST_PROOFS", 2)
    for name in ("p1", "p2"):
        assert sent(app, order, action_id=name).status_code == 201

    assert errors(sent(app, order, action_id="p3")) == {"order": ["Has 2 pictures already."]}
    assert (DeliveryProof.objects.count(), files(media)) == (2, 2)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"kind": ""}, ["kind"]),
        ({"action_id": ""}, ["action_id"]),
        ({"kind": "", "action_id": ""}, ["action_id", "kind"]),
        ({"kind": "pin"}, ["kind"]),
        ({"action_id": "x" * 65}, ["action_id"]),
        ({"action_id": "a\x00b"}, ["action_id"]),
        ({"taken_at": "yesterday"}, ["taken_at"]),
        ({"taken_at": "2026-01-31T12:00:00"}, ["taken_at"]),
        ({"driver": "1"}, ["driver"]),
    ],
)
def test_what_is_wrong_with_the_address_is_named(
    app: Caller, order: Order, media: Path, query: dict[str, Any], names: list[str]
) -> None:
    assert sorted(errors(sent(app, order, **query))) == names
    assert nothing_was_kept(media)


def test_a_body_that_is_no_picture_is_refused(app: Caller, order: Order, media: Path) -> None:
    assert errors(sent(app, order, b"<svg/>")) == {"body": ["This is no whole JPEG picture."]}
    assert errors(sent(app, order, b"")) == {"body": ["The picture itself is missing."]}
    whole = pictures.jpeg(600, 400)
    assert errors(sent(app, order, whole[: len(whole) // 2])) == {"body": ["This is no whole JPEG picture."]}
    # What it says it is must be true.
    assert errors(sent(app, order, pictures.jpeg(), media_type="image/png")) == {
        "body": ["This is no whole PNG picture."]
    }
    assert nothing_was_kept(media)


@pytest.mark.parametrize(
    "media_type", ["image/gif", "image/svg+xml", "application/json", "multipart/form-data; boundary=x", "text/html"]
)
def test_other_types_are_not_taken(app: Caller, order: Order, media: Path, media_type: str) -> None:
    problem(sent(app, order, media_type=media_type), 415, "unsupported_media_type")
    assert nothing_was_kept(media)


def test_a_picture_that_is_too_large_is_refused(app: Caller, order: Order, media: Path, settings: Any) -> None:
    settings.MAX_PROOF_BYTES = 1000

    problem(sent(app, order, pictures.jpeg(900, 700)), 413, "too_large")
    assert nothing_was_kept(media)


def test_pictures_are_counted_for_each_driver(app: Caller, order: Order, bob: Driver) -> None:
    answers = [sent(app, order).status_code for _ in range(21)]

    assert answers == [201] * 20 + [429]
    assert sent(phone(bob), order).status_code == 404


def test_a_disk_that_is_full_keeps_nothing(
    app: Caller, order: Order, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(content: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(proofs, "write_file", full)
    app.client.raise_request_exception = False

    problem(sent(app, order), 500, "internal")
    assert nothing_was_kept(media)


# --- PIN and name ----------------------------------------------------------------------------------------------------


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


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_figures_of_a_day(app: Caller, alice: Driver, bob: Driver) -> None:
    Driver.objects.update(capacity=9)
    today = cast.now().date().isoformat()
    assert app.get("driver/figures/").json() == {
        "date": today, "delivered": 0, "failed": 0, "released": 0, "payouts": []
    }  # fmt: skip

    def carried(driver: Driver, **changes: Any) -> Order:
        order = cast.order(**changes)
        services.accept_order(order_id=order.pk, driver_id=driver.pk)
        return order

    def picked_up(driver: Driver, **changes: Any) -> Order:
        order = carried(driver, **changes)
        services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
        return order

    for payout, currency in (("12.50", "USD"), ("0.55", "USD"), ("7.00", "EUR")):
        deliver(picked_up(alice, payout=Decimal(payout), currency=currency), alice)
    deliver(picked_up(bob, payout=Decimal(99)), bob)
    fail(picked_up(alice, payout=Decimal(50)), alice)
    services.release_order(order_id=carried(alice).pk, driver_id=alice.pk)
    services.decline_order(order_id=cast.order().pk, driver_id=alice.pk)
    yesterday = picked_up(alice, payout=Decimal(1000))
    deliver(yesterday, alice)
    let_days_pass(yesterday, 1.01)

    assert app.get("driver/figures/").json() == {
        "date": today,
        "delivered": 3,
        "failed": 1,
        "released": 1,
        "payouts": [{"currency": "EUR", "amount": "7.00"}, {"currency": "USD", "amount": "13.05"}],
    }


@pytest.mark.parametrize("offset", [-720, -420, 0, 330, 840])
def test_today_is_the_drivers_own(app: Caller, alice: Driver, offset: int) -> None:
    order = in_hand(alice)
    deliver(order, alice)
    local = cast.now() + timedelta(minutes=offset)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)

    figures = app.get(f"driver/figures/?tz_offset_minutes={offset}").json()
    assert (figures["date"], figures["delivered"]) == (local.date().isoformat(), 1)

    let_days_pass(order, (since_midnight + timedelta(seconds=30)) / timedelta(days=1))
    assert app.get(f"driver/figures/?tz_offset_minutes={offset}").json()["delivered"] == 0


@pytest.mark.parametrize("offset", ["901", "-901", "x", "", "1.5", "٣", "+60"])
def test_a_zone_that_there_is_not_is_refused(app: Caller, offset: str) -> None:
    assert list(errors(app.get(f"driver/figures/?tz_offset_minutes={offset}"))) == ["tz_offset_minutes"]


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
