"""Where a driver's device wants to be woken: Web Push, as browsers have it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from dispatch.api.base import DriverView
from dispatch.api.queries import check_names
from drivers import push
from drivers.http import StrictSerializer, Text, checked


class PushKeysSerializer(StrictSerializer):
    p256dh = Text(max_length=100)
    auth = Text(max_length=40)


class SubscriptionSerializer(StrictSerializer):
    """What the browser's `PushSubscription.toJSON()` gives, without `expirationTime`."""

    endpoint = Text(max_length=push.LONGEST_ENDPOINT)
    keys = PushKeysSerializer()


class EndpointSerializer(StrictSerializer):
    endpoint = Text(max_length=push.LONGEST_ENDPOINT)


class PushView(DriverView):
    http_method_names = ["get", "head", "post", "delete"]

    def get(self, request: Request) -> Response:
        check_names(request)
        return Response({"public_key": push.public_key()})

    def post(self, request: Request) -> Response:
        check_names(request)
        given: dict[str, Any] = checked(SubscriptionSerializer, request.data)
        push.subscribe(
            driver_id=self.driver.pk, token_digest=request.auth.pk, endpoint=given["endpoint"], **given["keys"]
        )
        return Response(status=204)

    def delete(self, request: Request) -> Response:
        check_names(request)
        given = checked(EndpointSerializer, request.data)
        push.unsubscribe(driver_id=self.driver.pk, endpoint=given["endpoint"])
        return Response(status=204)
