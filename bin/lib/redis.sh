# The private Redis: hints, tickets and rate limits only, so nothing is saved and memory is bounded.

redis_pid() {
    local pid
    { read -r pid <"$REDIS_DATA/redis.pid"; } 2>/dev/null || return 1
    lives_in "$pid" "$REDIS_DATA" && printf '%s' "$pid"
}
redis_runs() { redis_pid >/dev/null; }
redis_crashed() { [ -e "$REDIS_DATA/redis.pid" ] && ! redis_runs; }

configure_redis() {
    cat <<-EOF
	bind 127.0.0.1
	port $BATON_REDIS_PORT
	protected-mode yes
	requirepass $BATON_REDIS_PASSWORD
	daemonize yes
	supervised no
	dir "$REDIS_DATA"
	pidfile "$REDIS_DATA/redis.pid"
	logfile "$REDIS_DATA/redis.log"
	databases 64
	maxclients 4000
	# Nothing here is the truth, so nothing is saved; when full, what was used longest ago goes.
	save ""
	appendonly no
	maxmemory 256mb
	maxmemory-policy allkeys-lru
	tcp-keepalive 60
	EOF
}

redis_answers() {
    [ "$(REDISCLI_AUTH=$BATON_REDIS_PASSWORD timeout 2 redis-cli -h 127.0.0.1 -p "$BATON_REDIS_PORT" ping 2>/dev/null)" = PONG ]
}

start_redis() {
    local started attempt try
    started=$(now_ms)
    REDIS_STARTED=0
    if redis_runs; then return; fi
    command -v redis-server >/dev/null || fail "redis-server is not installed; bin/up installs it"
    if [ ! -d "$REDIS_DATA" ]; then mkdir -m 700 "$REDIS_DATA" || disk_or "cannot create $REDIS_DATA"; fi
    if is_root; then chown "$REDIS_USER:" "$REDIS_DATA"; fi
    keep_small "$REDIS_DATA/redis.log"
    for attempt in 1 2 3 4 5; do
        if [ -z "$BATON_REDIS_PORT" ] || port_is_taken "$BATON_REDIS_PORT"; then
            BATON_REDIS_PORT=$(free_port $((BATON_REDIS_PORT == 0 ? 16379 : BATON_REDIS_PORT + 1))) || exit 1
        fi
        write_settings
        as_user "$REDIS_USER" rm -f "$REDIS_DATA/redis.pid"
        configure_redis | as_user "$REDIS_USER" sh -c 'umask 077; cat >"$1"' - "$REDIS_DATA/redis.conf" || disk_or "cannot write to $REDIS_DATA"
        as_user "$REDIS_USER" redis-server "$REDIS_DATA/redis.conf" >>"$SETUP_LOG" 2>&1 9>&- 7>&- </dev/null || true
        for ((try = 0; try < 40; try++)); do
            if redis_runs && redis_answers; then
                REDIS_STARTED=1
                done_in "$started" "Redis on 127.0.0.1:$BATON_REDIS_PORT"
                return
            fi
            sleep 0.05
        done
        # It did not come up: when somebody else took the port meanwhile, the next round takes another.
        sleep "$attempt"
    done
    fail "Redis does not start: $(last_words "$REDIS_DATA/redis.log" 200) (log: $REDIS_DATA/redis.log)"
}

stop_redis() {
    local pid started
    started=$(now_ms)
    pid=$(redis_pid) || return 0
    kill -TERM "$pid" 2>/dev/null || true
    if ! wait_gone 10 lives_in "$pid" "$REDIS_DATA"; then
        kill -KILL "$pid" 2>/dev/null || true
        rm -f "$REDIS_DATA/redis.pid"
    fi
    done_in "$started" "Redis stopped"
}
