# Where the private PostgreSQL and Redis live, and as whom they run.
#
# PostgreSQL refuses to run as root. So for root the two run as the users that Debian's packages made for them, and
# when those cannot reach the checkout (a clone under /root, say), their data go to /var/lib/baton/<hash of the path>,
# with symbolic links in .local. For anybody else everything runs as that user, under .local.

is_root() { [ "$(id -u)" = 0 ]; }

# as_user USER COMMAND…
as_user() {
    local user=$1
    shift
    if is_root && [ "$user" != root ]; then
        (cd / && exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups env HOME=/ LC_ALL=C.UTF-8 "$@")
    else
        (cd / && exec env LC_ALL=C.UTF-8 "$@")
    fi
}

service_users() {
    if is_root; then
        PG_USER=postgres
        REDIS_USER=redis
        id redis >/dev/null 2>&1 || REDIS_USER=postgres
        id postgres >/dev/null 2>&1 || fail "there is no user postgres to run PostgreSQL as (it refuses to run as root)"
    else
        PG_USER=$(id -un)
        REDIS_USER=$PG_USER
    fi
}

can_reach() { as_user "$1" test -x "$2"; }

# Chooses BATON_STATE_DIR once and remembers it.
place_state() {
    local wanted id_file=$LOCAL/id
    service_users
    if [ -n "$BATON_STATE_DIR" ] && [ -d "$BATON_STATE_DIR" ] && can_reach "$PG_USER" "$BATON_STATE_DIR"; then
        if [ "$BATON_STATE_DIR" = "$LOCAL" ] || cmp -s "$id_file" "$BATON_STATE_DIR/id"; then
            locate_services
            return
        fi
    fi
    if ! is_root || can_reach "$PG_USER" "$LOCAL"; then
        wanted=$LOCAL
    else
        # The id tells this checkout's data from those of an earlier one at the same path, since deleted.
        [ -s "$id_file" ] || random_secret >"$id_file"
        wanted=/var/lib/baton/$(printf '%s' "$ROOT" | sha256sum | cut -c 1-12)
        { mkdir -p /var/lib/baton && chmod 711 /var/lib/baton; } || disk_or "cannot create /var/lib/baton"
        if [ -e "$wanted" ] && ! cmp -s "$id_file" "$wanted/id"; then set_aside "$wanted"; fi
        { mkdir -p "$wanted" && chmod 711 "$wanted"; } || disk_or "cannot create $wanted"
        cp "$id_file" "$wanted/id" || disk_or "cannot write to $wanted"
        ln -sfn "$wanted/pg" "$LOCAL/pg"
        ln -sfn "$wanted/redis" "$LOCAL/redis"
    fi
    BATON_STATE_DIR=$wanted
    write_settings
    locate_services
}

# A deleted checkout's data: its servers are stopped, its data kept beside (the latest such copy only).
set_aside() {
    local old=$1
    BATON_STATE_DIR=$old
    locate_services
    stop_postgres || true
    stop_redis || true
    rm -rf "$old.earlier"
    mv "$old" "$old.earlier"
    say "· data of an earlier clone at this path are set aside: $old.earlier"
}

locate_services() {
    PG_DATA=$BATON_STATE_DIR/pg
    PG_LOG=$PG_DATA/server.log
    MIGRATED=$PG_DATA/baton.migrated
    REDIS_DATA=$BATON_STATE_DIR/redis
    [ -n "${PG_USER:-}" ] || service_users
}

# For scripts that only look or stop: succeeds when this checkout has been set up before.
know_services() {
    [ -e "$ENV_FILE" ] || return 1
    load_settings
    [ -n "${BATON_STATE_DIR:-}" ] && [ -d "$BATON_STATE_DIR" ] || return 1
    locate_services
}

keep_small() {
    if [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt 20000000 ]; then mv -f "$1" "$1.1"; fi
}
