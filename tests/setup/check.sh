#!/usr/bin/env bash
# Proves the set-up scripts on a copy of this checkout: bin/test setup [SCENARIO…]
#
# The copy lies in a directory with a space in its name. Each scenario leaves the copy down, and prints one line; what
# happened is in the log that a failure names. Takes some minutes. As root it also tries a full disk and a missing sudo.
set -uo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
PLACE=$(mktemp -d "${TMPDIR:-/tmp}/baton check.XXXXXX")
COPY=$PLACE/checkout
OUT=$PLACE/out
PORT=$((18000 + RANDOM % 2000))
FOREIGN=()

scenarios=(first_run second_run already_up taken_port one_service crashes killed_supervisor killed_at_random two_at_once dropped_database
    stale_pid_files leaves_others_alone broken_application backups)
[ "$(id -u)" != 0 ] || scenarios+=(full_disk missing_sudo)
[ $# -eq 0 ] || scenarios=("$@")

clean_up() {
    for pid in "${FOREIGN[@]}"; do kill "$pid" 2>/dev/null; done
    "$COPY/bin/down" >/dev/null 2>&1
    # As root the copy's data may lie outside of it.
    for data in "$(readlink "$COPY/.local/pg")" "$(readlink "$PLACE/small/.local/pg")"; do
        case $data in /var/lib/baton/*/pg) rm -rf "${data%/pg}" ;; esac
    done
    if mountpoint -q "$PLACE/small"; then umount "$PLACE/small"; fi
    rm -rf "$PLACE"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

copy_to() {
    mkdir -p "$1"
    (cd "$SOURCE" && git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- | tar -x -C "$1")
}

# --- Words of the scenarios: each prints why it is not so -------------------------------------------------------------

up() { "$COPY/bin/up" --no-demo --detach --port "$PORT" </dev/null >"$OUT" 2>&1; }
down() { "$COPY/bin/down" >>"$OUT" 2>&1 && nothing_runs; }
expect() { "$@" || { echo "not so: $*" && return 1; }; }
refused() { if "$@"; then echo "not refused: $*" && return 1; fi; }
says() { expect grep -q -- "$1" "$OUT"; }
says_not() { refused grep -q -- "$1" "$OUT"; }
one_line() { [ "$(grep -c '^baton: ' "$OUT")" = 1 ] || { echo "not one line of error" && return 1; }; }
answers() { [ "$(status_of healthz)" = 200 ] || { echo "does not answer" && return 1; }; }
status_of() {
    python3 - "http://localhost:$PORT/$1" <<-'EOF'
	import sys, urllib.error, urllib.request
	try:
	    print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
	except urllib.error.HTTPError as error:
	    print(error.code, "Retry-After" if error.headers["Retry-After"] else "without Retry-After")
	except OSError as error:
	    print(error)
	EOF
}
becomes() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [ "$(status_of "$1")" != "$2" ] || return 0
        sleep 0.2
    done
    echo "/$1 is $(status_of "$1") and not $2"
    return 1
}
all_run() { expect "$COPY/bin/service" status postgres redis web worker >"$PLACE/status" 2>&1; }
pid_of() { cut -d ' ' -f 1 "$COPY/.local/run/$1.pid"; }
# Every process that works in the copy, whoever started it.
ours() {
    local cwd
    for cwd in /proc/[0-9]*/cwd; do
        case $(readlink "$cwd" 2>/dev/null) in "$COPY" | "$COPY"/* | /var/lib/baton/*) ;; *) continue ;; esac
        cwd=${cwd#/proc/}
        grep -qE '^State:.Z' "/proc/${cwd%/cwd}/status" 2>/dev/null || echo "${cwd%/cwd}"
    done
}
nothing_runs() { [ -z "$(ours)" ] || { echo "still running: $(for pid in $(ours); do tr '\0' ' ' <"/proc/$pid/cmdline" && echo; done)" && return 1; }; }

# --- The scenarios ----------------------------------------------------------------------------------------------------

first_run() { up && answers && all_run && says "Python packages installed" && down; }

second_run() {
    local before=$SECONDS
    up && answers && says_not "installed" && says_not "created" && expect [ $((SECONDS - before)) -lt 10 ] && down
}

already_up() {
    up && up && says "already up" && answers &&
        refused "$COPY/bin/up" --detach --port $((PORT + 1)) >"$OUT" 2>&1 && one_line && answers && down
}

taken_port() {
    python3 -m http.server --bind 127.0.0.1 --directory "$PLACE" "$PORT" >/dev/null 2>&1 &
    FOREIGN+=($!)
    sleep 1
    refused up && says "port $PORT .* taken" && one_line && nothing_runs || return 1
    kill "${FOREIGN[-1]}" && wait "${FOREIGN[-1]}" 2>/dev/null
    up && answers && down
}

one_service() {
    up && "$COPY/bin/service" stop postgres >>"$OUT" && answers && becomes readyz "503 Retry-After" && sleep 3 &&
        expect [ ! -e "$COPY/.local/pg/postmaster.pid" ] && "$COPY/bin/service" start postgres >>"$OUT" && becomes readyz 200 &&
        "$COPY/bin/service" restart redis web >>"$OUT" && becomes readyz 200 &&
        "$COPY/bin/service" stop web >>"$OUT" && refused answers >/dev/null && "$COPY/bin/service" start web >>"$OUT" && answers && down
}

crashes() {
    up && kill -9 "$(head -n 1 "$COPY/.local/pg/postmaster.pid")" "$(cat "$COPY/.local/redis/redis.pid")" "$(pid_of web)" "$(pid_of worker)" &&
        sleep 5 && becomes readyz 200 && all_run && down
}

dropped_database() {
    up && "$COPY/bin/service" stop web worker >>"$OUT" 2>&1 && as_superuser_of postgres -c "DROP DATABASE baton WITH (FORCE)" && down &&
        up && says "Roles, database" && says "Database migrated" && becomes readyz 200 && down
}

killed_supervisor() {
    up && kill -9 "$(pid_of supervisor)" && sleep 1 && up && answers && all_run && down
}

killed_at_random() {
    local round pid
    for round in 1 2 3 4 5 6 7 8; do
        # Every other time everything is to be done again: environment, cluster.
        [ $((round % 4)) != 1 ] || rm -rf "$COPY/.local/venv"
        [ $((round % 4)) != 2 ] || rm -rf "$(readlink -f "$COPY/.local/pg")"
        "$COPY/bin/up" --no-demo --detach --port "$PORT" </dev/null >"$OUT" 2>&1 &
        pid=$!
        sleep "$((RANDOM % 6)).$((RANDOM % 10))"
        kill -9 "$pid"
        wait "$pid" 2>/dev/null
    done
    up && answers && all_run && down
}

two_at_once() {
    local other
    "$COPY/bin/up" --no-demo --detach --port "$PORT" </dev/null >"$OUT.other" 2>&1 &
    other=$!
    up && wait "$other" && answers && cat "$OUT.other" "$OUT" >"$OUT.both" && expect grep -q "already up" "$OUT.both" && down
}

stale_pid_files() {
    sleep 1000 &
    FOREIGN+=($!)
    up && down || return 1
    # As if the machine had been switched off, and the numbers now belonged to somebody else.
    echo "${FOREIGN[-1]} 1@another-boot" | tee "$COPY/.local/run/web.pid" "$COPY/.local/run/supervisor.pid" >/dev/null
    printf '%s\n%s\n1\n1\n\n127.0.0.1\n\nready\n' "${FOREIGN[-1]}" "$(readlink -f "$COPY/.local/pg")" >"$COPY/.local/pg/postmaster.pid"
    echo "${FOREIGN[-1]}" >"$COPY/.local/redis/redis.pid"
    "$COPY/bin/down" >"$OUT" 2>&1 && expect kill -0 "${FOREIGN[-1]}" && up && answers && down && expect kill -0 "${FOREIGN[-1]}"
}

leaves_others_alone() {
    redis-server --port $((PORT + 10)) --save '' --dir "$PLACE" >/dev/null 2>&1 &
    FOREIGN+=($!)
    python3 -m http.server --bind 127.0.0.1 --directory "$PLACE" $((PORT + 11)) >/dev/null 2>&1 &
    FOREIGN+=($!)
    up && down && expect kill -0 "${FOREIGN[@]}"
}

broken_application() {
    mv "$COPY/config/asgi.py" "$COPY/config/asgi.away"
    refused up && one_line && says "web server does not start" && nothing_runs
    local status=$?
    mv "$COPY/config/asgi.away" "$COPY/config/asgi.py"
    return $status
}

# Every row of every table, in one number.
contents() {
    local tables
    tables=$(as_superuser -c "SELECT string_agg(format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)) FROM %I t', relname, relname), ' UNION ALL ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    as_superuser -c "$tables" | sort | sha256sum
}
databases() { as_superuser -c "SELECT datname FROM pg_database ORDER BY 1"; }
as_superuser() { as_superuser_of baton "$@"; }
as_superuser_of() {
    (
        . "$COPY/bin/lib/setup.sh" && trap - ERR && know_services && find_postgres && superuser_psql -d "$1" -At "${@:2}"
    )
}
simulate() { "$COPY/bin/manage" simulate --drivers 5 --orders-per-minute 120 --seconds "$1" --prefix "$2" >>"$PLACE/simulated" 2>&1; }
refused_unchanged() {
    refused "$COPY/bin/restore" "$@" >"$OUT" 2>&1 && one_line && expect [ "$(contents)" = "$before" ] && expect [ "$(databases)" = "$there" ]
}
refill_manifest() {
    # refill_manifest BACKUP SED NEW: the same backup with another manifest.
    rm -rf "$PLACE/parts" && mkdir "$PLACE/parts" && tar -xf "$1" -C "$PLACE/parts" && sed -i "$2" "$PLACE/parts/manifest" &&
        tar -cf "$3" -C "$PLACE/parts" manifest database.dump media.tar
}

backups() {
    local during=$PLACE/during.tar quiet=$PLACE/quiet.tar quiet_contents other before there kept simulation
    up || return 1
    # While it is written to: one moment, so the audit that bin/restore makes finds it whole.
    simulate 12 a &
    simulation=$!
    until [ "$(as_superuser -c 'SELECT count(*) > 5 FROM orders_orderevent')" = t ]; do sleep 0.5; done
    "$COPY/bin/backup" "$during" >"$OUT" 2>&1 && says "backup of" && wait "$simulation" || return 1
    refused "$COPY/bin/backup" "$during" >"$OUT" 2>&1 && one_line && says "nothing is overwritten" || return 1
    # Quiet: then every row can be compared. What was stopped before stays stopped.
    "$COPY/bin/service" stop web worker >>"$OUT" 2>&1 && mkdir -p "$COPY/.local/media/proofs" && echo picture >"$COPY/.local/media/proofs/one" || return 1
    quiet_contents=$(contents)
    "$COPY/bin/backup" "$quiet" >>"$OUT" 2>&1 || return 1
    "$COPY/bin/service" start web worker >>"$OUT" 2>&1 && simulate 5 b && "$COPY/bin/service" stop web worker >>"$OUT" 2>&1 || return 1
    rm "$COPY/.local/media/proofs/one"
    before=$(contents) there=$(databases)
    expect [ "$before" != "$quiet_contents" ] || return 1
    # Cut short in the middle and at the very beginning; one bit wrong; something else; from tomorrow.
    head -c "$(($(stat -c %s "$quiet") / 2))" "$quiet" >"$PLACE/middle.tar"
    head -c 300 "$quiet" >"$PLACE/beginning.tar"
    cp "$quiet" "$PLACE/bit.tar" && printf 'x' | dd of="$PLACE/bit.tar" bs=1 seek=100000 conv=notrunc status=none
    refill_manifest "$quiet" 's/^end$/migration orders.9999_of_tomorrow\nend/' "$PLACE/newer.tar"
    tar -cf "$PLACE/other.tar" -C "$PLACE/parts" database.dump
    for other in middle bit; do refused_unchanged "$PLACE/$other.tar" && says "damaged or cut short" || return 1; done
    for other in beginning other; do refused_unchanged "$PLACE/$other.tar" && says "no backup of bin/backup" || return 1; done
    refused_unchanged "$PLACE/newer.tar" && says "newer Baton.*9999_of_tomorrow" || return 1
    refused_unchanged "$COPY/README.md" && refused_unchanged --undo baton && refused_unchanged "$PLACE/absent.tar" || return 1
    # And the whole one.
    "$COPY/bin/restore" "$quiet" >"$OUT" 2>&1 && says "Event feed" && kept=$(grep -o 'baton_before_restore_[0-9TZ]*$' "$OUT" | head -n 1) || return 1
    expect grep -q picture "$COPY/.local/media/proofs/one" && refused "$COPY/bin/service" status web >/dev/null && expect [ "$(contents)" = "$quiet_contents" ] || return 1
    "$COPY/bin/restore" --undo "$kept" >>"$OUT" 2>&1 && expect [ "$(contents)" = "$before" ] || return 1
    kept=$(grep -o 'kept as baton_before_restore_[0-9TZ]*$' "$OUT" | tail -n 1)
    "$COPY/bin/restore" --undo "${kept#kept as }" >>"$OUT" 2>&1 && expect [ "$(contents)" = "$quiet_contents" ] || return 1
    "$COPY/bin/service" start web worker >>"$OUT" 2>&1 && becomes readyz 200 || return 1
    # Under the running stack, from the backup that was taken under writes.
    "$COPY/bin/restore" "$during" >"$OUT" 2>&1 && answers && becomes readyz 200 && "$COPY/bin/manage" audit >>"$OUT" 2>&1 && down
}

full_disk() {
    local small=$PLACE/small filler
    mkdir -p "$small"
    mount -t tmpfs -o size=900m tmpfs "$small" || return 0
    copy_to "$small"
    # So full that it is seen before, and so that it is met in the middle.
    for filler in 860 895 899; do
        rm -f "$small/filler"
        head -c "${filler}M" /dev/zero >"$small/filler" 2>/dev/null
        refused "$small/bin/up" --no-demo --detach --port "$PORT" >"$OUT" 2>&1 </dev/null && one_line && says "disk is full" || return 1
    done
    rm -rf "$small/filler" "$small/.local"
    ("$small/bin/up" --no-demo --detach --port "$PORT" >"$OUT" 2>&1 </dev/null) &
    local pid=$!
    # While pip is at work, somebody else fills the disk.
    while kill -0 "$pid" 2>/dev/null && [ ! -e "$small/.local/venv/baton.unfinished" ]; do sleep 0.1; done
    head -c 900M /dev/zero >"$small/filler" 2>/dev/null
    refused wait "$pid" && one_line && says "disk is full" || return 1
    rm "$small/filler"
    "$small/bin/up" --no-demo --detach --port "$PORT" >"$OUT" 2>&1 </dev/null && answers && "$small/bin/down" >>"$OUT"
    local status=$?
    umount "$small"
    return $status
}

missing_sudo() {
    local bare=$PLACE/bare tools=$PLACE/tools
    copy_to "$bare"
    mkdir "$tools"
    chmod 755 "$PLACE" "$tools"
    # Everything but Redis and sudo.
    ln -s /usr/bin/* "$tools/" && rm -f "$tools/sudo" "$tools"/redis-*
    chown -R nobody "$bare"
    refused setpriv --reuid nobody --regid nogroup --clear-groups env -i "PATH=$tools" HOME=/nonexistent \
        "$bare/bin/up" --detach --port "$PORT" >"$OUT" 2>&1 </dev/null && one_line && says "there is no sudo here.*apt-get install.*redis-server"
}

# --- The run ----------------------------------------------------------------------------------------------------------

copy_to "$COPY"
passed=0 failed=0
for name in "${scenarios[@]}"; do
    began=$SECONDS
    if "$name" >"$PLACE/why" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s (%d s)\n' "$name" $((SECONDS - began))
    else
        failed=$((failed + 1))
        printf 'FAILED  %s (%d s): %s\n' "$name" $((SECONDS - began)) "$(tr '\n' ' ' <"$PLACE/why")"
        sed 's/^/        | /' "$OUT"
        "$COPY/bin/down" >/dev/null 2>&1
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
