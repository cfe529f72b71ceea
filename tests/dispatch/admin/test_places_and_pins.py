"""Saved places, messages, and what the pages of orders offer and say about choices by hand."""

import pytest
from django.test import Client

from dispatch import services
from drivers.models import Driver
from orders.models import Order, SavedPlace
from tests import cast, staff

pytestmark = pytest.mark.django_db


def press(client: Client, order: Order, verb: str, **given: object) -> list[str]:
    fresh = Order.objects.get(pk=order.pk)
    url = f"/admin/orders/order/{order.pk}/act/{verb}/"
    return staff.lines(client.post(url, {"version": fresh.version, **given}, follow=True))


def test_a_supervisor_keeps_the_saved_places_and_a_dispatcher_only_reads_them(
    supervisor: Client, dispatcher: Client
) -> None:
    given = {"name": "Depot", "address": "1 Main St", "lat": "37.8", "lng": "-122.4"}

    assert supervisor.post("/admin/orders/savedplace/add/", given).status_code == 302
    place = SavedPlace.objects.get()
    assert (place.name, place.point.y, place.point.x) == ("Depot", 37.8, -122.4)
    page = f"/admin/orders/savedplace/{place.pk}/"
    assert 'value="37.8"' in supervisor.get(page + "change/").content.decode()
    assert supervisor.post(page + "change/", {**given, "lat": "37.9"}).status_code == 302
    place.refresh_from_db()
    assert place.point.y == 37.9

    wrong = supervisor.post(page + "change/", {**given, "lat": "91"})
    assert (wrong.status_code, "less than or equal to 90" in staff.page_text(wrong)) == (200, True)
    assert dispatcher.post(page + "change/", given).status_code == 403
    assert dispatcher.post(page + "delete/", {"post": "yes"}).status_code == 403
    assert supervisor.post(page + "delete/", {"post": "yes"}).status_code == 302
    assert not SavedPlace.objects.exists()


def test_an_order_is_pinned_and_unpinned_from_its_page(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-17")
    page = f"/admin/orders/order/{order.pk}/change/"
    assert dispatcher.get(page).context["verbs"] == ["assign-nearest", "assign", "pin", "reoffer", "extend", "cancel"]

    assert press(dispatcher, order, "pin") == ["A-17: pinned: it is not auto-assigned"]
    assert Order.objects.get().pinned
    shown = dispatcher.get(page)
    assert ("unpin" in shown.context["verbs"], "pin" in shown.context["verbs"]) == (True, False)
    assert "pending pinned" in staff.page_text(shown).lower()
    assert press(dispatcher, order, "unpin")[0].startswith("A-17: no longer pinned; expires in ")
    assert not Order.objects.get().pinned


def test_an_assigned_order_is_moved_to_somebody_else_from_its_page(
    dispatcher: Client, alice: Driver, bob: Driver
) -> None:
    order = cast.order(reference="A-17")
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    assert press(dispatcher, order, "reassign", driver=bob.pk) == ["A-17: moved to Bob (416 m)"]

    shown = staff.page_text(dispatcher.get(f"/admin/orders/order/{order.pk}/change/"))
    assert "chosen by hand" in shown
    assert "moved by a dispatcher" in shown
    assert Order.objects.get().driver_id == bob.pk


def test_many_are_pinned_from_the_list(dispatcher: Client) -> None:
    orders = [cast.order(reference=f"A-{number}") for number in range(3)]

    dispatcher.post("/admin/orders/order/", {"action": "pin", "_selected_action": [str(order.pk) for order in orders]})

    assert Order.objects.filter(pinned=True).count() == 3


def test_what_was_written_to_drivers_can_be_looked_up(dispatcher: Client, alice: Driver) -> None:
    services.send_message(driver_id=alice.pk, text="Side door", actor=cast.DISPATCHER)

    assert "Side door dora" in staff.page_text(dispatcher.get("/admin/dispatch/message/?q=ali"))
    assert "Side door" not in staff.page_text(dispatcher.get("/admin/dispatch/message/?q=bob"))
