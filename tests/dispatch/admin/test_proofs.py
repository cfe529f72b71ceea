"""Pictures from the door in the back office: for whoever may see customers, and on record."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from dispatch import services
from drivers.models import Driver
from orders.models import ContactAccess, DeliveryProof, Order
from tests import cast, pictures, staff
from tests.dispatch.api import callers

pytestmark = pytest.mark.django_db


@pytest.fixture
def proof(alice: Driver, settings: Any, tmp_path: Path) -> DeliveryProof:
    """A delivered order's photo."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    services.keep_proof(
        order_id=order.pk,
        driver_id=alice.pk,
        action_id="p1",
        kind="photo",
        content=pictures.jpeg(),
        media_type="image/jpeg",
    )
    services.deliver_order(
        order_id=order.pk, driver_id=alice.pk, proof={"kind": "photo"}, recipient="Dave from next door"
    )
    return DeliveryProof.objects.get()


def address(proof: DeliveryProof, order: Any = None) -> str:
    return reverse("admin:orders_order_proof", args=[order or proof.order_id, proof.pk])


def looks() -> list[tuple[str, str]]:
    return list(ContactAccess.objects.order_by("pk").values_list("actor_name", "via"))


def test_a_dispatcher_sees_the_picture_and_that_is_on_record(proof: DeliveryProof, dora: Any) -> None:
    answer = staff.signed_in(dora).get(address(proof))

    assert answer.status_code == 200
    assert pictures.read(answer.content).size == (80, 60)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == f'inline; filename="photo-{proof.pk}.jpg"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert {"private", "no-store"} <= set(answer.headers["Cache-Control"].split(", "))
    assert looks() == [("dora", "proof")]


def test_the_page_shows_pictures_only_with_the_customer(proof: DeliveryProof, dora: Any) -> None:
    browser = staff.signed_in(dora)
    page = reverse("admin:orders_order_change", args=[proof.order_id])

    plain, asked = browser.get(page).content.decode(), browser.get(f"{page}?customer=1").content.decode()

    assert address(proof) not in plain
    assert "Dave from next door" not in plain
    assert f'<img src="{address(proof)}" width="80" height="60" loading="lazy"' in asked
    assert "Taken by Dave from next door" in asked
    assert looks() == [("dora", "admin")]


@pytest.mark.parametrize("permissions", [[], ["orders.view_order"], ["orders.view_ordercontact"]])
def test_who_may_not_see_customers_sees_no_picture(proof: DeliveryProof, permissions: list[str]) -> None:
    eve = callers.staff("eve", *permissions).client

    assert eve.get(address(proof)).status_code == 403
    assert looks() == []


def test_nobody_sees_it_without_signing_in(proof: DeliveryProof) -> None:
    answer = Client().get(address(proof))

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


def test_what_there_is_not_is_not_found(proof: DeliveryProof, dora: Any, tmp_path: Path) -> None:
    browser = staff.signed_in(dora)
    other = cast.order()

    assert browser.get(address(proof, other.pk)).status_code == 404
    assert browser.get(reverse("admin:orders_order_proof", args=[proof.order_id, uuid4()])).status_code == 404
    assert browser.get(reverse("admin:orders_order_proof", args=["nonsense", uuid4()])).status_code == 404
    assert browser.post(address(proof)).status_code == 405
    (tmp_path / "media" / proof.file).unlink()
    assert browser.get(address(proof)).status_code == 404
    assert looks() == []
    assert Order.objects.filter(pk=proof.order_id).exists()
