"""What a driver does with an order: one address per verb, each safe to send again."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import selectors, services
from dispatch.api.base import DriverView
from dispatch.api.driver import show_order
from dispatch.services import Done, Tap
from drivers.errors import NotFound
from drivers.http import DeviceTime, Pin, StrictSerializer, Text, checked


def order_for_driver(driver_id: int, order_id: UUID) -> dict[str, Any]:
    """`GET orders/{id}/` for a driver. Raises NotFound for whatever is not theirs to see."""
    return show_order(selectors.order_for_driver(driver_id=driver_id, order_id=order_id))


class TapSerializer(StrictSerializer):
    #: The app's own name for the tap: the same one again changes nothing and gets the same answer.
    action_id = Text(max_length=64, required=False)
    tapped_at = DeviceTime(required=False, allow_null=True)


class ReleaseSerializer(TapSerializer):
    reason = Text(max_length=300, allow_blank=True, default="")


class FailSerializer(TapSerializer):
    reason = Text(max_length=300)


class ProofSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=["photo", "signature", "pin", "name", "none"])
    note = Text(max_length=300, allow_blank=True, default="")
    recipient = Text(max_length=100, allow_blank=True, default="", help_text="The name of whoever took it.")
    pin = Pin(required=False, help_text="With the kind `pin`: what the receiver said.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if "pin" in given and given["kind"] != "pin":
            raise serializers.ValidationError({"pin": "Only with the kind pin."})
        return given


class DeliverSerializer(TapSerializer):
    proof = ProofSerializer(required=False, allow_null=True)


class ActView(DriverView):
    """Parse, carry out, and show the order as it now is for this driver: once it is theirs no more, only its id."""

    serializer: type[TapSerializer] = TapSerializer

    def post(self, request: Request, order_id: UUID) -> Response:
        given = checked(self.serializer, request.data)
        tap = Tap(action_id=given.pop("action_id", ""), tapped_at=given.pop("tapped_at", None))
        done = self.act(order_id=order_id, driver_id=self.driver.pk, tap=tap, **given)
        try:
            shown = order_for_driver(self.driver.pk, order_id)
        except NotFound:
            shown = {"id": str(order_id), "version": done.version}
        return Response(shown, headers={"Idempotent-Replayed": "true"} if done.replayed else None)

    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        raise NotImplementedError


class AcceptView(ActView):
    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        return services.accept_order(order_id=order_id, driver_id=driver_id, tap=tap)


class DeclineView(ActView):
    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        return services.decline_order(order_id=order_id, driver_id=driver_id, tap=tap)


class ReleaseView(ActView):
    serializer = ReleaseSerializer

    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        return services.release_order(order_id=order_id, driver_id=driver_id, tap=tap, reason=given["reason"])


class PickUpView(ActView):
    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        return services.pick_up_order(order_id=order_id, driver_id=driver_id, tap=tap)


class DeliverView(ActView):
    serializer = DeliverSerializer

    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        proof = given.get("proof") or {}
        return services.deliver_order(
            order_id=order_id,
            driver_id=driver_id,
            tap=tap,
            proof={"kind": proof["kind"]} if proof else None,
            note=proof.get("note", ""),
            recipient=proof.get("recipient", ""),
            pin=proof.get("pin", ""),
        )


class FailView(ActView):
    serializer = FailSerializer

    def act(self, *, order_id: UUID, driver_id: int, tap: Tap, **given: Any) -> Done:
        return services.fail_order(order_id=order_id, driver_id=driver_id, tap=tap, reason=given["reason"])
