"""What a dispatcher decides by hand: it is moved as one act, pinned, and can be taken back for ten seconds."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from dispatch import audit, services
from dispatch.errors import DriverAtCapacity, UndoTooLate
from dispatch.models import Offer, Undo
from drivers.errors import DriverOffline, DriverSuspended, Invalid, NotFound
from drivers.models import Driver
from orders import actors, changes
from orders.errors import OrderNotPending, VersionConflict
from orders.lifecycle import Kind
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db

DORA = cast.DISPATCHER
ERIC = actors.dispatcher(2, "eric")


@pytest.fixture
def held(alice: Driver, bob: Driver) -> Order:
    """Accepted by Alice; Bob is near, too."""
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    return Order.objects.get(pk=order.pk)


def state(order: Order) -> tuple[str, int | None, bool]:
    fresh = Order.objects.get(pk=order.pk)
    return fresh.status, fresh.driver_id, fresh.pinned


def way_back(order: Order, actor: actors.Actor = DORA) -> Undo:
    undo = services.undo_of(order=order, actor=actor)
    assert undo is not None
    return undo


def unchanged(order: Order) -> Any:
    return Order.objects.filter(pk=order.pk).values().get(), cast.history(order), cast.offers(order)


# --- Reassign --------------------------------------------------------------------------------------------------------


def test_an_order_moves_to_another_driver_as_one_act(held: Order, alice: Driver, bob: Driver) -> None:
    services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA, version=held.version)

    assert state(held) == ("assigned", bob.pk, True)
    assert cast.history(held) == ["created", "offered", "assigned", "released", "assigned"]
    assert cast.offers(held) == {"alice": "barred", "bob": "lapsed"}
    event = OrderEvent.objects.get(order=held, version=5)
    assert (event.data["how"], event.data["from"], event.data["pinned"]) == ("reassigned", alice.pk, True)
    assert audit.look().broken == []


def test_if_the_other_driver_cannot_have_it_the_holder_keeps_it(held: Order, alice: Driver, bob: Driver) -> None:
    full, off, out = (cast.driver(name, at=cast.EMBARCADERO) for name in ("full", "off", "out"))
    services.assign_order(order_id=cast.order().pk, driver_id=full.pk, actor=DORA)
    services.go_offline(driver_id=off.pk)
    services.suspend_driver(driver_id=out.pk)
    before = unchanged(held)

    for driver_id, error in (
        (full.pk, DriverAtCapacity),
        (off.pk, DriverOffline),
        (out.pk, DriverSuspended),
        (alice.pk, Invalid),
        (0, NotFound),
    ):
        with pytest.raises(error):
            services.reassign_order(order_id=held.pk, driver_id=driver_id, actor=DORA)
    with pytest.raises(VersionConflict):
        services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA, version=held.version - 1)

    assert unchanged(held) == before


def test_what_nobody_holds_or_is_picked_up_cannot_be_reassigned(held: Order, alice: Driver, bob: Driver) -> None:
    pending = cast.order()
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk)

    for order in (pending, held):
        with pytest.raises(OrderNotPending):
            services.reassign_order(order_id=order.pk, driver_id=bob.pk, actor=DORA)

    assert state(pending) == ("pending", None, False)
    assert state(held) == ("picked_up", alice.pk, False)


# --- Pins ------------------------------------------------------------------------------------------------------------


def test_a_choice_by_hand_is_pinned_and_a_driver_who_accepts_is_not(held: Order, bob: Driver) -> None:
    by_hand = cast.order()
    services.assign_order(order_id=by_hand.pk, driver_id=bob.pk, actor=DORA)

    assert state(by_hand) == ("assigned", bob.pk, True)
    assert state(held)[2] is False


def test_a_pinned_order_is_offered_but_never_auto_assigned(alice: Driver) -> None:
    order = cast.order()
    services.pin_order(order_id=order.pk, actor=DORA)
    services.pin_order(order_id=order.pk, actor=DORA)
    cast.let_time_pass(order, seconds=20)

    assert services.auto_assign() == 0
    assert state(order) == ("pending", None, True)
    assert cast.offers(order) == {"alice": "open"}

    services.unpin_order(order_id=order.pk, actor=DORA)

    assert services.auto_assign() == 1
    assert state(order) == ("assigned", alice.pk, False)
    assert cast.history(order) == ["created", "offered", "pinned", "corrected", "unpinned", "assigned"]
    assert audit.look().broken == []


def test_a_pinned_order_may_be_accepted_and_then_is_the_drivers_own(alice: Driver) -> None:
    order = cast.order()
    services.pin_order(order_id=order.pk, actor=DORA)

    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    assert state(order) == ("assigned", alice.pk, False)
    assert audit.look().broken == []


def test_a_pinned_order_expires_all_the_same_and_stays_pinned(alice: Driver) -> None:
    order = cast.order()
    services.pin_order(order_id=order.pk, actor=DORA)
    cast.let_time_pass(order, seconds=125)

    assert services.expire_orders() == 1
    assert state(order) == ("pending", None, True)


def test_only_a_pending_order_is_pinned_and_only_as_it_was_seen(held: Order) -> None:
    pending = cast.order()

    with pytest.raises(OrderNotPending):
        services.pin_order(order_id=held.pk, actor=DORA)
    with pytest.raises(VersionConflict):
        services.pin_order(order_id=pending.pk, actor=DORA, version=pending.version + 1)

    assert (state(held)[2], state(pending)[2]) == (False, False)


def test_an_order_taken_from_a_driver_by_hand_is_never_auto_assigned_to_them_again(alice: Driver) -> None:
    order = cast.order()
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=DORA)
    services.unassign_order(order_id=order.pk, actor=DORA)
    cast.let_time_pass(order, seconds=20)

    assert services.auto_assign() == 0
    services.offer_orders()
    assert services.nearby_drivers(order_id=order.pk, radius_km=5) == []
    assert cast.offers(order) == {"alice": "barred"}

    # A dispatcher may all the same; and who then gives it back has declined it.
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=DORA)
    assert cast.offers(order) == {"alice": "lapsed"}
    services.release_order(order_id=order.pk, driver_id=alice.pk)
    assert cast.offers(order) == {"alice": "declined"}
    assert state(order) == ("pending", None, False)


def test_who_gives_back_what_they_were_never_offered_is_not_offered_it_either() -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = cast.order()
    services.assign_order(order_id=order.pk, driver_id=far.pk, actor=DORA)

    services.release_order(order_id=order.pk, driver_id=far.pk)
    cast.let_time_pass(order, seconds=20)

    assert services.auto_assign() == 0
    assert cast.offers(order) == {"far": "declined"}


def test_postgresql_refuses_a_system_that_overrides_a_pin(alice: Driver) -> None:
    order = cast.order()
    services.pin_order(order_id=order.pk, actor=DORA)
    fresh = Order.objects.get(pk=order.pk)
    taken: dict[str, Any] = {"status": "assigned", "driver_id": alice.pk, "assigned_at": cast.now()}

    for kind, fields in ((Kind.ASSIGNED, taken), (Kind.UNPINNED, {"pinned": False})):
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            changes.change(Order.objects.get(pk=fresh.pk), kind, actors.SYSTEM, **fields)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert changes.constraint_name(refusal.value) == "order_pin_holds"
    assert state(order) == ("pending", None, True)


def test_postgresql_refuses_a_pin_that_no_dispatcher_set(alice: Driver) -> None:
    order = cast.order()

    for actor in (actors.SYSTEM, actors.driver(alice.pk, "Alice")):
        with pytest.raises(IntegrityError) as refusal, transaction.atomic():
            changes.change(Order.objects.get(pk=order.pk), Kind.PINNED, actor, pinned=True)
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert changes.constraint_name(refusal.value) == "order_pin_holds"
    assert state(order) == ("pending", None, False)


@pytest.mark.parametrize("refused", ["declined", "barred"])
def test_postgresql_refuses_a_system_that_brings_together_who_was_parted(alice: Driver, refused: str) -> None:
    order = cast.order()
    Offer.objects.filter(order=order).update(status=refused, closed_at=cast.now())

    with pytest.raises(IntegrityError) as parted, transaction.atomic():
        changes.change(
            Order.objects.get(pk=order.pk),
            Kind.ASSIGNED,
            actors.SYSTEM,
            status="assigned",
            driver_id=alice.pk,
            assigned_at=cast.now(),
        )
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert changes.constraint_name(parted.value) == "order_respects_refusals"
    with pytest.raises(IntegrityError) as reopened, transaction.atomic():
        Offer.objects.filter(order=order).update(status="open", closed_at=None)
    assert changes.constraint_name(reopened.value) == "offer_refusal_holds"
    assert cast.offers(order) == {"alice": refused}


# --- Undo ------------------------------------------------------------------------------------------------------------


def test_an_undone_assignment_leaves_the_order_pending_with_the_time_it_had(alice: Driver, bob: Driver) -> None:
    before = cast.order()
    order = services.assign_order(order_id=before.pk, driver_id=alice.pk, actor=DORA)
    undo = way_back(order)

    services.undo_act(undo_id=undo.pk, actor=DORA)

    after = Order.objects.get(pk=order.pk)
    assert state(order) == ("pending", None, False)
    held_for = after.expires_at - before.expires_at
    assert timedelta(0) < held_for < timedelta(seconds=10)
    assert after.auto_assign_at - before.auto_assign_at == held_for
    assert cast.offers(order) == {"alice": "open", "bob": "open"}
    assert cast.history(order) == ["created", "offered", "assigned", "released", "offered"]
    assert audit.look().broken == []


def test_an_undone_assignment_of_an_expired_order_leaves_it_expired(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    services.expire_orders()
    assigned = services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=DORA)

    services.undo_act(undo_id=way_back(assigned).pk, actor=DORA)

    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.status, fresh.expired, cast.offers(order)) == ("pending", True, {"alice": "lapsed"})
    assert cast.history(order)[-4:] == ["reoffered", "assigned", "released", "expired"]
    assert audit.look().broken == []


def test_an_undone_unassignment_gives_it_back_to_who_held_it(held: Order, alice: Driver) -> None:
    order = services.unassign_order(order_id=held.pk, actor=DORA)

    services.undo_act(undo_id=way_back(order).pk, actor=DORA)

    assert state(held) == ("assigned", alice.pk, False)
    assert cast.offers(held) == {"alice": "lapsed", "bob": "lapsed"}
    assert cast.history(held)[-3:] == ["released", "offered", "assigned"]
    assert audit.look().broken == []


def test_an_undone_reassignment_gives_it_back_to_who_held_it_first(held: Order, alice: Driver, bob: Driver) -> None:
    services.unassign_order(order_id=held.pk, actor=DORA)
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=DORA)
    order = services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA)

    services.undo_act(undo_id=way_back(order).pk, actor=DORA)

    # It was pinned then, so it is again.
    assert state(held) == ("assigned", alice.pk, True)
    assert cast.offers(held) == {"alice": "lapsed", "bob": "lapsed"}
    assert audit.look().broken == []


def test_a_refusal_that_a_choice_by_hand_passed_over_is_back_when_the_choice_is_undone(alice: Driver) -> None:
    order = cast.order()
    services.decline_order(order_id=order.pk, driver_id=alice.pk)
    assigned = services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=DORA)

    services.undo_act(undo_id=way_back(assigned).pk, actor=DORA)

    assert cast.offers(order) == {"alice": "declined"}


def test_only_who_did_it_may_undo_it_and_only_once(held: Order, bob: Driver) -> None:
    order = services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA)
    undo = way_back(order)

    for stranger in (ERIC, actors.integrator(1, "dora")):
        with pytest.raises(NotFound):
            services.undo_act(undo_id=undo.pk, actor=stranger)
    with pytest.raises(NotFound):
        services.undo_act(undo_id=uuid4(), actor=DORA)
    assert state(held) == ("assigned", bob.pk, True)

    services.undo_act(undo_id=undo.pk, actor=DORA)
    before = unchanged(held)
    with pytest.raises(UndoTooLate):
        services.undo_act(undo_id=undo.pk, actor=DORA)
    assert unchanged(held) == before


def test_after_ten_seconds_of_the_databases_clock_it_is_too_late(held: Order, bob: Driver) -> None:
    order = services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA)
    undo = way_back(order)
    assert timedelta(seconds=9) < undo.until - cast.now() <= timedelta(seconds=10)
    Undo.objects.update(until=cast.now())

    with pytest.raises(UndoTooLate):
        services.undo_act(undo_id=undo.pk, actor=DORA)

    assert state(held) == ("assigned", bob.pk, True)


def test_what_has_moved_on_since_is_not_undone(held: Order, alice: Driver, bob: Driver) -> None:
    assigned = services.reassign_order(order_id=held.pk, driver_id=bob.pk, actor=DORA)
    services.pick_up_order(order_id=held.pk, driver_id=bob.pk)
    taken = services.unassign_order(
        order_id=services.assign_order(order_id=cast.order().pk, driver_id=alice.pk, actor=DORA).pk, actor=DORA
    )
    carl = cast.driver("carl", at=cast.FERRY_BUILDING)
    services.offer_orders()
    services.accept_order(order_id=taken.pk, driver_id=carl.pk)

    for order, holder in ((assigned, bob), (taken, carl)):
        with pytest.raises(VersionConflict):
            services.undo_act(undo_id=way_back(order).pk, actor=DORA)
        assert Order.objects.get(pk=order.pk).driver_id == holder.pk


def test_an_earlier_holder_without_room_or_suspended_does_not_get_it_back(held: Order, alice: Driver) -> None:
    order = services.unassign_order(order_id=held.pk, actor=DORA)
    undo = way_back(order)
    other = cast.order()
    services.assign_order(order_id=other.pk, driver_id=alice.pk, actor=DORA)

    with pytest.raises(DriverAtCapacity):
        services.undo_act(undo_id=undo.pk, actor=DORA)
    services.cancel_order(order_id=other.pk, actor=DORA)
    services.suspend_driver(driver_id=alice.pk)
    with pytest.raises(DriverSuspended):
        services.undo_act(undo_id=undo.pk, actor=DORA)

    assert state(held) == ("pending", None, False)
    assert Undo.objects.get(pk=undo.pk).undone_at is None


def test_the_history_of_a_choice_by_hand_tells_who_else_was_near(held: Order, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.assign_order(order_id=order.pk, driver_id=bob.pk, actor=DORA)

    told = OrderEvent.objects.get(order=order, kind="order.assigned").data["candidates"]
    assert [(one["driver"], one.get("passed_over")) for one in told] == [(alice.pk, "at_capacity"), (bob.pk, None)]
    assert (told[0]["distance_m"], told[0]["load"], told[0]["capacity"]) == (0, 1, 1)
