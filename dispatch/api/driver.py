"""What a driver reads and says of themselves: profile, duty, heartbeat, the whole truth, history."""

import hashlib
import json
import re
from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from dispatch import representations, selectors, services
from dispatch.api.base import DriverView
from dispatch.api.queries import BIGGEST, check_names
from drivers.access import as_driver
from drivers.clock import database_now
from drivers.errors import Invalid, NotFound
from drivers.http import DeviceTime, Number, StrictSerializer, YesNo, checked, page_of, rfc3339
from drivers.services import Position
from orders.models import Order

#: Minutes; the farthest there is, and a little.
MOST_EAST = 15 * 60
OFFSET = re.compile(r"-?[0-9]{1,4}")


def profile(driver_id: int) -> dict[str, Any]:
    driver, presence = selectors.driver_profile(driver_id=driver_id)
    return {
        "id": driver.pk,
        "name": driver.name,
        "phone": driver.phone,
        "vehicle": str(driver.vehicle),
        "capacity": driver.capacity,
        "is_online": presence.is_online,
        "last_seen": rfc3339(presence.last_seen),
    }


class DutySerializer(StrictSerializer):
    is_online = YesNo()


class ProfileView(DriverView):
    def get(self, request: Request) -> Response:
        return Response(profile(self.driver.pk))

    def patch(self, request: Request) -> Response:
        given = checked(DutySerializer, request.data)
        change = services.go_online if given["is_online"] else services.go_offline
        change(driver_id=self.driver.pk)
        return Response(profile(self.driver.pk))


class HeartbeatSerializer(StrictSerializer):
    """A sign of life, as a rule with a position; the socket's `heartbeat` has the same fields."""

    lat = Number(min_value=-90, max_value=90, required=False)
    lng = Number(min_value=-180, max_value=180, required=False)
    accuracy_m = Number(min_value=0, max_value=1_000_000, required=False, allow_null=True)
    heading = Number(min_value=0, max_value=360, required=False, allow_null=True)
    speed_mps = Number(min_value=0, max_value=1_000, required=False, allow_null=True)
    recorded_at = DeviceTime(required=False, allow_null=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        for name, other in (("lat", "lng"), ("lng", "lat")):
            if other in given and name not in given:
                raise ValidationError({name: "lat and lng come together."})
        return given


class HeartbeatView(DriverView):
    def post(self, request: Request) -> Response:
        given = checked(HeartbeatSerializer, request.data)
        driver_id = self.driver.pk
        state = services.record_heartbeats(positions=[Position(driver_id=driver_id, **given)])[driver_id]
        return Response(
            {
                "server_time": rfc3339(database_now()),
                "active": [[str(order_id), version] for order_id, version in state.active],
                "open_offers": state.open_offers,
            }
        )


class SyncView(DriverView):
    """Offers and held orders as they are now. The ETag covers all but `server_time`, so that an app that asks again while
    nothing happened gets 304."""

    cache_control = "private, no-cache"

    def get(self, request: Request) -> Response:
        truth = selectors.sync_driver(driver_id=self.driver.pk)
        shown = {
            "offers": [representations.offer_for_driver(offer) for offer in truth.offers],
            "active": [show_order(order) for order in truth.active],
            "messages": [representations.message(message) for message in truth.messages],
        }
        digest = hashlib.blake2b(json.dumps([self.driver.pk, shown]).encode(), digest_size=16).hexdigest()
        etag = f'"{digest}"'
        known = parse_etags(request.META.get("HTTP_IF_NONE_MATCH", ""))
        if "*" in known or etag in {one.removeprefix("W/") for one in known}:
            return Response(status=304, headers={"ETag": etag})
        return Response({"server_time": rfc3339(truth.server_time), **shown}, headers={"ETag": etag})


class HistoryView(DriverView):
    """The orders that the driver holds or held, newest first."""

    def get(self, request: Request) -> Response:
        check_names(request, "cursor", "limit")
        driver_id = self.driver.pk
        with as_driver(driver_id):
            mine = Order.objects.filter(driver_id=driver_id).select_related("contact")
            page = page_of(mine, request, show_order)
        return Response(page)


class MessagesView(DriverView):
    """What dispatchers wrote to the driver, newest first, the latest 50."""

    def get(self, request: Request) -> Response:
        check_names(request)
        told = selectors.messages_of_driver(driver_id=self.driver.pk)
        return Response({"results": [representations.message(message) for message in told]})


class MessageReadView(DriverView):
    def post(self, request: Request, message_id: int) -> Response:
        checked(StrictSerializer, request.data)
        if message_id > BIGGEST:
            raise NotFound
        message = services.mark_message_read(message_id=message_id, driver_id=self.driver.pk)
        return Response(representations.message(message))


class FiguresView(DriverView):
    """What the driver did today, wherever they are: the app says how far its clock is from UTC."""

    def get(self, request: Request) -> Response:
        check_names(request, "tz_offset_minutes")
        figures = selectors.figures_of(driver_id=self.driver.pk, minutes_east=_offset(request))
        payouts = [{"currency": currency, "amount": f"{amount:.2f}"} for currency, amount in figures.payouts]
        return Response(
            {
                "date": figures.date.isoformat(),
                "delivered": figures.delivered,
                "failed": figures.failed,
                "released": figures.released,
                "payouts": payouts,
            }
        )


def _offset(request: Request) -> int:
    """Minutes east of UTC: 120 in Berlin in summer, -420 in San Francisco. Raises Invalid."""
    text = request.query_params.get("tz_offset_minutes", "0")
    if not OFFSET.fullmatch(text) or not -MOST_EAST <= int(text) <= MOST_EAST:
        raise Invalid(tz_offset_minutes=f"Must be a whole number from -{MOST_EAST} to {MOST_EAST}.")
    return int(text)


def show_order(order: Order) -> dict[str, Any]:
    """An order that was read under the driver's own policies: they show a contact only while it is held."""
    return representations.order_for_driver(order, getattr(order, "contact", None))
