"""A picture as proof of a delivery: the one call whose body is not JSON."""

from collections.abc import Mapping
from math import ceil
from typing import IO, Any, Final
from uuid import UUID

from django.conf import settings
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from dispatch import services
from dispatch.api.base import DriverRate, DriverView
from dispatch.api.queries import check_names, choice_param, text_param
from dispatch.errors import TooLarge
from drivers.authentication import driver_of
from drivers.errors import Invalid
from drivers.http import DeviceTime
from drivers.limits import Limit
from orders.models import DeliveryProof, ProofKind

#: A day's pictures after a tunnel; each costs as much as fifty other requests.
PROOFS_PER_DRIVER: Final = Limit("proofs", per_second=0.2, burst=20)


class ProofRate(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._wait = PROOFS_PER_DRIVER.spend(driver_of(request).pk)
        return not self._wait

    def wait(self) -> float:
        return ceil(self._wait)


class _PictureParser(BaseParser):
    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        content = stream.read(settings.MAX_PROOF_BYTES + 1)
        if len(content) > settings.MAX_PROOF_BYTES:
            raise TooLarge
        return {"media_type": self.media_type, "content": content}


class JpegParser(_PictureParser):
    media_type = "image/jpeg"


class PngParser(_PictureParser):
    media_type = "image/png"


class WebpParser(_PictureParser):
    media_type = "image/webp"


class ProofsView(DriverView):
    parser_classes = [JpegParser, PngParser, WebpParser]
    throttle_classes = [DriverRate, ProofRate]
    http_method_names = ["post"]

    def post(self, request: Request, order_id: UUID) -> Response:
        check_names(request, "kind", "action_id", "taken_at")
        kind = choice_param(request, "kind", ProofKind.values)
        action_id = text_param(request, "action_id", max_length=64)
        required = {"kind": kind, "action_id": action_id}
        if missing := {name: "This field is required." for name, given in required.items() if not given}:
            raise Invalid(**missing)
        taken_at = request.query_params.get("taken_at")
        # An empty body is never parsed.
        upload: dict[str, Any] = {**request.data} if isinstance(request.data, dict) else {}
        if not upload.get("content"):
            raise Invalid(body="The picture itself is missing.")
        kept = services.keep_proof(
            order_id=order_id,
            driver_id=self.driver.pk,
            action_id=action_id,
            kind=kind,
            **upload,
            taken_at=_time(taken_at) if taken_at else None,
        )
        headers = {"Idempotent-Replayed": "true"} if kept.replayed else None
        return Response(shown(kept.proof), status=201, headers=headers)


def _time(text: str) -> Any:
    try:
        return DeviceTime().run_validation(text)
    except ValidationError as error:
        raise Invalid(taken_at="Must be a time like 2026-01-31T12:00:00Z.") from error


def shown(proof: DeliveryProof) -> dict[str, Any]:
    return {"id": str(proof.pk), "kind": str(proof.kind), "width": proof.width, "height": proof.height}
