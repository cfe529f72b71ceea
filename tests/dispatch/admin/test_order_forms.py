"""Placing and correcting an order by hand."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from drivers.models import Driver
from orders.models import Order, OrderContact, OrderEvent
from tests import cast, staff

pytestmark = pytest.mark.django_db
ADD = "/admin/orders/order/add/"


def typed(**changes: Any) -> dict[str, Any]:
    return {
        "reference": "A-17",
        "pickup_lat": "37.7955",
        "pickup_lng": "-122.3937",
        "pickup_address": "Ferry Building",
        "dropoff_lat": "37.788",
        "dropoff_lng": "-122.4075",
        "dropoff_address": "Union Square",
        "contact_name": "Carol",
        "contact_phone": "+1 415 555 0100",
        "contact_notes": "",
        "vehicle": "",
        "priority": "3",
        "payout": "12.50",
        "currency": "USD",
        "key": "k1",
        **changes,
    }


def as_shown(page: Any) -> dict[str, Any]:
    """What a browser would send back if nothing was touched."""
    sent: dict[str, Any] = {}
    for field in page.context["adminform"].form:
        value = field.value()
        if field.name.endswith("_at"):
            sent |= {f"{field.name}_0": f"{value:%Y-%m-%d}", f"{field.name}_1": f"{value:%H:%M:%S}"}
        else:
            sent[field.name] = value
    return sent


def test_a_dispatcher_places_an_order_and_it_is_offered_at_once(dispatcher: Client, alice: Driver) -> None:
    response = dispatcher.post(ADD, typed(), follow=True)

    order = Order.objects.get()
    assert staff.lines(response) == ["A-17: placed."]
    assert (order.reference, order.priority, str(order.payout), order.currency) == ("A-17", 3, "12.50", "USD")
    assert (order.pickup.y, order.pickup.x) == (37.7955, -122.3937)
    assert cast.history(order) == ["created", "offered"]
    assert cast.offers(order) == {"alice": "open"}
    created = OrderEvent.objects.get(order=order, version=1)
    assert (created.actor_type, created.actor_name) == ("dispatcher", "dora")
    assert OrderContact.objects.get(order=order).name == "Carol"


def test_a_double_click_is_one_order(dispatcher: Client) -> None:
    dispatcher.post(ADD, typed())
    dispatcher.post(ADD, typed())

    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"pickup_lat": "91"}, "pickup_lat"),
        ({"pickup_lat": "nan"}, "pickup_lat"),
        ({"dropoff_lng": "1e400"}, "dropoff_lng"),
        ({"pickup_lng": ""}, "pickup_lng"),
        ({"priority": "10"}, "priority"),
        ({"payout": "-1"}, "payout"),
        ({"payout": "1e30"}, "payout"),
        ({"currency": "usd"}, "currency"),
        ({"vehicle": "rocket"}, "vehicle"),
        ({"contact_name": ""}, "contact_name"),
        ({"reference": "x\0"}, "reference"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at"),
        ({"release_at_0": "2090-01-01", "release_at_1": "00:00:00"}, "release_at"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_nothing_is_placed(
    dispatcher: Client, wrong: dict[str, str], field: str
) -> None:
    response = dispatcher.post(ADD, typed(**wrong))

    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert Order.objects.count() == 0


def test_details_of_a_pending_order_are_corrected_with_one_event(dispatcher: Client) -> None:
    order = cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/?customer=1"
    sent = as_shown(dispatcher.get(url))

    response = dispatcher.post(
        url, {**sent, "pickup_address": "Pier 1", "pickup_lat": "37.797", "contact_notes": "Gate 4"}, follow=True
    )

    assert staff.lines(response) == ["A-17: corrected."]
    order = Order.objects.get(pk=order.pk)
    assert (order.pickup_address, order.pickup.y, order.pickup.x) == ("Pier 1", 37.797, -122.3937)
    event = OrderEvent.objects.get(order=order, version=2)
    assert (event.kind, event.data) == ("order.corrected", {"fields": ["pickup", "pickup_address", "contact"]})
    assert OrderContact.objects.get(order=order).notes == "Gate 4"


def test_saving_without_a_change_changes_nothing(dispatcher: Client) -> None:
    order = cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/"

    dispatcher.post(url, as_shown(dispatcher.get(url)))

    assert cast.history(order) == ["created"]


def test_a_correction_of_another_version_is_refused_and_explained(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/"
    sent = as_shown(dispatcher.get(url))
    cast.let_time_pass(order, seconds=1)

    response = dispatcher.post(url, {**sent, "reference": "B-1"})

    (error,) = response.context["adminform"].form.non_field_errors()
    assert error.startswith("Not done: it has changed since you looked at it: corrected")
    assert Order.objects.get(pk=order.pk).reference == "A-17"


def test_an_order_that_was_taken_meanwhile_is_not_corrected(dispatcher: Client, alice: Driver) -> None:
    from dispatch import services

    order = cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/"
    sent = as_shown(dispatcher.get(url))
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    response = dispatcher.post(url, {**sent, "reference": "B-1"})

    assert "Not corrected" in staff.page_text(response)
    assert "assigned to Alice by Alice" in staff.page_text(response)
    assert Order.objects.get(pk=order.pk).reference == "A-17"


def test_who_may_not_see_the_customer_corrects_the_rest_without_touching_it() -> None:
    clerk = User.objects.create_user("cleo", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "change_order"]))
    client, order = staff.signed_in(clerk), cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/?customer=1"
    page = client.get(url)

    client.post(url, {**as_shown(page), "reference": "B-1", "contact_name": "Mallory", "contact_phone": "666"})

    assert "Carol" not in page.content.decode()
    assert Order.objects.get(pk=order.pk).reference == "B-1"
    assert OrderContact.objects.get(order=order).name == "Carol Customer"


def test_state_driver_times_and_version_are_nobodys_to_type(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-17")
    url = f"/admin/orders/order/{order.pk}/change/"
    page = dispatcher.get(url)

    dispatcher.post(url, {**as_shown(page), "status": "delivered", "driver": alice.pk, "expired": "on"})

    names = set(page.context["adminform"].form.fields)
    assert names & {"status", "driver", "expired", "created_at", "assigned_at"} == set()
    order = Order.objects.get(pk=order.pk)
    assert (order.status, order.driver_id, order.expired, order.version) == ("pending", None, False, 2)


def test_placing_needs_the_permission() -> None:
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_order"))
    client, order = staff.signed_in(viewer), cast.order()

    assert client.get(ADD).status_code == 403
    assert client.post(ADD, typed()).status_code == 403
    assert client.post(f"/admin/orders/order/{order.pk}/change/", {"version": 1}).status_code == 403
    assert Order.objects.count() == 1
