"""A delivery's proof: its pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dispatch import services
from dispatch.services import proofs as proof_services
from drivers.models import Driver
from orders import proofs
from orders.models import DeliveryProof, Order
from tests import cast, pictures
from tests.dispatch.api import contract
from tests.dispatch.api.callers import Caller, errors, phone, problem
from tests.dispatch.api.carrying import deliver, fail, in_hand, let_days_pass

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


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


@pytest.mark.parametrize("end", [deliver, fail])
def test_a_picture_may_come_long_after_the_act(
    app: Caller, order: Order, alice: Driver, end: Callable[[Order, Driver], None]
) -> None:
    end(order, alice)

    assert sent(app, order).status_code == 201


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
