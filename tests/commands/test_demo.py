import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.models import DeviceToken, Presence
from orders.models import ApiKey, Order
from tests.commands.test_simulate import PREFIX
from tests.dispatch.live.rig import ROOT, Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]

DRIVERS = 4


def on_duty() -> int:
    return Presence.objects.filter(is_online=True).count()


def test_the_demo_waits_for_the_server_survives_its_death_and_ends_when_asked(tmp_path: Path) -> None:
    server = Server(tmp_path, prefix=PREFIX)
    output = tmp_path / "demo.log"
    with output.open("wb") as log:
        demo = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "demo", "--drivers", str(DRIVERS), "--orders-per-minute", "120"),
                *("--url", f"http://127.0.0.1:{server.port}"),
            ],
            cwd=ROOT,
            env=server.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "Waiting for" in output.read_text(), seconds=30, what="it waits for the server")
        server.start()
        wait_until(lambda: on_duty() == DRIVERS and Order.objects.exists(), seconds=60, what="everybody works")
        server.stop(signal.SIGKILL)
        Presence.objects.update(last_seen=None)
        placed = Order.objects.count()
        server.start()
        wait_until(
            lambda: not Presence.objects.filter(last_seen=None).exists() and Order.objects.count() > placed,
            seconds=60,
            what="everybody is back",
        )
        demo.send_signal(signal.SIGTERM)
        status = demo.wait(timeout=15)
    finally:
        demo.kill()
        demo.wait()
        server.stop()

    assert status == 0, output.read_text()
    assert (on_duty(), DeviceToken.objects.count()) == (0, 0)
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert output.read_text().splitlines()[-1].endswith("The demo ends.")
