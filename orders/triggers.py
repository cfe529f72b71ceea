"""What PostgreSQL itself refuses, whatever the code path: psql, a migration, a forgotten `.update()`.

Each function raises with SQLSTATE 23514 (check violation) and the constraint's name, so that `orders.changes` can tell
them apart from a fault. They run as whoever writes and see the row under its lock, so they cannot be raced.
"""

from collections.abc import Iterable

import pgtrigger

from orders.lifecycle import HELD, MOVES


def _sql_list(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _refuse(name: str, text: str) -> str:
    return (
        f"RAISE EXCEPTION '{text}' USING ERRCODE = 'check_violation', CONSTRAINT = '{name}', "
        "TABLE = 'orders_order', DETAIL = 'order ' || NEW.id;"
    )


_HELD = _sql_list(HELD)
#: The event of the order's present version. It is in a month that is not settled, so the others need not be planned for.
_ITS_EVENT = (
    "orders_orderevent WHERE order_id = NEW.id AND version = NEW.version AND order_id >= baton_settled_before()"
)
_LEGAL = ", ".join(f"('{before}', '{after}')" for before, after in sorted(MOVES))

ORDER_TRIGGERS = [
    pgtrigger.Trigger(
        name="order_moves_legally",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        condition=pgtrigger.Q(old__status__df=pgtrigger.F("new__status")),
        func=f"IF (OLD.status, NEW.status) NOT IN ({_LEGAL}) THEN "
        + _refuse("order_moves_legally", "illegal move")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        name="order_starts_pending",
        operation=pgtrigger.Insert,
        when=pgtrigger.Before,
        func="IF NEW.status <> 'pending' OR NEW.version <> 1 OR NEW.expired THEN "
        + _refuse("order_starts_pending", "an order starts pending, at version 1")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        # Each change counts, so that clients can tell newer from older and history has one event per version.
        name="order_version_counts",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        func="IF NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id THEN "
        + _refuse("order_version_counts", "every change adds one to the version")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        # Whoever holds it keeps it until it is given back: a hand-over passes through pending.
        name="order_keeps_holder",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        func="IF OLD.driver_id IS DISTINCT FROM NEW.driver_id AND NOT (OLD.status = 'pending' AND NEW.status = 'assigned')"
        " AND NOT (OLD.status = 'assigned' AND NEW.status = 'pending') THEN "
        + _refuse("order_keeps_holder", "a held order cannot be overwritten")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        # `now()` is the transaction's start, so this never contradicts the service, which checks later and stricter.
        name="order_not_expired",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        condition=pgtrigger.Q(old__status="pending", new__status="assigned"),
        func="IF OLD.expired OR OLD.expires_at <= now() THEN "
        + _refuse("order_not_expired", "an expired order cannot be assigned")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        # Locks the driver after the order, the same order as dispatch/locks.py, so two orders cannot both see room.
        name="order_within_capacity",
        operation=pgtrigger.Update,
        when=pgtrigger.Before,
        condition=pgtrigger.Q(new__status="assigned") & ~pgtrigger.Q(old__status="assigned"),
        declare=[("room", "integer"), ("is_suspended", "boolean")],
        func="SELECT capacity, suspended INTO room, is_suspended FROM drivers_driver"
        " WHERE id = NEW.driver_id FOR NO KEY UPDATE; "
        "IF is_suspended THEN "
        + _refuse("order_driver_not_suspended", "a suspended driver cannot be assigned")
        + " END IF; "
        "IF room <= (SELECT count(*) FROM orders_order"
        f" WHERE driver_id = NEW.driver_id AND status IN ({_HELD}) AND id <> NEW.id) THEN "
        + _refuse("order_within_capacity", "the driver is at capacity")
        + " END IF; RETURN NEW;",
    ),
    pgtrigger.Trigger(
        # What a person decided the system leaves alone (orders/lifecycle.py). At commit, because who acted is in the event.
        name="order_pin_holds",
        operation=pgtrigger.Update,
        when=pgtrigger.After,
        timing=pgtrigger.Deferred,
        condition=pgtrigger.Q(old__pinned=True) | pgtrigger.Q(new__pinned=True),
        declare=[("who", "text")],
        func=f"SELECT actor_type INTO who FROM {_ITS_EVENT}; "
        "IF NOT OLD.pinned AND who NOT IN ('dispatcher', 'integrator') THEN "
        + _refuse("order_pin_holds", "only a dispatcher pins an order")
        + " END IF; IF OLD.pinned AND who = 'system'"
        " AND (NOT NEW.pinned OR OLD.driver_id IS DISTINCT FROM NEW.driver_id) THEN "
        + _refuse("order_pin_holds", "the system does not undo what a dispatcher decided")
        + " END IF; RETURN NULL;",
    ),
    pgtrigger.Trigger(
        # At commit, because the event follows the change within the transaction.
        name="order_change_has_event",
        operation=pgtrigger.Insert | pgtrigger.Update,
        when=pgtrigger.After,
        timing=pgtrigger.Deferred,
        func=f"IF NOT EXISTS (SELECT FROM {_ITS_EVENT}) THEN "
        + _refuse("order_change_has_event", "a change without its event")
        + " END IF; RETURN NULL;",
    ),
]

EVENT_TRIGGERS = [
    pgtrigger.Protect(name="order_event_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
]

ACCESS_TRIGGERS = [
    pgtrigger.Protect(name="contact_access_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
]

#: The other way to end up over capacity: making the driver smaller. Plain SQL in orders' migration 0002, because the
#: table belongs to `drivers`, which knows nothing of orders.
DRIVER_CAPACITY_SQL = f"""
CREATE FUNCTION driver_capacity_covers_load() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.capacity < (SELECT count(*) FROM orders_order WHERE driver_id = NEW.id AND status IN ({_HELD})) THEN
        RAISE EXCEPTION 'the driver holds more orders than that'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'driver_capacity_covers_load', TABLE = 'drivers_driver';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER driver_capacity_covers_load BEFORE UPDATE OF capacity ON drivers_driver
    FOR EACH ROW WHEN (NEW.capacity < OLD.capacity) EXECUTE FUNCTION driver_capacity_covers_load();
"""
DRIVER_CAPACITY_REVERSE_SQL = """
DROP TRIGGER driver_capacity_covers_load ON drivers_driver;
DROP FUNCTION driver_capacity_covers_load();
"""
