import math
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as now_settings
from django.test import Client
from django_q.models import OrmQ, Task

from dispatch import services
from dispatch.jobs import queue_later
from dispatch.models import AuditVerdict, SweepHeartbeat
from drivers import redisdb
from drivers.clock import ClockTimestamp, database_now
from drivers.models import Driver
from tests import cast
from tests.dispatch.api.callers import problem
from tests.dispatch.live.rig import free_port

pytestmark = pytest.mark.django_db


def swept(seconds_ago: float) -> None:
    SweepHeartbeat.objects.update_or_create(pk=1)
    SweepHeartbeat.objects.update(active_at=ClockTimestamp() - timedelta(seconds=seconds_ago))


def test_alive_asks_nothing_of_anybody(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert "no-store" in response.headers["Cache-Control"]


def test_ready_when_every_part_is(client: Client) -> None:
    swept(1)

    response = client.get("/readyz")

    assert response.status_code == 200
    document = response.json()
    assert document["status"] == "ready"
    assert {name: part["ok"] for name, part in document["parts"].items()} == {
        "database": True,
        "redis": True,
        "sweeps": True,
    }
    assert 1 <= document["parts"]["sweeps"]["age_s"] < 5


@pytest.mark.parametrize("seconds_ago", [10.1, 3600])
def test_not_ready_when_the_sweeps_stand_still(client: Client, seconds_ago: float) -> None:
    swept(seconds_ago)

    response = client.get("/readyz")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.json()["status"] == "not ready"
    assert response.json()["parts"]["sweeps"]["ok"] is False
    assert response.json()["parts"]["database"]["ok"] is True


def test_not_ready_before_the_first_sweep(client: Client) -> None:
    SweepHeartbeat.objects.all().delete()

    assert client.get("/readyz").json()["parts"]["sweeps"]["detail"] == "have never run"


def test_not_ready_without_redis(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    swept(1)
    redisdb.client.cache_clear()
    monkeypatch.setattr(now_settings, "REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    try:
        response = client.get("/readyz")
    finally:
        redisdb.client.cache_clear()

    assert response.status_code == 503
    assert {name: part["ok"] for name, part in response.json()["parts"].items()} == {
        "database": True,
        "redis": False,
        "sweeps": True,
    }
    assert response.json()["parts"]["redis"]["detail"] == "away"


# --- Metrics ---------------------------------------------------------------------------------------------------------


def gauges(client: Client, **headers: str) -> dict[str, float]:
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.content
    lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_count_what_is_there(client: Client, alice: Driver, bob: Driver) -> None:
    cast.driver("off", is_online=False)
    swept(3)
    held, *_ = (cast.order() for _ in range(3))
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    late = cast.order()
    cast.let_time_pass(late, seconds=150)

    found = gauges(client)

    assert {name: found[f'baton_orders{{status="{name}"}}'] for name in ("pending", "expired", "assigned")} == {
        "pending": 3,
        "expired": 0,
        "assigned": 1,
    }
    assert found["baton_live_drivers"] == 2
    assert 3 <= found["baton_sweep_age_seconds"] < 8
    assert 30 <= found["baton_oldest_overdue_seconds"] < 35
    services.expire_orders()
    assert gauges(client)['baton_orders{status="expired"}'] == 1
    assert gauges(client)["baton_oldest_overdue_seconds"] == 0


def test_metrics_tell_of_the_last_audit(client: Client, alice: Driver) -> None:
    swept(1)
    never = gauges(client)
    assert math.isnan(never["baton_audit_broken_checks"])
    assert math.isnan(never["baton_audit_age_seconds"])
    AuditVerdict.objects.create(
        looked_at=database_now() - timedelta(minutes=5),
        seconds=1.0,
        broken=["moves_are_legal", "x"],
        verdict="BROKEN: …",
    )

    found = gauges(client)

    assert found["baton_audit_broken_checks"] == 2
    assert 300 <= found["baton_audit_age_seconds"] < 305


def test_metrics_tell_of_jobs_that_wait_and_jobs_that_failed(client: Client, alice: Driver) -> None:
    swept(1)
    none = gauges(client)
    assert [none[f"baton_{name}"] for name in ("jobs", "oldest_job_seconds", "failed_jobs")] == [0, 0, 0]
    queue_later("dispatch.tasks.push_offers", [], seconds=60)
    assert [gauges(client)[f"baton_{name}"] for name in ("jobs", "oldest_job_seconds")] == [1, 0]
    OrmQ.objects.update(lock=database_now() - timedelta(seconds=40))
    now = database_now()
    Task.objects.create(id="x", name="x", func="x", started=now, stopped=now, success=False)

    found = gauges(client)

    assert (found["baton_jobs"], found["baton_failed_jobs"]) == (1, 1)
    assert 40 <= found["baton_oldest_job_seconds"] < 45


def test_metrics_are_for_this_machine(alice: Driver) -> None:
    problem(Client(REMOTE_ADDR="203.0.113.9").get("/metrics"), 403, "permission_denied")
    problem(Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}), 403, "permission_denied")
    assert Client(REMOTE_ADDR="::1").get("/metrics").status_code == 200


def test_with_a_token_metrics_are_for_its_holder_only(settings: Any) -> None:
    settings.METRICS_TOKEN = "let me see"
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")

    assert gauges(elsewhere, Authorization="Bearer let me see")
    for wrong in ("", "let me see", "Bearer let me", "Bearer é"):
        problem(elsewhere.get("/metrics", headers={"Authorization": wrong}), 403, "permission_denied")
    problem(Client().get("/metrics"), 403, "permission_denied")
