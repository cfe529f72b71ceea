"""The API's own description: /api/schema/ for programs, /api/docs/ for people. Apart from config/openapi.py, because these
doors' base classes ask for the schema class that is defined there."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from dispatch.api.documents import Schema


@cache
def openapi_document() -> Schema:
    """Made once per process: it is the same for everybody, and making it takes a while."""
    document: Schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # not typed there
    return document


class SchemaDoor(SpectacularAPIView):
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]
    authentication_classes: list[Any] = []

    def _get_schema_response(self, request: Request) -> Response:
        return Response(openapi_document(), headers={"Content-Disposition": 'inline; filename="baton.json"'})


class DocsDoor(SpectacularSwaggerSplitView):
    """Swagger UI from our own server, under a Content-Security-Policy that knows no inline script or style."""

    template_name = "api_docs.html"
    url_name = "openapi"
    authentication_classes: list[Any] = []

    def handle_exception(self, exc: Exception) -> Response:
        # A refusal is a problem document here too, not a page.
        self.request.accepted_renderer = JSONRenderer()
        return super().handle_exception(exc)
