from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config import health
from config.api_docs import DocsDoor, SchemaDoor
from dispatch.admin import board, shift_report
from drivers import pages

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/board/", admin.site.admin_view(board.page), name="board"),
    path("admin/report/", admin.site.admin_view(shift_report.page), name="shift_report"),
    path("admin/report/orders.csv", admin.site.admin_view(shift_report.orders_csv), name="shift_report_orders"),
    path("admin/report/drivers.csv", admin.site.admin_view(shift_report.drivers_csv), name="shift_report_drivers"),
    path("admin/", admin.site.urls),
    path("driver/manifest.webmanifest", pages.manifest),
    path("driver/", pages.app, name="driver-app"),
    path("driver/<path:path>", pages.app),
    path("sw.js", pages.service_worker),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.metrics),
    path("api/v1/", include("dispatch.api.urls")),
    path("api/v1/", include("dispatch.api.urls_orders")),
    path("api/schema/", SchemaDoor.as_view(), name="openapi"),
    path("api/docs/", DocsDoor.as_view(), name="docs"),
]

handler500 = "config.problems.server_error"
