"""One order's page: what it shows, its buttons, and the version that they carry."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from dispatch import services
from drivers.models import Driver
from orders.models import ContactAccess, Order, OrderEvent
from tests import cast, staff

pytestmark = pytest.mark.django_db


def url(order: Order, verb: str = "") -> str:
    return f"/admin/orders/order/{order.pk}/act/{verb}/" if verb else f"/admin/orders/order/{order.pk}/change/"


def press(client: Client, order: Order, verb: str, **data: Any) -> list[str]:
    version = Order.objects.get(pk=order.pk).version
    response = client.post(url(order, verb), {"version": version, **data}, follow=True)
    assert response.status_code == 200
    return staff.lines(response)


def test_the_nearest_driver(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    order = cast.order(reference="A-17")

    assert press(dispatcher, order, "assign-nearest") == ["A-17: assigned to Alice (0 m)"]
    assert Order.objects.get(pk=order.pk).driver_id == alice.pk


def test_a_chosen_driver(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    order = cast.order(reference="A-17")

    assert press(dispatcher, order, "assign", driver=bob.pk) == ["A-17: assigned to Bob (416 m)"]
    assert Order.objects.get(pk=order.pk).driver_id == bob.pk
    assert OrderEvent.objects.get(order=order, version=3).data["how"] == "by_hand"


def test_a_driver_without_room_is_refused_and_nothing_changes(dispatcher: Client, alice: Driver) -> None:
    held, order = cast.order(), cast.order(reference="A-18")
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=cast.DISPATCHER)

    told = press(dispatcher, order, "assign", driver=alice.pk)

    assert told == ["A-18: not done: the driver already holds as many orders as they can carry"]
    assert Order.objects.get(pk=order.pk).status == "pending"
    assert cast.history(order) == ["created", "offered"]


def test_nobody_chosen(dispatcher: Client) -> None:
    order = cast.order(reference="A-18")

    assert press(dispatcher, order, "assign", driver="") == ["A-18: not done: driver: Choose a driver."]
    assert press(dispatcher, order, "assign", driver="\0") == ["A-18: not done: driver: Enter a whole number."]


def test_taking_it_back_with_a_reason(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-17")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)

    told = press(dispatcher, order, "unassign", reason="Flat tyre")

    assert told == ["A-17: taken back; nobody near to offer it to yet"]
    assert OrderEvent.objects.get(order=order, kind="order.released").data["reason"] == "Flat tyre"


def test_reoffer_extend_and_cancel(dispatcher: Client) -> None:
    order = cast.order(reference="A-17")

    assert press(dispatcher, order, "reoffer") == ["A-17: nobody near to offer it to yet; expires in 1 min 59 s"]
    assert press(dispatcher, order, "extend", minutes=10) == ["A-17: given 10 min more; expires in 11 min"]
    assert press(dispatcher, order, "extend", minutes=0) == [
        "A-17: not done: minutes: Ensure this value is greater than or equal to 1."
    ]
    assert press(dispatcher, order, "cancel", reason="Changed their mind") == ["A-17: cancelled"]
    assert press(dispatcher, order, "cancel") == ["A-17: was cancelled already, by dora"]
    assert cast.history(order) == ["created", "reoffered", "corrected", "cancelled"]


def test_a_page_that_is_out_of_date_does_nothing_and_says_who_did_what(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-17")
    seen = Order.objects.get(pk=order.pk).version
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    response = dispatcher.post(url(order, "cancel"), {"version": seen}, follow=True)

    assert staff.lines(response) == [
        "A-17: not done: it has changed since you looked at it: assigned to Alice by Alice 0 s ago"
    ]
    assert Order.objects.get(pk=order.pk).status == "assigned"


def test_a_button_without_a_version_does_nothing(dispatcher: Client) -> None:
    order = cast.order(reference="A-17")

    response = dispatcher.post(url(order, "cancel"), {}, follow=True)

    assert staff.lines(response) == ["A-17: not done: version: This field is required."]
    assert Order.objects.get(pk=order.pk).version == 1


def test_only_a_post_acts_and_only_known_verbs(dispatcher: Client) -> None:
    order = cast.order()

    assert dispatcher.get(url(order, "cancel")).status_code == 405
    assert dispatcher.post(url(order, "explode"), {"version": 1}).status_code == 404
    assert dispatcher.get("/admin/orders/order/not-an-id/change/", follow=True).status_code == 200
    assert dispatcher.post("/admin/orders/order/not-an-id/act/cancel/", {"version": 1}).status_code == 302
    assert Order.objects.get(pk=order.pk).version == 1


def test_acting_needs_a_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff.member("dora", "dispatcher"))
    order = cast.order()

    assert client.post(url(order, "cancel"), {"version": 1}).status_code == 403
    assert Order.objects.get(pk=order.pk).status == "pending"


def test_who_may_not_dispatch_sees_no_buttons_and_is_refused(alice: Driver) -> None:
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_order"))
    client, order = staff.signed_in(viewer), cast.order()

    page = client.get(url(order))

    text = staff.page_text(page)
    assert "What to do" not in text
    # Neither the customer nor the history nor the offers: each is a permission of its own.
    assert [word for word in ("Carol", "History", "Lapsed", "Alice") if word in text.replace("All history", "")] == []
    assert client.post(url(order, "assign-nearest"), {"version": 2}).status_code == 403
    assert Order.objects.get(pk=order.pk).version == 2


def test_the_page_shows_the_nearest_drivers_with_distance_age_and_load(dispatcher: Client, alice: Driver) -> None:
    order = cast.order()
    cast.driver("bob", at=cast.EMBARCADERO, capacity=3)

    page = dispatcher.get(url(order))

    assert [(row["driver"].name, row["distance"], row["load"]) for row in page.context["candidates"]] == [
        ("Alice", "0 m", "0 of 1"),
        ("Bob", "416 m", "0 of 3"),
    ]
    assert "0 s ago" in page.context["candidates"][0]["position"]


def test_the_page_tells_the_history_and_why_this_driver(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=20)
    services.auto_assign()

    told = dispatcher.get(url(order)).context["told"]

    assert [event.what for event in told] == ["assigned", "corrected", "offered", "created"]
    assigned = told[0]
    assert assigned.who == "Baton"
    assert ("how", "matched by the system") in assigned.facts
    assert ("considered", "2 drivers") in assigned.facts
    assert [(row.name, row.distance, row.chosen, row.passed_over) for row in assigned.candidates] == [
        ("Alice", "0 m", True, ""),
        ("Bob", "416 m", False, "farther"),
    ]


def test_a_final_order_offers_nothing_to_do(dispatcher: Client) -> None:
    order = cast.order()
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    page = dispatcher.get(url(order))

    assert page.context["verbs"] == []
    assert page.context["may_correct"] is False


def test_the_page_takes_few_queries_however_many_were_offered_it(
    dispatcher: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        cast.driver(f"driver{number}", at=cast.FERRY_BUILDING)
    order = cast.order()

    with django_assert_max_num_queries(12):
        dispatcher.get(url(order))


def test_an_order_cannot_be_deleted_by_anybody() -> None:
    root = staff.signed_in(User.objects.create_superuser("root"))
    order = cast.order()

    assert root.post(f"/admin/orders/order/{order.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Order.objects.filter(pk=order.pk).exists()


def test_the_customer_is_shown_on_request_and_the_look_is_on_record(dispatcher: Client) -> None:
    order = cast.order()

    assert "Carol" not in dispatcher.get(url(order)).content.decode()
    assert ContactAccess.objects.count() == 0
    assert "Carol Customer" in staff.page_text(dispatcher.get(f"{url(order)}?customer=1"))

    look = ContactAccess.objects.get()
    assert (look.order_id, look.actor_type, look.actor_name, look.via) == (order.pk, "dispatcher", "dora", "admin")


def test_who_may_not_see_customers_cannot_ask_for_one() -> None:
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_order"))
    order = cast.order()

    assert "Carol" not in staff.signed_in(viewer).get(f"{url(order)}?customer=1").content.decode()
    assert ContactAccess.objects.count() == 0
