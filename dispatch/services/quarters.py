"""Settling: what the shift report need not count again. Every step may run any number of times, in any process."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from dispatch.selectors_report import QUARTER, QUARTERS_SQL, by_index, in_spans

#: Quarters that one run settles: a backlog (the first run over years of orders) is worked off run by run, newest first.
SETTLED_AT_ONCE = 96 * 7
#: One statement settles so many, so that none comes near the statement timeout.
BATCH = 96
#: An order may still be released into a quarter that is just over.
GRACE = timedelta(minutes=5)
#: So far back each run counts again what is settled already: an order may be placed with a release in the past.
RECOUNTED = timedelta(days=3)

#: Over, not settled, and without an order that may still change; from the first order on.
TO_SETTLE = """
WITH open_now AS (
    SELECT DISTINCT date_bin('15 minutes', release_at, 'epoch') AS starts_at
    FROM orders_order WHERE status IN ('pending', 'assigned', 'picked_up')
)
SELECT quarter
FROM generate_series((SELECT date_bin('15 minutes', release_at, 'epoch') FROM orders_order ORDER BY created_at, id LIMIT 1),
                     now() - interval '15 minutes' - make_interval(secs => %s), interval '15 minutes') quarter
WHERE NOT EXISTS (SELECT FROM dispatch_reportquarter q WHERE q.starts_at = quarter)
  AND NOT EXISTS (SELECT FROM open_now o WHERE o.starts_at = quarter)
ORDER BY quarter DESC LIMIT %s
"""
#: Settled, and not what it was any more. Final orders cannot change, so there can only be more of them, or one that is open.
TO_RECOUNT = """
DELETE FROM dispatch_reportquarter q
WHERE q.starts_at >= now() - make_interval(secs => %s) AND q.orders <> (
    SELECT count(*) FROM orders_order o
    WHERE o.release_at >= q.starts_at AND o.release_at < q.starts_at + interval '15 minutes'
)
"""
_COLUMNS = (
    "starts_at, orders, delivered, failed, cancelled, ran_out, offers, offers_seen, offers_accepted, offers_declined,"
    " to_assign, to_deliver"
)
_NONE = "0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '{}'"
#: Quarters without an order are settled too. Whether all are final is asked once more in the statement that writes.
SETTLE = f"""
WITH counted AS ({QUARTERS_SQL})
INSERT INTO dispatch_reportquarter ({_COLUMNS}, settled_at)
SELECT {_COLUMNS}, clock_timestamp() FROM (
    SELECT {_COLUMNS} FROM counted WHERE waiting + expired + assigned + picked_up = 0
    UNION ALL
    SELECT starts_at, {_NONE} FROM unnest(%(quarters)s::timestamptz[]) starts_at
    WHERE starts_at NOT IN (SELECT starts_at FROM counted)
) found
ON CONFLICT DO NOTHING
"""


def settle_quarters() -> int:
    """Write down the quarters of an hour whose orders are all final; how many were.

    A report is right without it, only slower: what is not settled is counted afresh each time.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        by_index(cursor)
        cursor.execute(TO_RECOUNT, [RECOUNTED.total_seconds()])
    with connection.cursor() as cursor:
        cursor.execute(TO_SETTLE, [GRACE.total_seconds(), SETTLED_AT_ONCE])
        quarters: list[datetime] = [row[0] for row in cursor.fetchall()]
    return sum(_settle(quarters[first : first + BATCH]) for first in range(0, len(quarters), BATCH))


def _settle(quarters: list[datetime]) -> int:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        by_index(cursor)
        cursor.execute(SETTLE, {"quarters": quarters, **in_spans((quarter, quarter + QUARTER) for quarter in quarters)})
        return int(cursor.rowcount)
