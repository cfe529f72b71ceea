# The private PostgreSQL: its own cluster, port and socket; the machine's own servers and settings are never touched.

PG_MINIMUM=15

# find_postgres: sets PG_BIN to the newest installed server that has PostGIS (or the one that made our cluster).
find_postgres() {
    local directory version made=
    PG_BIN=
    [ ! -e "$LOCAL/pg/PG_VERSION" ] || made=$(cat "$LOCAL/pg/PG_VERSION" 2>/dev/null || true)
    while read -r version; do
        directory=/usr/lib/postgresql/$version/bin
        [ -x "$directory/initdb" ] && [ -e "/usr/share/postgresql/$version/extension/postgis.control" ] || continue
        [ "$version" -ge "$PG_MINIMUM" ] || continue
        if [ -z "$made" ] || [ "$made" = "$version" ]; then PG_BIN=$directory; fi
    done < <(cd /usr/lib/postgresql 2>/dev/null && printf '%s\n' * | grep -E '^[0-9]+$' | sort -n)
    [ -n "$PG_BIN" ]
}

# Prints the pid of our postmaster.
postgres_pid() {
    local pid
    { read -r pid <"$PG_DATA/postmaster.pid"; } 2>/dev/null || return 1
    lives_in "$pid" "$PG_DATA" && printf '%s' "$pid"
}
postgres_runs() { postgres_pid >/dev/null; }
# Gone, but not by a clean stop, which removes the pid file.
postgres_crashed() { [ -e "$PG_DATA/postmaster.pid" ] && ! postgres_runs; }

create_cluster() {
    need_disk "$BATON_STATE_DIR" 200 "a new PostgreSQL cluster"
    # Made beside its place and moved there when complete, so that an interrupted set-up leaves no half cluster.
    rm -rf "$PG_DATA.new"
    mkdir -m 700 "$PG_DATA.new" || disk_or "cannot create $PG_DATA.new"
    if is_root; then chown "$PG_USER:" "$PG_DATA.new"; fi
    # C sorts by bytes (fast, the same everywhere), C.UTF-8 still knows what an upper-case É is.
    step "PostgreSQL cluster created" as_user "$PG_USER" "$PG_BIN/initdb" --pgdata "$PG_DATA.new" \
        --username postgres --encoding UTF8 --locale C --lc-ctype C.UTF-8 --data-checksums \
        --auth-local peer --auth-host scram-sha-256 --no-instructions
    mv "$PG_DATA.new" "$PG_DATA"
}

# The socket's path must stay under 107 bytes, whatever the checkout's path.
place_socket() {
    local inside=$BATON_STATE_DIR/pg
    if [ $((${#inside} + ${#BATON_PG_PORT} + 12)) -lt 105 ]; then
        BATON_PG_SOCKET_DIR=$inside
    elif [ "$BATON_PG_SOCKET_DIR" = "$inside" ] || [ ! -d "$BATON_PG_SOCKET_DIR" ]; then
        BATON_PG_SOCKET_DIR=$(mktemp -d /tmp/baton.XXXXXX)
        if is_root; then chown "$PG_USER:" "$BATON_PG_SOCKET_DIR"; fi
    fi
}

# Written anew at each start, so that a changed port or a newer deploy/postgresql.conf takes effect.
configure_postgres() {
    local memory_mb shared
    memory_mb=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
    shared=$((memory_mb / 8 < 512 ? memory_mb / 8 : 512))
    {
        cat "$ROOT/deploy/postgresql.conf"
        printf "\n# This machine and this checkout.\n"
        printf "listen_addresses = '127.0.0.1'\nport = %s\nunix_socket_directories = '%s'\nunix_socket_permissions = 0700\n" \
            "$BATON_PG_PORT" "${BATON_PG_SOCKET_DIR//\'/\'\'}"
        printf "shared_buffers = '%sMB'\neffective_cache_size = '%sMB'\n" "$shared" "$((memory_mb / 3))"
    } | as_user "$PG_USER" dd "of=$PG_DATA/baton.conf" status=none
    as_user "$PG_USER" grep -q "^include 'baton.conf'" "$PG_DATA/postgresql.conf" ||
        printf "include 'baton.conf'\n" | as_user "$PG_USER" tee -a "$PG_DATA/postgresql.conf" >/dev/null
    # Only the cluster's own OS user is its superuser, and only through the socket; the two roles come by TCP with a password.
    printf 'local all,replication postgres peer map=baton\nhost all baton_owner,baton_app 127.0.0.1/32 scram-sha-256\n' |
        as_user "$PG_USER" dd "of=$PG_DATA/pg_hba.conf" status=none
    printf 'baton "%s" postgres\n' "$PG_USER" | as_user "$PG_USER" dd "of=$PG_DATA/pg_ident.conf" status=none
}

# After a reboot the number in a leftover pid file may belong to some other process; PostgreSQL would then refuse to
# start. The file itself must stay (it also names the shared memory that orphaned backends may still use), so only the
# number is replaced, by one that no process can have.
forget_dead_postmaster() {
    if postgres_crashed && kill -0 "$(head -n 1 "$PG_DATA/postmaster.pid")" 2>/dev/null; then
        as_user "$PG_USER" sed -i '1s/.*/4194305/' "$PG_DATA/postmaster.pid"
    fi
}

# start_postgres: succeeds with PG_STARTED=1 when it had to be started.
start_postgres() {
    local started attempt tail
    started=$(now_ms)
    PG_STARTED=0
    if postgres_runs; then return; fi
    [ -n "${PG_BIN:-}" ] || find_postgres || fail "PostgreSQL $(cat "$LOCAL/pg/PG_VERSION" 2>/dev/null || echo "$PG_MINIMUM") with PostGIS is not installed; bin/up installs it"
    [ -e "$PG_DATA/PG_VERSION" ] || create_cluster
    as_user "$PG_USER" test -x "$PG_DATA" || fail "the user $PG_USER cannot reach $PG_DATA any more (was a directory above it closed?)"
    keep_small "$PG_LOG"
    for attempt in 1 2 3 4 5 6; do
        if [ -z "$BATON_PG_PORT" ] || port_is_taken "$BATON_PG_PORT"; then
            BATON_PG_PORT=$(free_port $((BATON_PG_PORT == 0 ? 15432 : BATON_PG_PORT + 1))) || exit 1
        fi
        place_socket
        write_settings
        configure_postgres || disk_or "cannot write PostgreSQL's settings in $PG_DATA"
        forget_dead_postmaster
        if as_user "$PG_USER" "$PG_BIN/pg_ctl" start --pgdata "$PG_DATA" --log "$PG_LOG" --silent --wait --timeout 60 \
            >>"$SETUP_LOG" 2>&1 9>&- 7>&- </dev/null; then
            PG_STARTED=1
            done_in "$started" "PostgreSQL on 127.0.0.1:$BATON_PG_PORT"
            return
        fi
        tail=$(tail -n 20 "$PG_LOG" 2>/dev/null || true)
        case $tail in
            *"No space left"*) disk_full ;;
            # Somebody was faster: the next round takes another port.
            *"Address already in use"*) BATON_PG_PORT=$((BATON_PG_PORT + 1)) ;;
            # The backends of a killed postmaster need a moment to notice.
            *) sleep "$attempt" ;;
        esac
    done
    fail "PostgreSQL does not start: $(last_words "$PG_LOG" 200) (log: $PG_LOG)"
}

stop_postgres() {
    local pid started
    started=$(now_ms)
    pid=$(postgres_pid) || return 0
    # "Fast" for a postmaster: sessions are ended, everything is written, the pid file goes.
    kill -INT "$pid" 2>/dev/null || true
    if ! wait_gone 60 lives_in "$pid" "$PG_DATA"; then
        kill -QUIT "$pid" 2>/dev/null || true
        wait_gone 10 lives_in "$pid" "$PG_DATA" || fail "PostgreSQL (pid $pid) does not stop; log: $PG_LOG"
    fi
    done_in "$started" "PostgreSQL stopped"
}

superuser_psql() {
    local psql=$PG_BIN/psql
    as_user "$PG_USER" "$psql" -X -q -v ON_ERROR_STOP=1 -h "$BATON_PG_SOCKET_DIR" -p "$BATON_PG_PORT" -U postgres "$@"
}

# say_roles [database]: what deploy/roles.sql says, of this database.
say_roles() {
    {
        printf "\\set owner_password '%s'\n\\set app_password '%s'\n\\set database '%s'\n" \
            "$BATON_OWNER_PASSWORD" "$BATON_APP_PASSWORD" "${1:-baton}"
        cat "$ROOT/deploy/roles.sql"
    } | superuser_psql -d postgres
}

has_database() { [ -n "$(superuser_psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = 'baton'" 2>/dev/null)" ]; }

# Roles, database and PostGIS. The passwords travel by pipe, not by command line. Done again only when something changed:
# it connects to template1, which would get in the way of tests that are creating their databases at that moment.
prepare_database() {
    local wanted started
    started=$(now_ms)
    wanted=$(printf '%s %s' "$BATON_OWNER_PASSWORD" "$BATON_APP_PASSWORD" | cat - "$ROOT/deploy/roles.sql" | sha256sum)
    [ -n "${PG_BIN:-}" ] || find_postgres || fail "PostgreSQL's programs have gone; bin/up installs them again"
    if [ "$(cat "$PG_DATA/baton.prepared" 2>/dev/null)" = "$wanted" ] && has_database; then return; fi
    # Should somebody have dropped the database: a new one has no tables.
    rm -f "$PG_DATA/baton.prepared" "$MIGRATED"
    say_roles >>"$SETUP_LOG" 2>&1 || fail "the database could not be prepared: $(last_words "$SETUP_LOG" 200) (log: $SETUP_LOG)"
    printf '%s\n' "$wanted" >"$PG_DATA/baton.prepared" || disk_or "cannot write to $PG_DATA"
    done_in "$started" "Roles, database and PostGIS"
}
