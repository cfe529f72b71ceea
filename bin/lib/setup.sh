# The set-up that bin/up and bin/test share: machine, Python, settings, PostgreSQL and Redis. Sources all the parts.

LIB=$(dirname "${BASH_SOURCE[0]}")
for part in common settings services postgres redis machine python; do
    # shellcheck source=/dev/null
    . "$LIB/$part.sh"
done

STARTED_SERVICES=

# set_up [dev] [browser] [shellcheck] [proxy] [pooler]: brings everything to what the files of this checkout say. Each part looks
# first whether there is anything to do, so a second run is quick, and an interrupted one goes on where it stopped.
set_up() {
    local dev='' word packages=()
    for word in "$@"; do
        case $word in
            dev) dev=dev ;;
            *) packages+=("$word") ;;
        esac
    done
    find_python
    complete_settings
    install_packages ${packages[@]+"${packages[@]}"}
    check_redis_version
    install_python "$dev"
    install_javascript "$dev"
    place_state
}

start_services() {
    start_postgres
    if [ "$PG_STARTED" = 1 ]; then STARTED_SERVICES="postgres"; fi
    start_redis
    if [ "$REDIS_STARTED" = 1 ]; then STARTED_SERVICES="$STARTED_SERVICES redis"; fi
    prepare_database
}

# Database and static files as the files of this checkout say. Migrations give way to whoever works (manage.py migrate).
follow_source() {
    local state
    state=$(fingerprint)
    once "$MIGRATED" "$state" "Database migrated" \
        env "DATABASE_URL=$DATABASE_OWNER_URL" "$VENV/bin/python" "$ROOT/manage.py" migrate --noinput
    once "$BATON_STATIC_ROOT/.baton" "$state" "Static files collected" "$VENV/bin/python" "$ROOT/manage.py" collectstatic --noinput
}

# Ends what this very run had started, when it does not come to its end.
undo_services() {
    case " $STARTED_SERVICES " in *" redis "*) stop_redis || true ;; esac
    case " $STARTED_SERVICES " in *" postgres "*) stop_postgres || true ;; esac
    STARTED_SERVICES=
}

# A long step is asked to end and waited for: half an installation is worse than a late end.
end_step() {
    if [ -n "$STEP_PID" ] && kill -0 "$STEP_PID" 2>/dev/null; then
        clear_line
        kill -TERM "$STEP_PID" 2>/dev/null || true
        wait "$STEP_PID" 2>/dev/null || true
    fi
    STEP_PID=
}

# Children whose supervisor was killed end by themselves (it asked the kernel for that); those that did not are ended
# here. Members of a child's process group are ours only when they work in this checkout: a number may be somebody else's by now.
end_leftovers() {
    local name pid identity member tries
    for name in "$RUN"/*.pid; do
        name=$(basename "$name" .pid)
        [ "$name" != supervisor ] || continue
        { read -r pid identity <"$RUN/$name.pid"; } 2>/dev/null || continue
        # The number lives, but as another process: it was given out again, so no group of ours can have it.
        if [ -e "/proc/$pid" ] && [ "$(process_identity "$pid" || true)" != "$identity" ]; then continue; fi
        for ((tries = 0; tries < 120; tries++)); do
            member=$(group_in_checkout "$pid")
            [ -n "$member" ] || break
            # shellcheck disable=SC2086 # a list of numbers
            if [ "$tries" = 0 ]; then kill -TERM $member 2>/dev/null || true; fi
            # shellcheck disable=SC2086
            if [ "$tries" = 119 ]; then kill -KILL $member 2>/dev/null || true; fi
            sleep 0.1
        done
        rm -f "$RUN/$name.pid"
    done
}

# group_in_checkout PGID: the living processes of that group whose working directory is this checkout.
group_in_checkout() {
    local stat pid
    for stat in /proc/[0-9]*/stat; do
        pid=${stat#/proc/} pid=${pid%/stat}
        { read -r stat <"$stat"; } 2>/dev/null || continue
        # shellcheck disable=SC2086
        set -- "$1" ${stat##*) }
        if [ "$4" = "$1" ] && [ "$2" != Z ] && lives_in "$pid" "$ROOT"; then printf '%s ' "$pid"; fi
    done
}
