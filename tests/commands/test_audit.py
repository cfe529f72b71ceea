from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from dispatch import audit, services, tasks
from dispatch.models import AuditVerdict
from drivers.clock import database_now
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.race import rig

# The audit takes its own snapshot, so it cannot run inside a test's transaction.
pytestmark = pytest.mark.django_db(transaction=True)


def test_every_kind_of_ordinary_history_is_clean(alice: Driver, bob: Driver) -> None:
    finished, failed, given_back, taken_away, cancelled, expired, by_hand, by_system = (cast.order() for _ in range(8))
    actor = cast.DISPATCHER
    services.accept_order(order_id=finished.pk, driver_id=alice.pk, tap=services.Tap("1"))
    services.pick_up_order(order_id=finished.pk, driver_id=alice.pk, tap=services.Tap("2"))
    services.deliver_order(order_id=finished.pk, driver_id=alice.pk, tap=services.Tap("3"))
    services.offer_orders()
    services.accept_order(order_id=failed.pk, driver_id=alice.pk)
    services.pick_up_order(order_id=failed.pk, driver_id=alice.pk)
    services.fail_order(order_id=failed.pk, driver_id=alice.pk, reason="nobody there", tap=services.Tap("4"))
    services.offer_orders()
    services.accept_order(order_id=given_back.pk, driver_id=alice.pk)
    services.release_order(order_id=given_back.pk, driver_id=alice.pk, tap=services.Tap("5"))
    services.offer_orders()
    services.decline_order(order_id=cancelled.pk, driver_id=bob.pk, tap=services.Tap("6"))
    services.cancel_order(order_id=cancelled.pk, actor=actor)
    services.assign_order(order_id=taken_away.pk, driver_id=bob.pk, actor=actor)
    services.unassign_order(order_id=taken_away.pk, actor=actor)
    services.cancel_order(order_id=taken_away.pk, actor=actor)
    cast.let_time_pass(expired, seconds=125)
    services.expire_orders()
    services.reoffer_order(order_id=expired.pk, actor=actor)
    services.cancel_order(order_id=expired.pk, actor=actor)
    services.assign_order(order_id=by_hand.pk, driver_id=bob.pk, actor=actor)
    # Accepting what one holds already is answered as if it were the first time, and leaves a receipt.
    services.pick_up_order(order_id=by_hand.pk, driver_id=bob.pk)
    services.accept_order(order_id=by_hand.pk, driver_id=bob.pk, tap=services.Tap("7"))
    cast.let_time_pass(by_system, seconds=20)
    assert services.auto_assign() >= 1

    report = audit.audit()

    assert report.broken == []
    assert (report.counts["orders"], report.counts["receipts"]) == (8, 7)
    assert len(report.outcomes) == len(audit.ALL_CHECKS)


def test_the_command_says_so_and_exits_with_0(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk, tap=services.Tap("1"))
    said = StringIO()

    call_command("audit", stdout=said)

    lines = said.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("ok      ")] == [lines[-1]]
    assert lines[-1].startswith(
        f"Audit clean: {len(audit.ALL_CHECKS)} checks over 1 orders, 3 events, 2 offers, 1 receipts, 2 drivers in "
    )


def test_the_command_shows_the_rows_and_exits_with_1(alice: Driver) -> None:
    orders = [cast.order() for _ in range(3)]
    with rig.without_triggers():
        Order.objects.update(version=7)
    said = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("audit", "--rows", "2", stdout=said)

    assert ended.value.code == 1
    lines = said.getvalue().splitlines()
    broken = lines.index("BROKEN  Replaying its events gives each order's status, holder, pin, version and times.")
    assert (
        f"order {min(order.pk for order in orders)}: the row says pending, driver none, version 7;" in lines[broken + 1]
    )
    assert lines[broken + 3].strip() == "… and 1 more"
    assert lines[-1].startswith("Audit BROKEN: rows_equal_their_history (over 3 orders")


def test_the_hourly_audit_keeps_its_verdict_and_says_when_a_promise_is_broken(alice: Driver) -> None:
    cast.order()
    assert tasks.audit_history().startswith("clean: ")
    first = AuditVerdict.objects.get()
    assert (first.broken, first.verdict[:7]) == ([], "clean: ")
    with rig.without_triggers():
        Order.objects.update(version=7)
    # As if it had been long ago enough for what it cost.
    AuditVerdict.objects.update(seconds=0)

    tasks.audit_history()

    second = AuditVerdict.objects.get()
    assert second.broken == ["rows_equal_their_history"]
    assert second.verdict.startswith("BROKEN: rows_equal_their_history")
    assert second.looked_at > first.looked_at


def test_an_audit_that_took_long_is_not_repeated_soon(alice: Driver) -> None:
    tasks.audit_history()
    AuditVerdict.objects.update(seconds=20, looked_at=database_now() - timedelta(hours=1))
    before = AuditVerdict.objects.get().looked_at

    assert tasks.audit_history() == "not yet again: the last one took 20.0 s"
    assert AuditVerdict.objects.get().looked_at == before

    AuditVerdict.objects.update(looked_at=database_now() - timedelta(seconds=4001))
    assert tasks.audit_history().startswith("clean: ")


def test_the_command_keeps_its_verdict_only_when_asked(alice: Driver) -> None:
    call_command("audit", stdout=StringIO())
    assert not AuditVerdict.objects.exists()

    call_command("audit", "--keep", stdout=StringIO())

    assert AuditVerdict.objects.get().broken == []


def test_the_audit_can_write_nothing(alice: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def vandal(**_: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE drivers_driver SET name = 'x'")

    monkeypatch.setattr("dispatch.audit.run.look", vandal)
    with pytest.raises(Exception, match="read-only transaction"):
        audit.audit()
