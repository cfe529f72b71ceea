"""What the driver's doors have in common."""

from math import ceil
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from drivers.authentication import DriverAuthentication, IsDriver, driver_of
from drivers.limits import Limit
from drivers.models import Driver

#: Far above what an app does, also one that catches up after a tunnel; far below what one process can answer.
REQUESTS_PER_DRIVER = Limit("driver", per_second=30, burst=300)


class DriverRate(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._wait = REQUESTS_PER_DRIVER.spend(driver_of(request).pk)
        return not self._wait

    def wait(self) -> float:
        return ceil(self._wait)


class DriverView(APIView):
    """A door for a signed-in driver. Answers are theirs alone, so nothing between here and the app may keep them."""

    authentication_classes = [DriverAuthentication]
    permission_classes = [IsDriver]
    throttle_classes = [DriverRate]
    http_method_names = ["get", "head", "post", "patch"]
    cache_control = "no-store"

    @property
    def driver(self) -> Driver:
        return driver_of(self.request)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        finalized: Response = super().finalize_response(request, response, *args, **kwargs)
        finalized.headers.setdefault("Cache-Control", self.cache_control)
        return finalized
