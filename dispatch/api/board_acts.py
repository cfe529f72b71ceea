"""What a dispatcher does from the console: one act on many rows, each in a transaction of its own, each with its answer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import representations, services
from dispatch.api.dispatcher import LONGEST_SECONDS
from dispatch.api.principals import Door, Grant
from dispatch.api.queries import BIGGEST, check_names
from dispatch.selectors import watched_presences
from dispatch.selectors_board import latest_event, offer_counts
from drivers.errors import Busy, DomainError, Invalid
from drivers.http import StrictSerializer, Text, Whole, YesNo, checked, rfc3339
from orders.actors import Actor
from orders.errors import OrderNotPending, VersionConflict
from orders.models import Order

#: Rows that one call takes, and for how long it works on them: what is not reached by then is answered as `busy`.
MOST_ROWS: Final = 200
ACTING_SECONDS: Final = 20.0


class OrderId(serializers.UUIDField):
    """A UUID as text."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or len(data) != 36:
            self.fail("invalid", value=data)
        found: UUID = super().to_internal_value(data)
        return found


class RowSerializer(StrictSerializer):
    """An order in the version that the dispatcher saw, or a driver."""

    order = OrderId(required=False)
    version = Whole(min_value=1, max_value=2**31 - 1, required=False, help_text="With `order`: the version seen.")
    driver = Whole(min_value=1, max_value=BIGGEST, required=False, help_text="With `duty` and `message`.")


@dataclass(frozen=True, slots=True)
class Act:
    """`run` is given the row's id, `actor`, `version` for orders, and whatever of `takes` and `may_take` was given."""

    run: Callable[..., dict[str, Any]]
    needs: Grant
    takes: tuple[str, ...] = ()
    may_take: tuple[str, ...] = ()
    on: str = "order"


def _on_order(service: Callable[..., Order]) -> Callable[..., dict[str, Any]]:
    def run(order_id: UUID, *, actor: Actor, **given: Any) -> dict[str, Any]:
        order = service(order_id=order_id, actor=actor, **given)
        undo = services.undo_of(order=order, actor=actor)
        return {
            "document": shown_order(order),
            "undo": {"id": str(undo.pk), "until": rfc3339(undo.until)} if undo is not None else None,
        }

    return run


def _assign(*, driver: int, **given: Any) -> Order:
    return services.assign_order(driver_id=driver, **given)


def _reassign(*, driver: int, **given: Any) -> Order:
    return services.reassign_order(driver_id=driver, **given)


def _duty(driver_id: int, *, actor: Actor, is_online: bool) -> dict[str, Any]:
    (services.go_online if is_online else services.go_offline)(driver_id=driver_id)
    return {"document": shown_driver(driver_id), "undo": None}


def _message(driver_id: int, *, actor: Actor, text: str, key: str | None = None) -> dict[str, Any]:
    message = services.send_message(driver_id=driver_id, text=text, actor=actor, key=key)
    return {"document": representations.message(message), "undo": None}


ACTS: Final[Mapping[str, Act]] = {
    "assign": Act(_on_order(_assign), Grant.DISPATCH, takes=("driver",)),
    "assign_nearest": Act(_on_order(services.assign_order_to_nearest), Grant.DISPATCH),
    "reassign": Act(_on_order(_reassign), Grant.DISPATCH, takes=("driver",)),
    "unassign": Act(_on_order(services.unassign_order), Grant.DISPATCH, may_take=("reason",)),
    "reoffer": Act(_on_order(services.reoffer_order), Grant.DISPATCH, may_take=("seconds",)),
    "extend": Act(_on_order(services.extend_order), Grant.DISPATCH, takes=("seconds",)),
    "pin": Act(_on_order(services.pin_order), Grant.DISPATCH),
    "unpin": Act(_on_order(services.unpin_order), Grant.DISPATCH),
    # There is no way back from the final state, so it asks why.
    "cancel": Act(_on_order(services.cancel_order), Grant.AMEND, takes=("reason",)),
    "duty": Act(_duty, Grant.DUTY, takes=("is_online",), on="driver"),
    "message": Act(_message, Grant.MESSAGE, takes=("text",), may_take=("key",), on="driver"),
}
OPTIONS: Final[tuple[str, ...]] = ("driver", "seconds", "reason", "text", "key", "is_online")


class ActsSerializer(StrictSerializer):
    act = serializers.ChoiceField(choices=list(ACTS))
    rows = serializers.ListField(child=RowSerializer(), min_length=1, max_length=MOST_ROWS)
    driver = Whole(min_value=1, max_value=BIGGEST, required=False, help_text="assign, reassign: the driver's id.")
    seconds = Whole(min_value=1, max_value=LONGEST_SECONDS, required=False, help_text="reoffer, extend.")
    reason = Text(max_length=500, required=False, help_text="cancel, which needs one; unassign.")
    text = Text(max_length=500, required=False, help_text="message.")
    key = Text(max_length=64, required=False, help_text="message: with the same key again it is not sent twice.")
    is_online = YesNo(required=False, help_text="duty.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        act = ACTS[given["act"]]
        wrong: dict[str, str] = {
            name: f"The act {given['act']} does not take it."
            for name in OPTIONS
            if name in given and name not in {*act.takes, *act.may_take}
        }
        wrong |= {name: f"The act {given['act']} needs it." for name in act.takes if name not in given}
        expected = {"order", "version"} if act.on == "order" else {"driver"}
        for index, row in enumerate(given["rows"]):
            if set(row) != expected:
                wrong[f"rows.{index}"] = f"Must have {' and '.join(sorted(expected))}, and nothing else."
        if len({row.get(act.on) for row in given["rows"]}) < len(given["rows"]):
            wrong.setdefault("rows", "The same row comes twice.")
        if wrong:
            raise Invalid(**wrong)
        return given


class ActsDoor(Door):
    needs: ClassVar = {"POST": Grant.CONSOLE}

    def post(self, request: Request) -> Response:
        """One act on up to 200 rows. Each row is carried out, or refused, on its own; the answers come in the order of the
        rows. An order is changed only in the version that was seen. What can be undone says how, and until when."""
        check_names(request)
        given = checked(ActsSerializer, request.data)
        act = ACTS[given["act"]]
        if act.needs not in self.principal.grants:
            raise PermissionDenied
        options = {name: given[name] for name in OPTIONS if name in given}
        until = time.monotonic() + ACTING_SECONDS
        return Response({"results": [self._try(act, row, options, until) for row in given["rows"]]})

    def _try(self, act: Act, row: dict[str, Any], options: dict[str, Any], until: float) -> dict[str, Any]:
        key = row[act.on]
        answer: dict[str, Any] = {act.on: str(key) if act.on == "order" else key}
        expected = {"version": row["version"]} if act.on == "order" else {}
        try:
            if time.monotonic() > until:
                raise Busy
            done = act.run(key, actor=self.principal.actor, **expected, **options)
        except Exception as error:
            # A fault in one row is on record (PROBLEM_OF) and no reason to leave the others in doubt.
            return {**answer, "ok": False, "problem": problem_of(error, key)}
        return {**answer, "ok": True, **done}


def problem_of(error: Exception, key: Any) -> dict[str, Any]:
    """The document that a call on this row alone would be refused with; when the order has moved on, with what it is now
    and who did what last."""
    problem: dict[str, Any] = import_string(settings.PROBLEM_OF)(error)
    if isinstance(error, VersionConflict | OrderNotPending):
        order = Order.objects.filter(pk=key).first()
        event = latest_event(key)
        if order is not None and event is not None:
            problem |= {"current": shown_order(order), "last_event": representations.event(event)}
    return problem


def shown_order(order: Order) -> dict[str, Any]:
    return representations.order_for_board(order, offer_counts([order.pk]).get(order.pk))


def shown_driver(driver_id: int) -> dict[str, Any]:
    presence = watched_presences().get(pk=driver_id)
    annotated = vars(presence)
    return representations.driver_for_staff(presence, load=annotated["load"], live=annotated["live"])


class UndoSerializer(StrictSerializer):
    undo = OrderId(help_text="From the answer to the act.")


class UndoDoor(Door):
    needs: ClassVar = {"POST": Grant.DISPATCH}

    def post(self, request: Request) -> Response:
        """Take back an own act for ten seconds, unless the order has moved on: the earlier holder has it again, or it is
        pending with the time it had left. Cancelling cannot be undone."""
        check_names(request)
        given = checked(UndoSerializer, request.data)
        try:
            order = services.undo_act(undo_id=given["undo"], actor=self.principal.actor)
        except DomainError as error:
            if isinstance(error, VersionConflict) and (moved := services.order_of_undo(undo_id=given["undo"])):
                error.data |= {name: value for name, value in problem_of(error, moved).items() if name in MOVED}
            raise
        return Response(shown_order(order))


MOVED: Final = ("current", "last_event")
