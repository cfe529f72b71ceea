"""A closed app is woken by a real worker."""

from pathlib import Path
from typing import Any

import pytest
from django_q.models import Task

from drivers import push
from drivers.models import DeviceToken, Driver
from tests import cast
from tests.cluster import rig
from tests.pushservice import push_service
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]


def test_an_offer_reaches_a_closed_app_within_seconds(tmp_path: Path, alice: Driver, settings: Any) -> None:
    with push_service() as service:
        settings.PUSH_PRIVATE_KEY, _ = push.create_keys()
        settings.PUSH_CONTACT = "mailto:ops@example.com"
        settings.PUSH_TEST_ORIGIN = service.origin
        keys = {
            "BATON_PUSH_PRIVATE_KEY": settings.PUSH_PRIVATE_KEY,
            "BATON_PUSH_CONTACT": settings.PUSH_CONTACT,
            "BATON_PUSH_TEST_ORIGIN": settings.PUSH_TEST_ORIGIN,
        }
        token, _ = DeviceToken.objects.create(user=alice.user)
        for name in ("phone", "dead"):
            given = service.subscription(name)
            push.subscribe(driver_id=alice.pk, token_digest=token.pk, endpoint=given["endpoint"], **given["keys"])
        service.answers["dead"] = [(410, {})]
        with rig.worker(tmp_path / "worker.log", **keys):
            wait_until(lambda: rig.active(), seconds=90, what="the worker is up")

            order = cast.order(auto_assign_at=cast.now() + cast.MINUTE)

            wait_until(lambda: service.of("phone"), seconds=8, what="the phone is told")
            wait_until(lambda: token.push_subscriptions.count() == 1, seconds=5, what="the dead one is forgotten")

        assert [told["order"] for told in service.of("phone")] == [str(order.pk)]
        assert service.faults == []
        assert not Task.objects.filter(func="dispatch.tasks.push_offers", success=False).exists()
