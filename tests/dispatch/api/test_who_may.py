"""Who may call what: every call with every kind of caller."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from dispatch import services
from drivers.models import Driver
from orders.models import ApiKey, Order
from orders.services import create_api_key
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, problem

pytestmark = pytest.mark.django_db

#: Method and path of every call; `ORDER` stands for the id of an order of the shop.
CALLS = {
    "place": ("post", "orders/"),
    "list": ("get", "orders/"),
    "look": ("get", "orders/ORDER/"),
    "correct": ("patch", "orders/ORDER/"),
    "cancel": ("post", "orders/ORDER/cancel/"),
    "history": ("get", "orders/ORDER/events/"),
    "feed": ("get", "events/"),
    "nearby": ("get", "orders/ORDER/nearby-drivers/"),
    "assign": ("post", "orders/ORDER/assign/"),
    "unassign": ("post", "orders/ORDER/unassign/"),
    "reoffer": ("post", "orders/ORDER/reoffer/"),
    "extend": ("post", "orders/ORDER/extend/"),
    "drivers": ("get", "drivers/"),
    "story": ("get", "orders/ORDER/story/"),
    "board acts": ("post", "board/acts/"),
    "board undo": ("post", "board/undo/"),
    "board candidates": ("get", "board/candidates/?order=ORDER"),
    "board places": ("get", "board/places/"),
    "board driver": ("get", "board/drivers/0/"),
}
READ = {"list", "look", "history", "feed"}
AMEND = {"correct", "cancel"}
DISPATCH = {"nearby", "assign", "unassign", "reoffer", "extend", "board undo", "board candidates"}
CONSOLE = {"story", "board acts", "board places"}
WATCH = {"drivers", "board driver"}

SCOPES = {
    "orders:read": READ,
    "orders:write": {"place"} | AMEND,
    "dispatch": READ | AMEND | DISPATCH | CONSOLE | WATCH,
}
PERMISSIONS = {
    "orders.view_order": READ | CONSOLE,
    "orders.add_order": {"place"},
    "orders.dispatch_order": AMEND | DISPATCH,
    "drivers.view_driver": WATCH,
}


@pytest.fixture
def order() -> Order:
    key, _ = create_api_key(name="Shop", scopes=["orders:write"])
    placed, _ = services.place_order(new=cast.new_order(), actor=cast.DISPATCHER, integrator_id=key.integrator_id)
    return placed


def ask(caller: Caller, name: str, order_id: UUID) -> Any:
    """Call with an empty body: who may is told what is missing in it, who may not is refused before."""
    method, path = CALLS[name]
    return getattr(caller, method)(path.replace("ORDER", str(order_id)))


def let_through(caller: Caller, order: Order) -> set[str]:
    """The calls that are not refused for who asks."""
    passed = set()
    for name in CALLS:
        response = ask(caller, name, order.pk)
        if response.status_code == 403:
            problem(response, 403, "permission_denied")
        else:
            assert response.status_code in {200, 201, 400, 404, 409}, (name, response.content)
            passed.add(name)
    return passed


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_do_what_its_scope_says_and_nothing_else(order: Order, scope: str) -> None:
    assert let_through(callers.shop("Shop", scope), order) == SCOPES[scope]


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_staff_may_do_what_their_permissions_say_and_nothing_else(order: Order, permission: str) -> None:
    assert let_through(callers.staff("dora", permission), order) == PERMISSIONS[permission]


def test_staff_without_permissions_may_do_nothing(order: Order) -> None:
    assert let_through(callers.staff("dora"), order) == set()


def test_a_superuser_may_do_everything(order: Order) -> None:
    client = Client()
    client.force_login(cast.dispatcher("root"))

    assert let_through(Caller(client), order) == set(CALLS)


def test_somebody_signed_in_who_is_not_staff_is_nobody(order: Order, alice: Driver) -> None:
    client = Client()
    client.force_login(alice.user)

    for name in CALLS:
        problem(ask(Caller(client), name, order.pk), 401, "not_authenticated")


def test_a_driver_may_only_look_at_an_order(order: Order, alice: Driver) -> None:
    services.offer_orders(order_ids=[order.pk])
    before = callers.written()

    assert let_through(callers.phone(alice), order) == {"look"}
    assert callers.written() == before


def test_nobody_may_do_nothing_and_is_told_how_to_sign_in(order: Order) -> None:
    before = callers.written()

    for name in CALLS:
        response = ask(Caller(Client()), name, order.pk)
        problem(response, 401, "not_authenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert callers.written() == before


def test_a_made_up_or_revoked_key_is_refused(order: Order) -> None:
    _, secret = create_api_key(name="Shop", scopes=["orders:read"])
    ApiKey.objects.update(revoked_at=cast.now())

    for token in (secret, secret[:-1], "bk_", "bk_\xff", "bk_" + "x" * 4000):
        problem(ask(callers.bearer(token), "list", order.pk), 401, "not_authenticated")


def test_a_key_without_the_dispatch_scope_cannot_widen_its_view_by_holding_others(order: Order) -> None:
    other = callers.shop("Other shop", "orders:read", "orders:write")

    assert other.get("orders/").json()["results"] == []
    problem(other.get(f"orders/{order.pk}/"), 404, "not_found")


def test_a_session_that_writes_needs_the_csrf_token(order: Order) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.dispatcher("dora"))
    dora = Caller(client)

    problem(dora.post(f"orders/{order.pk}/cancel/"), 403, "permission_denied")
    assert Order.objects.get().status == "pending"
    assert dora.get(f"orders/{order.pk}/").status_code == 200

    token = "t" * 32
    client.cookies["csrftoken"] = token
    assert dora.post(f"orders/{order.pk}/cancel/", X_CSRFToken=token).status_code == 200


def test_who_acted_is_in_the_history(order: Order, alice: Driver) -> None:
    script = callers.script()
    dora = callers.staff("dora", "orders.dispatch_order")
    order_path = f"orders/{order.pk}"

    assert script.post(f"{order_path}/assign/", {"driver": alice.pk}).status_code == 200
    assert dora.post(f"{order_path}/unassign/").status_code == 200

    told = order.events.filter(kind__in=["order.assigned", "order.released"]).order_by("version")
    assert list(told.values_list("actor_type", "actor_name")) == [("integrator", "Script"), ("dispatcher", "dora")]
