"""The console's verbs over HTTP, for scripts: who is near an order, give it to a driver, take it back, offer it again."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import representations, services
from dispatch.api.orders import answer
from dispatch.api.principals import Door, Grant
from dispatch.api.queries import BIGGEST, check_names, choice_param, decimal_param, page_by_number
from dispatch.selectors import watched_presences
from drivers.http import MAX_PAGE_SIZE, StrictSerializer, Text, Whole, checked
from drivers.models import Driver, Presence
from orders.services import LONGEST_OFFER

FARTHEST_KM = 100
LONGEST_SECONDS = int(LONGEST_OFFER.total_seconds())


class _Expecting(StrictSerializer):
    version = Whole(min_value=1, max_value=2**31 - 1, required=False, help_text="The version that you looked at.")


class AssignSerializer(_Expecting):
    driver = Whole(min_value=1, max_value=BIGGEST, help_text="The driver's id.")


class UnassignSerializer(_Expecting):
    reason = Text(max_length=500, allow_blank=True, default="")


class ReofferSerializer(_Expecting):
    seconds = Whole(min_value=1, max_value=LONGEST_SECONDS, required=False, help_text="How long the new round lasts.")


class ExtendSerializer(_Expecting):
    seconds = Whole(min_value=1, max_value=LONGEST_SECONDS, help_text="How much longer drivers may take it.")


class NearbyDriversDoor(Door):
    needs: ClassVar = {"GET": Grant.DISPATCH}

    def get(self, request: Request, order_id: UUID) -> Response:
        """Drivers who could take the order now, nearest first, at most 100: live, with room, the right vehicle, and not
        having declined it."""
        check_names(request, "radius_km")
        radius_km = decimal_param(request, "radius_km", float(settings.OFFER_RADIUS_KM), above=0, maximum=FARTHEST_KM)
        near = services.nearby_drivers(order_id=order_id, radius_km=radius_km, limit=MAX_PAGE_SIZE)
        drivers = Driver.objects.in_bulk([candidate.driver_id for candidate in near])
        results = [
            representations.candidate(
                drivers[candidate.driver_id],
                distance_m=candidate.distance_m,
                located_at=candidate.located_at,
                load=candidate.load,
            )
            for candidate in near
            if candidate.driver_id in drivers
        ]
        return Response({"results": results, "next": None, "previous": None})


class DriversDoor(Door):
    needs: ClassVar = {"GET": Grant.WATCH}

    def get(self, request: Request) -> Response:
        """All drivers with their duty, position and load, by id. `live`: on duty, heard of within the last minute and not
        suspended."""
        check_names(request, "live", "cursor", "limit")
        live = {"true": True, "false": False}.get(choice_param(request, "live", ["true", "false"]))
        return Response(page_by_number(watched_presences(live=live), "driver_id", request, _watched))


def _watched(presence: Presence) -> dict[str, Any]:
    annotated = vars(presence)
    return representations.driver_for_staff(presence, load=annotated["load"], live=annotated["live"])


class AssignDoor(Door):
    needs: ClassVar = {"POST": Grant.DISPATCH}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Give a pending order to a driver who is on duty and has room; an expired one, too."""
        check_names(request)
        given = checked(AssignSerializer, request.data)
        services.assign_order(
            order_id=order_id, driver_id=given["driver"], actor=self.principal.actor, version=given.get("version")
        )
        return answer(order_id, self.principal)


class UnassignDoor(Door):
    needs: ClassVar = {"POST": Grant.DISPATCH}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Take an order back from its holder, who has not picked it up; it is offered again at once."""
        check_names(request)
        given = checked(UnassignSerializer, request.data)
        services.unassign_order(
            order_id=order_id, actor=self.principal.actor, reason=given["reason"], version=given.get("version")
        )
        return answer(order_id, self.principal)


class ReofferDoor(Door):
    needs: ClassVar = {"POST": Grant.DISPATCH}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Give a pending order, expired or not, a new round."""
        check_names(request)
        given = checked(ReofferSerializer, request.data)
        services.reoffer_order(
            order_id=order_id,
            actor=self.principal.actor,
            seconds=given.get("seconds"),
            version=given.get("version"),
        )
        return answer(order_id, self.principal)


class ExtendDoor(Door):
    needs: ClassVar = {"POST": Grant.DISPATCH}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Give a pending order that has not expired more time."""
        check_names(request)
        given = checked(ExtendSerializer, request.data)
        services.extend_order(
            order_id=order_id,
            seconds=given["seconds"],
            actor=self.principal.actor,
            version=given.get("version"),
        )
        return answer(order_id, self.principal)
