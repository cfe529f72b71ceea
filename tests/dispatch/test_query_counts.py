"""How many statements each door and each verb sends to PostgreSQL: exactly as many as tests/query_counts.json says.

One more is a round trip more for everybody, and an N+1 shows here first: there are always several of everything. When a
number changes on purpose, write the file anew and let the change be seen in its diff:

    BATON_QUERY_COUNTS=write bin/test pytest tests/dispatch/test_query_counts.py
"""

import inspect
import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.api import urls, urls_orders
from drivers import services as drivers
from drivers.models import DeviceToken, Driver, Presence
from orders.models import Order
from tests import cast, staff
from tests.dispatch.api import callers

pytestmark = pytest.mark.django_db

BASELINE = Path(__file__).resolve().parents[1] / "query_counts.json"
#: Opening and closing transactions says nothing about the work in them, and differs between tests and life.
NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


class Stage:
    """A driver with plenty of room and their app, five more who are offered everything too, a shop, and a script."""

    def __init__(self) -> None:
        self.driver = cast.driver("zoe", at=cast.FERRY_BUILDING, capacity=50)
        self.others = [cast.driver(f"other{n}", at=cast.EMBARCADERO, capacity=50) for n in range(5)]
        self.phone = callers.phone(self.driver)
        self.shop = callers.shop()
        self.script = callers.script()
        self.console = callers.Caller(staff.signed_in(staff.member("dora", "dispatcher")))
        self.numbers = count()
        for _ in range(3):
            self.held()
            self.order()

    def order(self, **changes: Any) -> Order:
        return cast.order(**changes)

    def held(self) -> Order:
        order = self.order()
        services.accept_order(order_id=order.pk, driver_id=self.driver.pk)
        return order

    def carried(self) -> Order:
        order = self.held()
        services.pick_up_order(order_id=order.pk, driver_id=self.driver.pk)
        return order

    def due(self, seconds: float) -> Order:
        order = self.order()
        cast.let_time_pass(order, seconds=seconds)
        return order

    def spare(self) -> Driver:
        """A driver on duty with an app, who may go."""
        spare = cast.driver(f"spare{next(self.numbers)}", at=cast.FERRY_BUILDING)
        DeviceToken.objects.create(user=spare.user)
        return spare


Act = Callable[[], Any]
#: Each prepares one act and returns it; it can be prepared any number of times.
Scenario = Callable[[Stage], Act]


def acting(verb: str, prepare: Callable[[Stage], Order], **body: Any) -> Scenario:
    def scenario(stage: Stage) -> Act:
        order = prepare(stage)
        return lambda: stage.phone.post(f"orders/{order.pk}/{verb}/", body)

    return scenario


def asking(who: str, path: str, *, method: str = "get", body: dict[str, Any] | None = None) -> Scenario:
    def scenario(stage: Stage) -> Act:
        caller: callers.Caller = getattr(stage, who)
        order = stage.order() if "{id}" in path else None
        whole = path.format(id=order.pk) if order else path
        return (lambda: caller.get(whole)) if method == "get" else (lambda: getattr(caller, method)(whole, body))

    return scenario


def logging_out(stage: Stage) -> Act:
    app = callers.phone(stage.spare())
    return lambda: app.post("auth/logout/")


def signing_in(stage: Stage) -> Act:
    who = stage.spare()
    login = {"username": who.user.username, "password": cast.PASSWORD}
    return lambda: callers.Caller(stage.phone.client).post("auth/login/", login)


def unassigning(stage: Stage) -> Act:
    order = stage.held()
    return lambda: stage.script.post(f"orders/{order.pk}/unassign/")


def own(path: str, *, method: str, body: dict[str, Any] | None = None) -> Scenario:
    """On an order of the shop's own."""

    def scenario(stage: Stage) -> Act:
        whole = path.format(id=callers.placed(stage.shop)["id"])
        return (lambda: stage.shop.get(whole)) if method == "get" else lambda: getattr(stage.shop, method)(whole, body)

    return scenario


def assigning(stage: Stage) -> Act:
    order = stage.order()
    return lambda: stage.script.post(f"orders/{order.pk}/assign/", {"driver": stage.driver.pk})


def messages(stage: Stage) -> Act:
    for _ in range(3):
        services.send_message(driver_id=stage.driver.pk, text="Call us", actor=cast.DISPATCHER)
    return lambda: stage.phone.get("driver/messages/")


def reading_a_message(stage: Stage) -> Act:
    message = services.send_message(driver_id=stage.driver.pk, text="Call us", actor=cast.DISPATCHER)
    return lambda: stage.phone.post(f"driver/messages/{message.pk}/read/")


def candidates(stage: Stage) -> Act:
    order = stage.order()
    return lambda: stage.console.get(f"board/candidates/?order={order.pk}")


def board_driver(stage: Stage) -> Act:
    return lambda: stage.console.get(f"board/drivers/{stage.driver.pk}/")


ENDPOINTS: dict[str, Scenario] = {
    "POST auth/login/": signing_in,
    "POST auth/logout/": logging_out,
    "POST auth/ticket/": asking("phone", "auth/ticket/", method="post"),
    "GET driver/": asking("phone", "driver/"),
    "PATCH driver/": asking("phone", "driver/", method="patch", body={"is_online": True}),
    "POST driver/heartbeat/": asking("phone", "driver/heartbeat/", method="post", body={"lat": 37.79, "lng": -122.39}),
    "GET driver/sync/": asking("phone", "driver/sync/"),
    "GET driver/orders/": asking("phone", "driver/orders/"),
    "GET driver/messages/": messages,
    "POST driver/messages/{id}/read/": reading_a_message,
    "GET driver/figures/": asking("phone", "driver/figures/"),
    "POST orders/{id}/accept/": acting("accept", Stage.order),
    "POST orders/{id}/decline/": acting("decline", Stage.order),
    "POST orders/{id}/release/": acting("release", Stage.held),
    "POST orders/{id}/pick-up/": acting("pick-up", Stage.held),
    "POST orders/{id}/deliver/": acting("deliver", Stage.carried),
    "POST orders/{id}/fail/": acting("fail", Stage.carried, reason="nobody there"),
    "POST orders/": asking("shop", "orders/", method="post", body=callers.body()),
    "GET orders/": asking("script", "orders/"),
    "GET orders/{id}/": own("orders/{id}/", method="get"),
    "PATCH orders/{id}/": own("orders/{id}/", method="patch", body={"reference": "A-1"}),
    "POST orders/{id}/cancel/": own("orders/{id}/cancel/", method="post"),
    "GET orders/{id}/events/": own("orders/{id}/events/", method="get"),
    "GET orders/{id}/nearby-drivers/": asking("script", "orders/{id}/nearby-drivers/"),
    "POST orders/{id}/assign/": assigning,
    "POST orders/{id}/unassign/": unassigning,
    "POST orders/{id}/reoffer/": asking("script", "orders/{id}/reoffer/", method="post"),
    "POST orders/{id}/extend/": asking("script", "orders/{id}/extend/", method="post", body={"seconds": 60}),
    "GET orders/{id}/story/": asking("console", "orders/{id}/story/"),
    "GET board/candidates/": candidates,
    "GET board/places/": asking("console", "board/places/?q=Ferry"),
    "GET board/drivers/{id}/": board_driver,
    "GET events/": asking("script", "events/"),
    "GET drivers/": asking("script", "drivers/"),
}


def by_driver(verb: Callable[..., Any], prepare: Callable[[Stage], Order], **more: Any) -> Scenario:
    def scenario(stage: Stage) -> Act:
        order = prepare(stage)
        return lambda: verb(order_id=order.pk, driver_id=stage.driver.pk, **more)

    return scenario


def by_dispatcher(verb: Callable[..., Any], prepare: Callable[[Stage], Order], **more: Any) -> Scenario:
    def scenario(stage: Stage) -> Act:
        order = prepare(stage)
        return lambda: verb(order_id=order.pk, actor=cast.DISPATCHER, **more)

    return scenario


def on_driver(verb: Callable[..., Any], **more: Any) -> Scenario:
    def scenario(stage: Stage) -> Act:
        spare = stage.spare()
        return lambda: verb(driver_id=spare.pk, **more)

    return scenario


def assign_order(stage: Stage) -> Act:
    order = stage.order()
    return lambda: services.assign_order(order_id=order.pk, driver_id=stage.driver.pk, actor=cast.DISPATCHER)


def nearby_drivers(stage: Stage) -> Act:
    order = stage.order()
    return lambda: services.nearby_drivers(order_id=order.pk, radius_km=5, limit=50)


def five_due(sweep: Callable[[], Any], seconds: float) -> Scenario:
    def scenario(stage: Stage) -> Act:
        for _ in range(5):
            stage.due(seconds)
        return sweep

    return scenario


def offer_orders(stage: Stage) -> Act:
    for _ in range(5):
        stage.order()
    stage.spare()
    return services.offer_orders


def beats(verb: Callable[..., Any]) -> Scenario:
    def scenario(stage: Stage) -> Act:
        everybody = [stage.driver, *stage.others]
        positions = [drivers.Position(driver_id=who.pk, lat=37.79, lng=-122.39) for who in everybody]
        return lambda: verb(positions=positions)

    return scenario


def silent(stage: Stage) -> Act:
    for _ in range(3):
        Presence.objects.filter(pk=stage.spare().pk).update(last_seen=cast.now() - timedelta(minutes=2))
    return services.mark_silent_drivers_offline


def left_over(stage: Stage) -> Act:
    gone = [stage.spare() for _ in range(3)]
    stage.order()
    Presence.objects.filter(pk__in=[driver.pk for driver in gone]).update(is_online=False)
    return services.withdraw_left_over_offers


def reinstating(stage: Stage) -> Act:
    spare = stage.spare()
    services.suspend_driver(driver_id=spare.pk)
    return lambda: services.reinstate_driver(driver_id=spare.pk)


def sign_out(stage: Stage) -> Act:
    spare = stage.spare()
    digest = DeviceToken.objects.get(user=spare.user).pk
    return lambda: services.sign_out(driver_id=spare.pk, token_digest=digest)


def going_online(stage: Stage) -> Act:
    spare = stage.spare()
    services.go_offline(driver_id=spare.pk)
    return lambda: services.go_online(driver_id=spare.pk)


def reassigning(stage: Stage) -> Act:
    order = stage.held()
    to = stage.others[0].pk
    return lambda: services.reassign_order(order_id=order.pk, driver_id=to, actor=cast.DISPATCHER)


SERVICES: dict[str, Scenario] = {
    "accept_order": by_driver(services.accept_order, Stage.order),
    "decline_order": by_driver(services.decline_order, Stage.order),
    "release_order": by_driver(services.release_order, Stage.held),
    "pick_up_order": by_driver(services.pick_up_order, Stage.held),
    "deliver_order": by_driver(services.deliver_order, Stage.carried),
    "fail_order": by_driver(services.fail_order, Stage.carried, reason="nobody there"),
    "place_order": lambda stage: lambda: services.place_order(new=cast.new_order(), actor=cast.DISPATCHER),
    "assign_order": assign_order,
    "assign_order_to_nearest": by_dispatcher(services.assign_order_to_nearest, Stage.order),
    "unassign_order": by_dispatcher(services.unassign_order, Stage.held),
    "cancel_order": by_dispatcher(services.cancel_order, Stage.order),
    "correct_order": by_dispatcher(services.correct_order, Stage.order, corrections={"reference": "A-1"}),
    "extend_order": by_dispatcher(services.extend_order, Stage.order, seconds=60),
    "reoffer_order": by_dispatcher(services.reoffer_order, Stage.order),
    "pin_order": by_dispatcher(services.pin_order, Stage.order),
    "unpin_order": by_dispatcher(services.unpin_order, Stage.order),
    "reassign_order": reassigning,
    "nearby_drivers": nearby_drivers,
    "follow_holders": lambda stage: services.follow_holders,
    "offer_orders": offer_orders,
    "auto_assign": five_due(services.auto_assign, 20),
    "expire_orders": five_due(services.expire_orders, 130),
    "mark_silent_drivers_offline": silent,
    "withdraw_left_over_offers": left_over,
    "record_positions": beats(services.record_positions),
    "record_heartbeats": beats(services.record_heartbeats),
    "go_online": going_online,
    "go_offline": on_driver(services.go_offline),
    "suspend_driver": on_driver(services.suspend_driver),
    "reinstate_driver": reinstating,
    "sign_out": sign_out,
}
#: Doors to several verbs at once, whose numbers are the verbs', and those that a device knocks at once in its life.
NOT_HOT_DOORS = {
    "POST board/acts/",
    "POST board/undo/",
    "GET driver/push/",
    "POST driver/push/",
    "DELETE driver/push/",
    "POST orders/{id}/proofs/",
}
#: Verbs of single people now and then, and of the background, whose cost is nobody's wait.
NOT_HOT = {
    "backup_codes_left",
    "enrol_second_factor",
    "give_up_second_factor",
    "keep_proof",
    "mark_message_read",
    "order_of_undo",
    "push_offers",
    "remove_second_factor",
    "renew_backup_codes",
    "send_message",
    "settle_quarters",
    "turn_months",
    "undo_act",
    "undo_of",
    "unlock_second_factor",
    "clean_up",
    "correct_driver",
    "mark_offers_delivered",
    "mark_offers_seen",
    "register_driver",
    "set_driver_password",
    "sign_out_driver",
}


def statements(scenario: Scenario, stage: Stage) -> list[str]:
    """What an act says to PostgreSQL the second time: the first one fills whatever is remembered for good."""
    scenario(stage)()
    act = scenario(stage)
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    assert getattr(answer, "status_code", 200) < 300, answer.content
    # Of a statement that is prepared already Django does not know the text; of those counted here none is left out.
    texts = [query["sql"] or "(prepared)" for query in captured]
    return [text for text in texts if not text.startswith(NOT_COUNTED)]


def baseline() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(BASELINE.read_text())
    return found


@pytest.mark.parametrize(
    ("group", "name"), [*(("endpoints", name) for name in ENDPOINTS), *(("services", name) for name in SERVICES)]
)
def test_it_sends_as_many_statements_as_the_baseline_says(group: str, name: str) -> None:
    said = statements({"endpoints": ENDPOINTS, "services": SERVICES}[group][name], Stage())
    if os.environ.get("BATON_QUERY_COUNTS") == "write":
        counts = baseline() if BASELINE.exists() else {"endpoints": {}, "services": {}}
        counts[group][name] = len(said)
        BASELINE.write_text(json.dumps(counts, indent=2) + "\n")
    assert len(said) == baseline()[group][name], "\n".join(said)


def test_every_door_has_its_number() -> None:
    doors = set()
    for pattern in [*urls.urlpatterns, *urls_orders.urlpatterns]:
        view: Any = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        path = re.sub(r"<[^>]+>", "{id}", str(pattern.pattern))
        doors |= {
            f"{method.upper()} {path}" for method in ("get", "post", "patch", "put", "delete") if hasattr(view, method)
        }
    assert doors - NOT_HOT_DOORS == set(ENDPOINTS) == set(baseline()["endpoints"])


def test_every_verb_has_its_number() -> None:
    verbs = {name for name in services.__all__ if inspect.isfunction(getattr(services, name))}
    assert verbs - NOT_HOT == set(SERVICES) == set(baseline()["services"])
