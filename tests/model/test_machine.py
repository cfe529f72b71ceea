"""Hypothesis drives the services on PostgreSQL and the model (tests/model/world.py) through the same acts, hundreds of
sequences of them, and compares every row after every step. What it finds it shrinks to the shortest sequence.

`BATON_MODEL_EXAMPLES=2000 bin/test pytest tests/model` looks longer; without it the sequences are the same in every run.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pytest_django import Settings

from dispatch import audit, services
from dispatch.models import Offer
from dispatch.services import Tap
from drivers.clock import database_now
from drivers.errors import DomainError
from drivers.models import Presence
from orders.models import Order
from tests import cast
from tests.model.world import AUTO_ASSIGN_AFTER, EXPIRE_AFTER, HELD, LIVE, STEP, Courier, Parcel, World

NAMES = ["ada", "ben", "cyd"]
EXAMPLES = int(os.environ.get("BATON_MODEL_EXAMPLES", "80"))


class Dispatching(RuleBasedStateMachine):
    """Each example lives in a savepoint that is rolled back."""

    orders: Bundle[int] = Bundle("orders")
    names = st.sampled_from(NAMES)
    likely = st.sampled_from([True, True, True, False])

    @initialize(target=orders, capacities=st.tuples(*[st.integers(1, 2)] * len(NAMES)))
    def begin(self, capacities: tuple[int, ...]) -> int:
        self.savepoint = transaction.atomic()
        # Django lets durable blocks be nested in a test's own; this is one.
        vars(self.savepoint)["_from_testcase"] = True
        self.savepoint.__enter__()
        self.world = World()
        self.pks: dict[str, int] = {}
        self.ids: dict[int, Any] = {}
        self.acts = 0
        for name, capacity in zip(NAMES, capacities, strict=True):
            self.pks[name] = cast.driver(name, at=cast.EMBARCADERO, capacity=capacity).pk
            self.world.couriers[name] = Courier(capacity=capacity)
        return self.place()

    def teardown(self) -> None:
        if not hasattr(self, "savepoint"):
            return
        try:
            services.expire_orders()
            report = audit.look()
            assert report.clean, [(o.check.name, o.rows) for o in report.outcomes if o.broken]
        finally:
            transaction.set_rollback(True)
            self.savepoint.__exit__(None, None, None)

    # --- Acts: the same in both worlds ---------------------------------------------------------------------------------

    def both(self, expected: str | None, act: Callable[[], Any]) -> None:
        try:
            act()
        except DomainError as error:
            assert error.code == expected
        else:
            assert expected is None, f"should have been refused as {expected}"

    def tap(self) -> Tap:
        self.acts += 1
        return Tap(action_id=f"tap-{self.acts}")

    def whom(self, key: int, name: str, likely: bool) -> str:
        """The driver whose turn it would be, or just any: most sequences should lead somewhere."""
        parcel = self.world.parcels[key]
        offered = [who for who, status in parcel.offers.items() if status == "open"]
        if likely and (parcel.holder or offered):
            return parcel.holder or offered[0]
        return name

    @rule(target=orders)
    def place_another(self) -> int:
        return self.place()

    def place(self) -> int:
        now = database_now()
        order = cast.order(
            expires_at=now + timedelta(seconds=EXPIRE_AFTER), auto_assign_at=now + timedelta(seconds=AUTO_ASSIGN_AFTER)
        )
        key = len(self.ids)
        self.ids[key] = order.pk
        parcel = Parcel(expires_at=self.world.now + EXPIRE_AFTER, auto_assign_at=self.world.now + AUTO_ASSIGN_AFTER)
        self.world.parcels[key] = parcel
        self.world.offer(parcel)
        return key

    @rule(key=orders, name=names, likely=likely, twice=st.booleans())
    def accept(self, key: int, name: str, likely: bool, twice: bool) -> None:
        name = self.whom(key, name, likely)
        tap = self.tap()
        expected = self.world.accept(self.world.parcels[key], name)
        for _ in range(2 if twice and expected is None else 1):
            self.both(
                expected, lambda: services.accept_order(order_id=self.ids[key], driver_id=self.pks[name], tap=tap)
            )

    @rule(key=orders, name=names)
    def decline(self, key: int, name: str) -> None:
        expected = self.world.decline(self.world.parcels[key], name)
        self.both(expected, lambda: services.decline_order(order_id=self.ids[key], driver_id=self.pks[name]))

    @rule(
        key=orders, name=names, likely=likely, step=st.sampled_from(["pick_up", "deliver", "fail"]), twice=st.booleans()
    )
    def carry(self, key: int, name: str, likely: bool, step: str, twice: bool) -> None:
        name = self.whom(key, name, likely)
        who: dict[str, Any] = {"order_id": self.ids[key], "driver_id": self.pks[name]}
        steps: dict[str, tuple[str, str, Callable[[Tap], Any]]] = {
            "pick_up": ("assigned", "picked_up", lambda tap: services.pick_up_order(**who, tap=tap)),
            "deliver": ("picked_up", "delivered", lambda tap: services.deliver_order(**who, tap=tap)),
            "fail": ("picked_up", "failed", lambda tap: services.fail_order(**who, reason="closed", tap=tap)),
        }
        before, after, act = steps[step]
        tap = self.tap()
        expected = self.world.carry(self.world.parcels[key], name, before, after)
        for _ in range(2 if twice and expected is None else 1):
            self.both(expected, lambda: act(tap))

    @rule(key=orders, name=names, likely=likely)
    def release(self, key: int, name: str, likely: bool) -> None:
        name = self.whom(key, name, likely)
        expected = self.world.release(self.world.parcels[key], name)
        self.both(expected, lambda: services.release_order(order_id=self.ids[key], driver_id=self.pks[name]))

    @rule(key=orders, name=names)
    def reassign(self, key: int, name: str) -> None:
        expected = self.world.reassign(self.world.parcels[key], name)
        self.both(
            expected,
            lambda: services.reassign_order(order_id=self.ids[key], driver_id=self.pks[name], actor=cast.DISPATCHER),
        )

    @rule(key=orders, name=names)
    def assign(self, key: int, name: str) -> None:
        expected = self.world.assign(self.world.parcels[key], name)
        self.both(
            expected,
            lambda: services.assign_order(order_id=self.ids[key], driver_id=self.pks[name], actor=cast.DISPATCHER),
        )

    @rule(key=orders, act=st.sampled_from(["unassign", "unassign", "reoffer", "cancel", "pin", "unpin", "too late"]))
    def intervene(self, key: int, act: str) -> None:
        parcel, order = self.world.parcels[key], {"order_id": self.ids[key], "actor": cast.DISPATCHER}
        if act == "unassign":
            self.both(self.world.unassign(parcel), lambda: services.unassign_order(**order))
        elif act == "reoffer":
            self.both(self.world.reoffer(parcel), lambda: services.reoffer_order(**order))
        elif act == "cancel":
            self.both(self.world.cancel(parcel), lambda: services.cancel_order(**order))
        elif act in {"pin", "unpin"}:
            service = services.pin_order if act == "pin" else services.unpin_order
            self.both(self.world.pin(parcel, act == "pin"), lambda: service(**order))
        elif parcel.version > 1:
            seen = parcel.version - 1
            self.both("version_conflict", lambda: services.reoffer_order(**order, version=seen))
            self.both("version_conflict", lambda: services.unassign_order(**order, version=seen))

    # --- Drivers and time ------------------------------------------------------------------------------------------------

    @rule(name=names, near=st.booleans())
    def heartbeat(self, name: str, near: bool) -> None:
        lat, lng = cast.EMBARCADERO if near else (cast.OCEAN_BEACH[0] - 1, cast.OCEAN_BEACH[1])
        services.record_heartbeats(positions=[services.Position(driver_id=self.pks[name], lat=lat, lng=lng)])
        self.world.heartbeat(name, near)

    @rule(name=names, duty=st.sampled_from(["on", "on", "off", "suspended", "reinstated"]))
    def change_duty(self, name: str, duty: str) -> None:
        pk, courier = self.pks[name], self.world.couriers[name]
        if duty == "on":
            self.both(self.world.go_online(name), lambda: services.go_online(driver_id=pk))
        elif duty == "off":
            self.world.go_offline(name)
            services.go_offline(driver_id=pk)
        elif duty == "suspended":
            self.world.suspend(name)
            services.suspend_driver(driver_id=pk)
        else:
            courier.suspended = False
            services.reinstate_driver(driver_id=pk)

    @rule()
    def let_time_pass(self) -> None:
        self.world.now += STEP
        for key, parcel in self.world.parcels.items():
            if parcel.status == "pending":
                cast.let_time_pass(Order.objects.get(pk=self.ids[key]), seconds=STEP)
                parcel.version += 1
        for presence in Presence.objects.all():
            Presence.objects.filter(pk=presence.pk).update(
                last_seen=presence.last_seen - timedelta(seconds=STEP) if presence.last_seen else None
            )

    # --- Sweeps ----------------------------------------------------------------------------------------------------------

    @rule()
    def sweep_offers(self) -> None:
        services.offer_orders()
        self.world.offer_all()

    @rule()
    def sweep_expired(self) -> None:
        services.expire_orders()
        self.world.expire()

    @rule()
    def sweep_silent(self) -> None:
        services.mark_silent_drivers_offline()
        self.world.mark_silent()

    @rule()
    def sweep_auto_assign(self) -> None:
        """The model does not say who gets which order, only that nobody is left waiting for whom there is a driver."""
        due = dict(self.world.due())
        services.auto_assign()
        for key, parcel in due.items():
            order = Order.objects.get(pk=self.ids[key])
            if order.status == "assigned":
                name = next(name for name, pk in self.pks.items() if pk == order.driver_id)
                assert name in self.world.eligible(parcel)
                self.world.hand_over(parcel, name)
        for parcel in due.values():
            assert parcel.status == "assigned" or self.world.eligible(parcel) == []

    # --- After every step ------------------------------------------------------------------------------------------------

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        if not hasattr(self, "world"):
            return
        with connection.cursor() as cursor:
            # What is checked at commit is checked now: every change has its event.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        names = {pk: name for name, pk in self.pks.items()}
        rows = {order.pk: order for order in Order.objects.filter(pk__in=self.ids.values())}
        offers: dict[Any, dict[str, str]] = {pk: {} for pk in rows}
        for order_id, driver_id, status in Offer.objects.values_list("order_id", "driver_id", "status"):
            offers[order_id][names[driver_id]] = status
        for key, parcel in self.world.parcels.items():
            order = rows[self.ids[key]]
            assert (order.status, names.get(order.driver_id or 0), order.expired, order.pinned, order.version) == (
                parcel.status,
                parcel.holder,
                parcel.expired,
                parcel.pinned,
                parcel.version,
            )
            assert offers[order.pk] == parcel.offers
        presences = dict(Presence.objects.values_list("driver_id", "is_online"))
        assert {names[pk]: on_duty for pk, on_duty in presences.items()} == {
            name: courier.on_duty for name, courier in self.world.couriers.items()
        }

    @invariant()
    def nobody_is_over_capacity(self) -> None:
        for name, courier in getattr(self, "world", World()).couriers.items():
            held = Order.objects.filter(driver_id=self.pks[name], status__in=HELD).count()
            assert held <= courier.capacity


def run(**changes: Any) -> None:
    run_state_machine_as_test(
        Dispatching,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize="BATON_MODEL_EXAMPLES" not in os.environ,
            database=None,
            suppress_health_check=list(HealthCheck),
            **{"phases": [Phase.generate, Phase.shrink], **changes},
        ),
    )


@pytest.fixture(autouse=True)
def hours_instead_of_minutes(settings: Settings) -> None:
    settings.EXPIRE_AFTER_SECONDS = EXPIRE_AFTER
    settings.AUTO_ASSIGN_AFTER_SECONDS = AUTO_ASSIGN_AFTER
    settings.LIVE_SECONDS = LIVE


@pytest.mark.django_db
def test_whatever_is_done_in_whatever_order_the_rows_are_as_the_model_says() -> None:
    run()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("dispatch.services.accept.close_offers_of_driver", lambda *args, **kwargs: None),
        ("dispatch.services.expire.close_offers_of_orders", lambda *args, **kwargs: None),
        ("dispatch.services.carry.offer_to_nearby", lambda order: 0),
        ("dispatch.services.accept.check_available", lambda order, now: None),
    ],
    ids=["a full driver keeps offers", "an expired order keeps offers", "a released order waits", "no deadline"],
)
def test_it_finds_what_is_broken_on_purpose(monkeypatch: pytest.MonkeyPatch, place: str, fault: Any) -> None:
    monkeypatch.setattr(place, fault)
    with pytest.raises(BaseException) as found:  # several failures at once come as a group
        run(phases=[Phase.generate])
    assert found.type.__name__ in {"AssertionError", "ExceptionGroup"}
