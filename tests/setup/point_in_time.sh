#!/usr/bin/env bash
# Puts a database back to a moment between two orders, with the very lines of docs/operations.md, and audits it:
# tests/setup/point_in_time.sh. A PostgreSQL cluster of its own; needs a checkout that was set up (bin/up or bin/test).
. "$(dirname "${BASH_SOURCE[0]}")/../../bin/lib/setup.sh"

know_services && find_postgres || fail "this checkout is not set up yet; run bin/up"
PLACE=$(mktemp -d /tmp/baton-pitr.XXXXXX)
chmod 711 "$PLACE"
install -d -m 700 -o "$PG_USER" "$PLACE/wal" "$PLACE/socket"
PG_DATA=$PLACE/pg PG_LOG=$PLACE/pg.log SETUP_LOG=$PLACE/log
install -m 600 -o "$PG_USER" /dev/null "$PG_LOG"
BATON_PG_PORT=$(free_port 16432) BATON_PG_SOCKET_DIR=$PLACE/socket

clean_up() {
    local status=$?
    trap - EXIT
    as_user "$PG_USER" "$PG_BIN/pg_ctl" stop --pgdata "$PG_DATA" --mode immediate >/dev/null 2>&1 || true
    [ "$status" = 0 ] || tail -n 20 "$PG_LOG" "$SETUP_LOG" >&2
    rm -rf "$PLACE"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# lines KIND: that block of the page, with our directory in the place of theirs.
lines() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$ROOT/docs/operations.md" | grep -v '^```' | sed "s|/var/backups/baton|$PLACE|g"; }
start() { as_user "$PG_USER" "$PG_BIN/pg_ctl" start --pgdata "$PG_DATA" --log "$PG_LOG" --silent --wait --timeout 120 </dev/null >/dev/null; }
configure() { printf '%s\n' "$1" | as_user "$PG_USER" tee -a "$PG_DATA/postgresql.conf" >/dev/null; }
there() {
    DATABASE_URL="postgresql://$1:$2@127.0.0.1:$BATON_PG_PORT/baton" BATON_STATEMENT_TIMEOUT_MS=600000 "$VENV/bin/python" "$ROOT/manage.py" "${@:3}"
}
app() { there baton_app "$BATON_APP_PASSWORD" "$@"; }
place() {
    app shell -v 0 -c "
from dispatch import services
from orders import actors
from orders.services import Contact, NewOrder, Place
for n in range($1):
    spot = Place(37.7955, -122.3937)
    order, _ = services.place_order(new=NewOrder(pickup=spot, dropoff=spot, contact=Contact(name='P', phone='1')), actor=actors.SYSTEM)
    if n % 2:
        services.cancel_order(order_id=order.pk, actor=actors.SYSTEM)
"
}
orders() { ask baton 'SELECT count(*) FROM orders_order'; }
ask() { superuser_psql -d "$1" -At -c "$2"; }

as_user "$PG_USER" mkdir -m 700 "$PLACE/socket/new"
mv "$PLACE/socket/new" "$PG_DATA"
as_user "$PG_USER" "$PG_BIN/initdb" --pgdata "$PG_DATA" --username postgres --encoding UTF8 --locale C --auth-local trust \
    --auth-host scram-sha-256 --no-instructions >>"$SETUP_LOG"
configure "$(cat "$ROOT/deploy/postgresql.conf")
port = $BATON_PG_PORT
listen_addresses = '127.0.0.1'
unix_socket_directories = '$BATON_PG_SOCKET_DIR'
max_wal_size = '256MB'
$(lines conf)"
start
say_roles >>"$SETUP_LOG" 2>&1
there baton_owner "$BATON_OWNER_PASSWORD" migrate --noinput -v 0
place 20
say "· 20 orders, then a base backup"
as_user "$PG_USER" "$PG_BIN/pg_basebackup" -h "$BATON_PG_SOCKET_DIR" -p "$BATON_PG_PORT" -U postgres -D "$PLACE/socket/base" --checkpoint=fast --wal-method=stream
place 30
moment=$(ask postgres 'SELECT clock_timestamp()')
sleep 1
place 40
app shell -v 0 -c "from django.db import connection; c = connection.cursor(); c.execute('DELETE FROM dispatch_offer')"
[ "$(orders)" = 90 ]
last=$(ask postgres 'SELECT pg_walfile_name(pg_switch_wal())')
say "· 30 orders more, the moment $moment, 40 more and an accident; the machine dies"
not_archived() { [ ! -e "$PLACE/wal/$last" ]; }
wait_gone 60 not_archived || fail "the log was not archived"
as_user "$PG_USER" "$PG_BIN/pg_ctl" stop --pgdata "$PG_DATA" --mode immediate >/dev/null
mv "$PG_DATA" "$PLACE/aside"
mv "$PLACE/socket/base" "$PG_DATA"
configure "$(lines recovery | sed "s/^recovery_target_time = .*/recovery_target_time = '$moment'/")"
as_user "$PG_USER" touch "$PG_DATA/recovery.signal"
start
tries=0
until [ "$(ask postgres 'SELECT pg_is_in_recovery()')" = f ] || [ $((tries += 1)) -gt 100 ]; do sleep 0.2; done
found=$(orders)
[ "$found" = 50 ] || fail "$found orders are there, not 50"
app audit | tail -n 1
say "· put back to $moment: $found orders, and new ones go on"
place 2
[ "$(orders)" = 52 ]
