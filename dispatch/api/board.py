"""What the console reads besides its socket: who could take an order and why not the others, a driver, saved places, and
the story of an order."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.gis.geos import Point
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import representations, story
from dispatch.api.board_acts import shown_driver
from dispatch.api.dispatcher import FARTHEST_KM
from dispatch.api.principals import Door, Grant
from dispatch.api.queries import BIGGEST, check_names, choice_param, coordinate_param, decimal_param, text_param
from dispatch.models import Message
from dispatch.selectors import MESSAGES_SHOWN
from dispatch.selectors_considered import Considered, candidates_at, candidates_for
from drivers.errors import Invalid, NotFound
from drivers.http import rfc3339
from drivers.models import Driver, Vehicle
from orders.lifecycle import HELD
from orders.models import Order
from orders.selectors import find_order, places_like


class CandidatesDoor(Door):
    needs: ClassVar = {"GET": Grant.DISPATCH}

    def get(self, request: Request) -> Response:
        """The nearest drivers on duty: of an order, or of a place where one shall be picked up. First those who could take
        it, then those who are as near and cannot, and why."""
        check_names(request, "order", "lat", "lng", "vehicle", "radius_km")
        default = float(max(settings.ASSIGN_RADII_KM))
        radius_km = decimal_param(request, "radius_km", default, above=0, maximum=FARTHEST_KM)
        if "order" in request.query_params:
            for name in ("lat", "lng", "vehicle"):
                if name in request.query_params:
                    raise Invalid(**{name: "Comes without an order."})
            free, ruled_out = candidates_for(find_order(order_id=_order_id(request)), radius_km=radius_km)
        else:
            vehicle = choice_param(request, "vehicle", Vehicle.values)
            pickup = Point(coordinate_param(request, "lng", 180), coordinate_param(request, "lat", 90), srid=4326)
            free, ruled_out = candidates_at(pickup, vehicle=vehicle, radius_km=radius_km)
        return Response({"results": [_near(one) for one in free], "ruled_out": [_near(one) for one in ruled_out]})


def _order_id(request: Request) -> UUID:
    text = request.query_params["order"]
    try:
        if len(text) != 36:
            raise ValueError
        return UUID(text)
    except ValueError:
        raise Invalid(order="Must be an order's id.") from None


def _near(one: Considered) -> dict[str, Any]:
    return {
        "driver": one.driver_id,
        "name": one.name,
        "vehicle": one.vehicle,
        "distance_m": round(one.distance_m),
        "located_at": rfc3339(one.located_at),
        "position_age_s": one.position_age_s,
        "load": one.load,
        "capacity": one.capacity,
        "verdict": str(one.verdict) or None,
    }


class PlacesDoor(Door):
    needs: ClassVar = {"GET": Grant.CONSOLE}

    def get(self, request: Request) -> Response:
        """Saved places by a part of their name or address, at most 20; without `q` the first by name."""
        check_names(request, "q")
        found = places_like(text_param(request, "q", max_length=100))
        return Response(
            {
                "results": [
                    {
                        "id": place.pk,
                        "name": place.name,
                        "lat": place.point.y,
                        "lng": place.point.x,
                        "address": place.address,
                    }
                    for place in found
                ]
            }
        )


class BoardDriverDoor(Door):
    needs: ClassVar = {"GET": Grant.WATCH}

    def get(self, request: Request, driver_id: int) -> Response:
        """A driver with what they hold now and, for whoever may write to them, the latest messages."""
        check_names(request)
        if driver_id > BIGGEST or not Driver.objects.filter(pk=driver_id).exists():
            raise NotFound
        held = Order.objects.filter(driver_id=driver_id, status__in=sorted(HELD)).order_by("assigned_at", "pk")
        told = Message.objects.filter(driver_id=driver_id).order_by("-pk")[:MESSAGES_SHOWN]
        grants = self.principal.grants
        return Response(
            {
                **shown_driver(driver_id),
                "orders": [representations.order_for_board(order) for order in held] if Grant.CONSOLE in grants else [],
                "messages": [representations.message(one) for one in told] if Grant.MESSAGE in grants else [],
            }
        )


class StoryDoor(Door):
    needs: ClassVar = {"GET": Grant.CONSOLE}

    def get(self, request: Request, order_id: UUID) -> Response:
        """What happened to an order: its history, who was offered it, and why the driver who holds it was chosen."""
        check_names(request)
        return Response(story.of_order(order_id))
