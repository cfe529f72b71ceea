"""The intake: orders in, looked up, corrected and cancelled, by integrators and dispatchers."""

import hashlib
import json
import re
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import representations, services
from dispatch.api.principals import Door, Grant, HasGrant, Principal
from dispatch.api.queries import check_names, choice_param, text_param
from dispatch.selectors import order_for_driver
from drivers.authentication import driver_of
from drivers.errors import Invalid
from drivers.http import Pin, PlaceSerializer, StrictSerializer, Text, Time, Whole, checked, page_of
from drivers.models import DeviceToken, Vehicle
from orders.contacts import look_at_contact
from orders.lifecycle import Status
from orders.models import Order
from orders.selectors import find_order, orders_visible_to
from orders.services import Contact, NewOrder, Place

METADATA_BYTES: Final = 8192
LARGEST_PAYOUT: Final = Decimal("99999999.99")
#: 1 to 200 printable characters of ASCII; spaces only inside.
KEY = re.compile(r"[!-~]([ -~]{0,198}[!-~])?")
AMOUNT = re.compile(r"\d{1,15}(\.\d{1,15})?", re.ASCII)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": r"^\d{1,8}(\.\d{1,2})?$"},
            {"type": "number", "minimum": 0, "maximum": float(LARGEST_PAYOUT)},
        ]
    }
)
class Money(serializers.DecimalField):
    """A decimal number, as text or as a JSON number, not negative, at most two decimals."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be an amount like 12.50, not negative."}

    def __init__(self) -> None:
        super().__init__(
            max_digits=10, decimal_places=2, min_value=Decimal(0), max_value=LARGEST_PAYOUT, required=False
        )

    def to_internal_value(self, data: Any) -> Decimal:
        # Decimal() itself takes more: exponents, underscores, any alphabet's digits.
        if isinstance(data, bool) or not isinstance(data, str | int | float) or not AMOUNT.fullmatch(str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": True})
class Metadata(serializers.DictField):
    """An object of the sender's own, kept and given back."""

    default_error_messages: ClassVar[dict[str, Any]] = {"too_long": "May take at most {limit} bytes as JSON."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        if len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()) > METADATA_BYTES:
            self.fail("too_long", limit=METADATA_BYTES)
        return data


class ContactSerializer(StrictSerializer):
    """The customer; shown only to the sender, to dispatchers and to the driver who holds the order."""

    name = Text(max_length=100)
    phone = Text(max_length=32)
    notes = Text(max_length=1000, allow_blank=True, default="")
    pin = Pin(
        allow_blank=True,
        default="",
        help_text="4 to 8 digits that the receiver must say to be handed the order. Never shown to anybody again.",
    )


class _Details(StrictSerializer):
    reference = Text(max_length=100, allow_blank=True, required=False, help_text="The sender's own number for it.")
    vehicle = serializers.ChoiceField(
        Vehicle.choices, allow_blank=True, required=False, help_text="Empty: any vehicle will do."
    )
    priority = Whole(min_value=0, max_value=9, required=False, help_text="The higher is matched first.")
    payout = Money()
    currency = serializers.RegexField(
        r"^[A-Z]{3}\Z", required=False, trim_whitespace=False, help_text="ISO 4217, like USD."
    )
    release_at = Time(required=False, help_text="Offered to drivers from then on.")
    auto_assign_at = Time(required=False, help_text="Assigned by the system from then on.")
    expires_at = Time(required=False, help_text="Nobody may take it any more from then on.")
    metadata = Metadata(required=False, help_text="Anything of the sender's own, at most 8 kB.")


class NewOrderSerializer(_Details):
    pickup = PlaceSerializer()
    dropoff = PlaceSerializer()
    contact = ContactSerializer()


class CorrectionSerializer(_Details):
    """Only what is to be different. A place or the contact is replaced as a whole."""

    pickup = PlaceSerializer(required=False)
    dropoff = PlaceSerializer(required=False)
    contact = ContactSerializer(required=False)
    version = Whole(min_value=1, max_value=2**31 - 1, required=False, help_text="The version that you looked at.")


class CancelSerializer(StrictSerializer):
    reason = Text(max_length=500, allow_blank=True, default="")
    version = Whole(min_value=1, max_value=2**31 - 1, required=False, help_text="The version that you looked at.")


class OrdersDoor(Door):
    needs: ClassVar = {"GET": Grant.READ, "POST": Grant.PLACE}

    def get(self, request: Request) -> Response:
        """Orders, newest first; an integrator's own with their contacts, everybody's without for dispatchers."""
        check_names(request, "status", "reference", "cursor", "limit")
        orders = orders_visible_to(self.principal.only_of)
        if status := choice_param(request, "status", [str(status) for status in Status]):
            orders = orders.filter(status=status)
        if reference := text_param(request, "reference", max_length=100):
            orders = orders.filter(reference=reference)
        return Response(page_of(orders, request, partial(show, asker=self.principal)))

    def post(self, request: Request) -> Response:
        """Place an order; it is offered to the nearest drivers at once, or at `release_at`."""
        check_names(request)
        given = checked(NewOrderSerializer, request.data)
        order, is_new = services.place_order(
            new=NewOrder(
                **{
                    **given,
                    "pickup": Place(**given["pickup"]),
                    "dropoff": Place(**given["dropoff"]),
                    "contact": Contact(**given["contact"]),
                }
            ),
            actor=self.principal.actor,
            integrator_id=self.principal.integrator_id,
            idempotency_key=idempotency_key(request),
            fingerprint=fingerprint(request.data),
        )
        response = answer(order.pk, self.principal, status=201)
        response["Location"] = reverse("order", args=[order.pk])
        if not is_new:
            response["Idempotent-Replayed"] = "true"
        return response


def idempotency_key(request: HttpRequest | Request) -> str:
    """The header's value, '' if there is none. Raises Invalid for one that cannot be a key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not KEY.fullmatch(key):
        raise Invalid(**{"Idempotency-Key": "Must be 1 to 200 printable ASCII characters."})
    return key


def fingerprint(document: Any) -> str:
    """The same for the same JSON, however it was written."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class HasGrantOrIsDriver(HasGrant):
    """Lets drivers read, too."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, DeviceToken) and request.method in {"GET", "HEAD"}:
            return True
        return super().has_permission(request, view)


class OrderDoor(Door):
    permission_classes = [HasGrantOrIsDriver]
    needs: ClassVar = {"GET": Grant.READ, "PATCH": Grant.AMEND}

    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """One order. A driver sees what concerns them, and nothing of an order that is neither theirs nor on offer to
        them. A dispatcher's look at the customer is on record."""
        check_names(request)
        if isinstance(request.auth, DeviceToken):
            order = order_for_driver(driver_id=driver_of(request).pk, order_id=order_id)
        else:
            order = find_order(order_id=order_id, integrator_id=self.principal.only_of)
        response = Response()
        etag = etag_of(order)
        _revalidate(response, etag)
        conditional = get_conditional_response(request._request, etag=etag, response=response)
        if conditional is not None and conditional is not response:
            return conditional
        if isinstance(request.auth, DeviceToken):
            response.data = representations.order_for_driver(order, getattr(order, "contact", None))
        else:
            response.data = self._looked_at(order)
        return response

    def _looked_at(self, order: Order) -> dict[str, Any]:
        asker = self.principal
        if asker.owns(order) or not asker.sees_contacts:
            return show(order, asker)
        return representations.order_for_staff(order, look_at_contact(order_id=order.pk, actor=asker.actor, via="api"))

    def patch(self, request: Request, order_id: UUID) -> Response:
        """Correct details of an order that nobody holds yet."""
        check_names(request)
        given = checked(CorrectionSerializer, request.data)
        version = given.pop("version", None)
        contact = given.pop("contact", None)
        for end in {"pickup", "dropoff"} & given.keys():
            place = Place(**given[end])
            given |= {end: place.point, f"{end}_address": place.address}
        services.correct_order(
            order_id=order_id,
            corrections=given,
            contact=Contact(**contact) if contact is not None else None,
            actor=self.principal.actor,
            integrator_id=self.principal.only_of,
            version=version,
        )
        return answer(order_id, self.principal)


class CancelDoor(Door):
    needs: ClassVar = {"POST": Grant.AMEND}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Withdraw an order that is not delivered or failed; cancelling again changes nothing."""
        check_names(request)
        given = checked(CancelSerializer, request.data)
        services.cancel_order(
            order_id=order_id,
            actor=self.principal.actor,
            reason=given["reason"],
            integrator_id=self.principal.only_of,
            version=given.get("version"),
        )
        return answer(order_id, self.principal)


def show(order: Order, asker: Principal) -> dict[str, Any]:
    """With the contact only for whoever sent it: in lists and in answers to acts nobody else looks at customers."""
    return representations.order_for_staff(order, getattr(order, "contact", None) if asker.owns(order) else None)


def answer(order_id: UUID, asker: Principal, status: int = 200) -> Response:
    """The order as it is now, after an act that the asker was allowed."""
    order = find_order(order_id=order_id, integrator_id=asker.only_of)
    response = Response(show(order, asker), status=status)
    _revalidate(response, etag_of(order))
    return response


def etag_of(order: Order) -> str:
    return f'"{order.pk}-{order.version}"'


def _revalidate(response: Response, etag: str) -> None:
    """Kept by its asker only, and never used again without asking: what one may see depends on who asks."""
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["Vary"] = "Authorization, Cookie"
