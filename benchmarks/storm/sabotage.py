"""Faults built into the copy on purpose: each takes away one guard, with whatever else would stand in for it, so that the
verdict has something to find. `bin/storm --sabotage NAME`; without them a clean verdict would prove nothing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sabotage:
    #: What is taken away, for people.
    what: str
    #: (file, what stands there, what shall stand there)
    edits: tuple[tuple[str, str, str], ...]
    #: Run by the owner of the tables, after the migrations; and what brings it all back.
    sql: str = ""
    mend: str = ""
    #: How often PostgreSQL has to crash for it to show.
    crashes: int = 0


NO_TRIGGERS = "ALTER TABLE orders_order DISABLE TRIGGER USER; ALTER TABLE orders_orderevent DISABLE TRIGGER USER;"
TRIGGERS = NO_TRIGGERS.replace("DISABLE", "ENABLE")
LOCK = "order = ORDERS.one(LOCK_ORDER, [order_id])"
GUARD = "WHERE o.id = seen.id AND o.version = seen.version AND o.status = %(status)s"

SABOTAGES: dict[str, Sabotage] = {
    "lock_removed": Sabotage(
        "nobody locks the order, the update no longer expects a version, the triggers and the unique numbering are off",
        (
            ("dispatch/locks.py", LOCK, "order = Order.objects.filter(pk=order_id).first()"),
            ("orders/changes.py", GUARD, "WHERE o.id = seen.id AND %(status)s <> ''"),
        ),
        NO_TRIGGERS + " ALTER TABLE orders_orderevent DROP CONSTRAINT one_event_per_order_version;",
        TRIGGERS
        + " ALTER TABLE orders_orderevent ADD CONSTRAINT one_event_per_order_version UNIQUE (order_id, version);",
    ),
    "capacity_unguarded": Sabotage(
        "nobody counts what a driver holds, and the trigger that would is off",
        (("dispatch/locks.py", "if load_of(driver.pk) >= driver.capacity:", "if load_of(driver.pk) >= 1000:"),),
        NO_TRIGGERS,
        TRIGGERS,
    ),
    "expiry_unchecked": Sabotage(
        "accepting does not look at the deadline, and the trigger that would is off",
        (("dispatch/services/accept.py", "if order.expired or order.expires_at <= now:", "if False:"),),
        NO_TRIGGERS,
        TRIGGERS,
    ),
    "constraint_dropped": Sabotage(
        "the index that allows one accepted offer per order is gone: nothing is broken yet, one guard fewer stands",
        (),
        "ALTER TABLE dispatch_offer DROP CONSTRAINT IF EXISTS one_accepted_offer_per_order;"
        " DROP INDEX IF EXISTS one_accepted_offer_per_order;",
        "CREATE UNIQUE INDEX one_accepted_offer_per_order ON dispatch_offer (order_id) WHERE status = 'accepted';",
    ),
    "published_before_commit": Sabotage(
        "screens are told at once instead of after commit, also of what is then rolled back",
        (
            (
                "dispatch/live.py",
                "        transaction.on_commit(outbox, robust=True)",
                # Hardly anything is rolled back after it was told of; a crash in this moment does it.
                "        outbox()\n        time.sleep(0.05)",
            ),
        ),
        crashes=3,
    ),
    "replay_unchecked": Sabotage(
        "a tap that is sent again is carried out again, and leaves no second receipt",
        (
            (
                "dispatch/services/receipts.py",
                "if not is_new and (done := _find(driver_id, order_id, verb, tap)):",
                "if False:",
            ),
            (
                "dispatch/services/receipts.py",
                "                _write(driver_id, order_id, verb, tap, order.version)\n",
                "                pass\n",
            ),
        ),
    ),
    "acknowledged_early": Sabotage(
        "PostgreSQL answers before a commit is on disk, so a crash loses what was acknowledged",
        (("deploy/postgresql.conf", "", "\nsynchronous_commit = off\nwal_writer_delay = 10s\n"),),
        crashes=1,
    ),
}


def spoil(name: str, copy: Path) -> None:
    """Carry out the edits in a copy of the checkout. ValueError when the code is no longer as the fault expects."""
    for file, old, new in SABOTAGES[name].edits:
        path = copy / file
        text = path.read_text()
        if old and text.count(old) < 1:
            raise ValueError(f"sabotage {name}: {file} no longer has {old!r}")
        path.write_text(text.replace(old, new) if old else text + new)
