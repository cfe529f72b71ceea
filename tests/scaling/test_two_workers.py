"""`manage.py worker` on two machines: one of all of them sweeps, and when its machine is gone, the other one's do."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from drivers.clock import database_now
from orders.models import Order
from tests import cast
from tests.cluster import rig
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]


def test_a_machine_that_is_gone_takes_the_sweeps_of_no_other_along(tmp_path: Path) -> None:
    with rig.worker(tmp_path / "first.log") as gone, rig.worker(tmp_path / "second.log") as left:
        wait_until(lambda: rig.active() and rig.standby(), seconds=60, what="one sweeps and one stands by")
        wait_until(lambda: gone.sentinel("sweeps") and left.sentinel("sweeps"), seconds=60, what="both are up")
        if rig.active() in left.family():
            gone, left = left, gone

        due = database_now()
        order = cast.order(expires_at=due + timedelta(seconds=0.5), auto_assign_at=due + timedelta(seconds=0.5))
        for pid in gone.family():
            os.kill(pid, signal.SIGKILL)

        wait_until(lambda: Order.objects.get(pk=order.pk).expired, seconds=10, what="sweeping again")
        wait_until(lambda: rig.active() in left.family(), seconds=10, what="the other machine sweeps")
        wait_until(lambda: rig.standby() in left.family(), seconds=10, what="and stands by for itself")
        assert cast.history(order) == ["created", "expired"]
