"""For whoever watches over Baton: is it alive, is it ready, how is it doing."""

import hmac
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, DurationField, F, Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_q.models import Failure, OrmQ
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from config.problems import problem_response
from dispatch.jobs import CLUSTER
from dispatch.models import AuditVerdict, SweepHeartbeat
from dispatch.selectors import live_presences
from drivers import redisdb
from drivers.clock import ClockTimestamp, database_now
from orders.lifecycle import FINAL, HELD, Status
from orders.models import Order

#: Whatever is killed, sweeps run again within this.
SWEEPS_FRESH = timedelta(seconds=10)
LOOPBACK = {"127.0.0.1", "::1"}


@never_cache
@csrf_exempt  # else a wrong method is told of tokens instead of methods
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers. It asks nothing else, so that nobody restarts it because PostgreSQL is away."""
    return JsonResponse({"status": "alive"})


@never_cache
@csrf_exempt  # else a wrong method is told of tokens instead of methods
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Everything that Baton needs is there: 200, else 503, each part by itself."""
    parts = {"database": _check(_database), "redis": _check(_redis), "sweeps": _check(_sweeps)}
    is_ready = all(part["ok"] for part in parts.values())
    return JsonResponse(
        {"status": "ready" if is_ready else "not ready", "parts": parts},
        status=200 if is_ready else 503,
        headers={} if is_ready else {"Retry-After": "2"},
    )


def _check(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        found = part()
    except (DatabaseError, InterfaceError, redis.RedisError):
        # What exactly is wrong stands in the log of that server; here it would tell strangers.
        found = {"ok": False, "detail": "away"}
    return {**found, "ms": round((time.monotonic() - began) * 1000, 1)}


def _database() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"ok": True}


def _redis() -> dict[str, Any]:
    away, servers = redisdb.away()
    return {"ok": False, "detail": "away" if servers == 1 else f"{away} of {servers} away"} if away else {"ok": True}


def _sweeps() -> dict[str, Any]:
    age = sweep_age()
    if age is None:
        return {"ok": False, "detail": "have never run"}
    return {"ok": age < SWEEPS_FRESH, "age_s": round(age.total_seconds(), 1)}


def sweep_age() -> timedelta | None:
    """How long ago the sweeps last gave a sign of life, by the database's clock; None: never."""
    row = SweepHeartbeat.objects.annotate(now=ClockTimestamp()).values_list("active_at", "now").first()
    return max(row[1] - row[0], timedelta()) if row is not None and row[0] is not None else None


@never_cache
@csrf_exempt  # else a wrong method is told of tokens instead of methods
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus. For this machine only, or for whoever has BATON_METRICS_TOKEN."""
    if not _may_see_metrics(request):
        return problem_response(403, "permission_denied", "Metrics are for this machine, or for the metrics token.")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DispatchCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_see_metrics(request: HttpRequest) -> bool:
    if token := settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # A request that a proxy passed on is not from this machine, even if the proxy is.
    forwarded = any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"))
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded


class DispatchCollector(Collector):
    """Read from the database when asked: true for the whole installation, whichever process answers."""

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        orders = GaugeMetricFamily("baton_orders", "Orders that are not final, by status.", labels=["status"])
        counts = dict.fromkeys((Status.PENDING, "expired", *sorted(HELD)), 0)
        rows = (
            Order.objects.exclude(status__in=sorted(FINAL))
            .order_by()
            .values_list("status", "expired")
            .annotate(n=Count("*"))
        )
        for status, expired, count in rows:
            counts["expired" if expired else status] = count
        for status, count in counts.items():
            orders.add_metric([str(status)], count)
        yield orders
        yield GaugeMetricFamily("baton_live_drivers", "Drivers on duty and heard of.", live_presences().count())
        age = sweep_age()
        yield GaugeMetricFamily(
            "baton_sweep_age_seconds",
            "Since the sweeps' last sign of life; NaN: never.",
            age.total_seconds() if age is not None else float("nan"),
        )
        verdict = AuditVerdict.objects.annotate(age=ClockTimestamp() - F("looked_at")).first()
        yield GaugeMetricFamily(
            "baton_audit_broken_checks",
            "Checks of the last audit that found something; NaN: there was none yet.",
            len(verdict.broken) if verdict is not None else float("nan"),
        )
        yield GaugeMetricFamily(
            "baton_audit_age_seconds",
            "Since the last audit; NaN: never.",
            verdict.age.total_seconds() if verdict is not None else float("nan"),
        )
        # `lock` is when a task may be taken: in the future while it is not due, or while a worker has it.
        due = OrmQ.objects.filter(key=CLUSTER).aggregate(
            count=Count("*"), oldest=Max(database_now() - F("lock"), output_field=DurationField())
        )
        yield GaugeMetricFamily("baton_jobs", "Jobs that are queued or being done.", due["count"])
        waits = due["oldest"].total_seconds() if due["oldest"] is not None else 0.0
        yield GaugeMetricFamily(
            "baton_oldest_job_seconds", "How long the oldest job has been due and not taken; 0: none.", max(0.0, waits)
        )
        yield GaugeMetricFamily(
            "baton_failed_jobs", "Jobs that failed and stand in the admin.", Failure.objects.count()
        )
        oldest = Order.objects.filter(status=Status.PENDING, expired=False).order_by("expires_at").first()
        late = (database_now() - oldest.expires_at).total_seconds() if oldest is not None else 0.0
        yield GaugeMetricFamily(
            "baton_oldest_overdue_seconds", "How late the oldest unhandled expiry is; 0: none.", max(0.0, late)
        )
