"""Actions on many orders: one service call and one line per row, and what is refused changes nothing."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast, staff

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/order/"


def act(client: Client, action: str, *orders: Order, **data: Any) -> Any:
    chosen = [str(order.pk) for order in orders]
    posted = {"action": action, "index": 0, "_selected_action": chosen, **data}
    return client.post(LIST, posted, follow=True)


def state(order: Order) -> tuple[str, int | None, int, bool]:
    order = Order.objects.get(pk=order.pk)
    return order.status, order.driver_id, order.version, order.expired


def test_each_order_goes_to_its_nearest_driver_and_says_so(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    order = cast.order(reference="A-17")

    response = act(dispatcher, "assign_to_nearest", order)

    assert staff.lines(response) == ["Assign to nearest: 1 done.", "A-17: assigned to Alice (0 m)"]
    assert state(order) == ("assigned", alice.pk, 3, False)
    event = OrderEvent.objects.get(order=order, version=3)
    assert (event.actor_type, event.actor_name) == ("dispatcher", "dora")
    assert (event.data["how"], event.data["distance_m"], event.data["driver_name"]) == ("nearest", 0, "Alice")


def test_success_and_refusal_are_told_row_by_row_and_the_refused_are_as_before(
    dispatcher: Client, alice: Driver
) -> None:
    late = cast.order(reference="A-18")
    first = cast.order(reference="A-17", priority=5)
    gone = cast.order(reference="A-19")
    services.cancel_order(order_id=gone.pk, actor=cast.DISPATCHER)
    before = [state(late), state(gone)]
    events = OrderEvent.objects.count()

    response = act(dispatcher, "assign_to_nearest", late, first, gone)

    # The most urgent is served first, whatever the order of the list; refusals are told first.
    assert staff.lines(response) == [
        "Assign to nearest: 1 done, 2 not done.",
        "A-18: not done: no free driver within 20 km",
        "A-19: not done: it is cancelled",
        "A-17: assigned to Alice (0 m)",
    ]
    assert state(first) == ("assigned", alice.pk, 3, False)
    assert [state(late), state(gone)] == before
    assert OrderEvent.objects.count() == events + 1


def test_an_order_that_left_the_list_meanwhile_still_has_its_line(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    services.deliver_order(order_id=order.pk, driver_id=alice.pk)

    response = act(dispatcher, "release", order)

    assert staff.lines(response) == ["Release: 0 done, 1 not done.", "A-1: not done: it is delivered"]


def test_release_takes_an_order_back_and_offers_it_again(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    pending = cast.order(reference="A-2")

    response = act(dispatcher, "release", order, pending)

    assert staff.lines(response) == [
        "Release: 1 done, 1 not done.",
        "A-2: not done: it is pending",
        "A-1: taken back; offered to 1 driver",
    ]
    assert state(order)[:2] == ("pending", None)
    assert cast.history(order) == ["created", "offered", "assigned", "released", "offered"]


def test_reoffer_gives_an_expired_order_a_new_round(dispatcher: Client, alice: Driver) -> None:
    order = cast.order(reference="A-1")
    cast.let_time_pass(order, seconds=130)
    services.expire_orders()
    assert state(order)[3] is True

    response = act(dispatcher, "reoffer", order)

    assert staff.lines(response) == ["Re-offer: 1 done.", "A-1: offered to 1 driver; expires in 1 min 59 s"]
    assert state(order)[3] is False


def test_extend_is_refused_once_the_time_has_run_out(dispatcher: Client) -> None:
    fresh, late = cast.order(reference="A-1"), cast.order(reference="A-2")
    until = fresh.expires_at
    cast.let_time_pass(late, seconds=130)
    before = state(late)

    response = act(dispatcher, "extend", fresh, late)

    assert staff.lines(response)[:2] == [
        "Extend: 1 done, 1 not done.",
        "A-2: not done: its time has run out; re-offer it instead",
    ]
    assert (Order.objects.get(pk=fresh.pk).expires_at - until).total_seconds() == 300
    assert state(late) == before


def test_cancelling_asks_first_and_changes_nothing_yet(dispatcher: Client) -> None:
    order = cast.order(reference="A-1")

    response = act(dispatcher, "cancel", order)

    assert "Cancel 1 order?" in staff.page_text(response)
    assert f'name="version-{order.pk}" value="1"' in response.content.decode()
    assert state(order) == ("pending", None, 1, False)


def test_cancelling_leaves_alone_what_changed_since_it_was_shown(dispatcher: Client, alice: Driver) -> None:
    shown, taken = cast.order(reference="A-1"), cast.order(reference="A-2")
    services.accept_order(order_id=taken.pk, driver_id=alice.pk)
    seen = {f"version-{order.pk}": 2 for order in (shown, taken)}

    response = dispatcher.post(
        LIST,
        {
            "action": "cancel",
            "confirmed": 1,
            "reason": "Shop closed",
            "_selected_action": [shown.pk, taken.pk],
            **seen,
        },
        follow=True,
    )

    assert staff.lines(response) == [
        "Cancel: 1 done, 1 not done.",
        "A-2: not done: it has changed since you looked at it: assigned to Alice by Alice 0 s ago",
        "A-1: cancelled",
    ]
    assert state(shown)[0] == "cancelled"
    assert state(taken) == ("assigned", alice.pk, 3, False)
    assert OrderEvent.objects.get(order=shown, kind="order.cancelled").data == {"reason": "Shop closed"}


def test_a_confirmation_without_the_versions_cancels_nothing(dispatcher: Client) -> None:
    order = cast.order(reference="A-1")

    dispatcher.post(LIST, {"action": "cancel", "confirmed": 1, "_selected_action": [order.pk]})

    assert state(order) == ("pending", None, 1, False)


def test_a_long_report_folds_away_what_went_well(dispatcher: Client) -> None:
    orders = [cast.order(reference=f"A-{number}") for number in range(13)]

    response = act(dispatcher, "reoffer", *orders)

    (message,) = response.context["messages"]
    assert "<details><summary>13 done</summary>" in str(message)
    assert len(staff.lines(response)) == 14


def test_too_many_at_once_are_refused_whole(dispatcher: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.admin.report.BULK_LIMIT", 2)
    orders = [cast.order() for _ in range(3)]

    response = act(dispatcher, "reoffer", *orders)

    assert staff.lines(response) == ["At most 2 orders at once. Nothing was done; choose fewer, or filter."]
    assert [state(order)[2] for order in orders] == [1, 1, 1]


def test_everything_in_the_filtered_list_can_be_chosen_at_once(dispatcher: Client) -> None:
    chosen, other = cast.order(reference="A-1", vehicle="van"), cast.order(reference="A-2")

    response = dispatcher.post(
        f"{LIST}?vehicle=van",
        {"action": "reoffer", "index": 0, "select_across": 1, "_selected_action": [chosen.pk]},
        follow=True,
    )

    assert staff.lines(response)[0] == "Re-offer: 1 done."
    assert (state(chosen)[2], state(other)[2]) == (2, 1)


def test_an_unknown_order_keeps_its_line(dispatcher: Client) -> None:
    unknown = uuid4()

    response = dispatcher.post(LIST, {"action": "reoffer", "index": 0, "_selected_action": [str(unknown)]}, follow=True)

    assert staff.lines(response) == [
        "Re-offer: 0 done, 1 not done.",
        f"{str(unknown)[:18]}: not done: there is no such thing, or it is not yours to see",
    ]


def test_what_is_no_order_at_all_is_refused_clearly(dispatcher: Client) -> None:
    response = dispatcher.post(LIST, {"action": "reoffer", "index": 0, "_selected_action": ["x"]}, follow=True)

    assert staff.lines(response) == ["Something that was selected is no order. Nothing was done."]


def test_who_may_only_look_has_no_actions_and_is_refused_by_the_server(alice: Driver) -> None:
    from django.contrib.auth.models import Permission

    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_order"))
    client, order = staff.signed_in(viewer), cast.order()
    offers = Offer.objects.count()

    response = act(client, "assign_to_nearest", order)

    assert 'name="action"' not in response.content.decode()
    assert state(order) == ("pending", None, 2, False)
    assert Offer.objects.count() == offers
