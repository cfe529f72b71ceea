from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.metrics),
    path("api/v1/", include("dispatch.api.urls")),
    path("api/v1/", include("dispatch.api.urls_orders")),
]

handler500 = "config.problems.server_error"
