# Shared by every script in bin/: where things are, how the scripts speak, how they fail, who holds the lock.
# Sourced, never run. Needs nothing but bash and what every Debian has (coreutils, util-linux, /proc).
set -Eeuo pipefail
umask 022

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
LOCAL=$ROOT/.local
RUN=$LOCAL/run
LOG=$LOCAL/log
ENV_FILE=$LOCAL/env
SETUP_LOG=$LOG/setup.log

# --- Speaking ---------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
note() { printf 'baton: %s\n' "$*" >&2; }
fail() {
    clear_line
    printf 'baton: %s\n' "$*" >&2
    exit 1
}

# Whoever meets a failure that nobody foresaw still gets one line that says where.
unforeseen() {
    local status=$? line=$1 file=$2
    clear_line
    printf 'baton: failed at %s line %s (status %s); log: %s\n' "${file#"$ROOT"/}" "$line" "$status" "$SETUP_LOG" >&2
}
trap 'unforeseen "$LINENO" "${BASH_SOURCE[0]}"' ERR

on_terminal() { [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; }
clear_line() { if on_terminal; then printf '\r\033[K'; fi; }

now_ms() {
    local now=${EPOCHREALTIME/[.,]/}
    printf '%s' $((now / 1000))
}
seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}
# done_in START LABEL: the one line that a finished step leaves behind.
done_in() {
    clear_line
    printf '· %s (%s)\n' "$2" "$(seconds_since "$1")"
}

# The last line of a log that says something, short enough for one terminal line.
last_words() { tail -c 4000 "$1" 2>/dev/null | tr '\r' '\n' | grep -av '^[[:space:]]*$' | tail -n 1 | cut -c "1-${2:-100}" || true; }

STEP_PID=
# step LABEL COMMAND…: runs a long command with its output in the log and shows meanwhile that it moves:
# a line that changes on a terminal, a new line every 15 s elsewhere. Fails with one line that names the cause.
step() {
    local label=$1 started shown=0 elapsed status=0 log_start
    shift
    started=$(now_ms)
    log_start=$(stat -c %s "$SETUP_LOG" 2>/dev/null || echo 0)
    printf -- '--- %s: %s\n' "$(date -u +%FT%TZ)" "$label" >>"$SETUP_LOG" || disk_or "cannot write to $SETUP_LOG"
    # In the background so that a signal reaches this script at once (bash runs no trap while it waits for a command
    # in the foreground). The child keeps the lock (fd 9): should this script be killed, the next run waits for it.
    "$@" >>"$SETUP_LOG" 2>&1 </dev/null &
    STEP_PID=$!
    while kill -0 "$STEP_PID" 2>/dev/null; do
        sleep 0.1
        elapsed=$((($(now_ms) - started) / 1000))
        if on_terminal; then
            [ "$elapsed" -lt 1 ] || printf '\r\033[K· %s … %d s  %s' "$label" "$elapsed" "$(last_words "$SETUP_LOG" 60)"
        elif [ $((elapsed / 15)) -gt "$shown" ]; then
            shown=$((elapsed / 15))
            printf '  %s … %d s: %s\n' "$label" "$elapsed" "$(last_words "$SETUP_LOG" 80)"
        fi
    done
    wait "$STEP_PID" || status=$?
    STEP_PID=
    if [ "$status" -ne 0 ]; then
        clear_line
        # A full disk may have swallowed the very words that say so.
        if tail -c "+$((log_start + 1))" "$SETUP_LOG" | grep -aqiE 'no space left|disk quota exceeded|not enough free (disk )?space|ENOSPC' ||
            [ "$(free_mb "$LOCAL" || echo 999)" -lt 20 ]; then
            disk_full
        fi
        fail "$label failed: $(last_words "$SETUP_LOG" 200) (log: $SETUP_LOG)"
    fi
    done_in "$started" "$label"
}

# --- The disk ---------------------------------------------------------------------------------------------------------

free_mb() { df -Pm "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'; }

disk_full() {
    local place
    for place in "$LOCAL" "${BATON_STATE_DIR:-$LOCAL}" "${TMPDIR:-/tmp}" /var; do
        if [ "$(free_mb "$place" || echo 999)" -lt 100 ]; then
            fail "the disk is full: $(free_mb "$place") MB free at $place. Free some space and run this again; it goes on where it stopped."
        fi
    done
    fail "a disk is full. Free some space (df -h) and run this again; it goes on where it stopped. Log: $SETUP_LOG"
}
disk_or() {
    if [ "$(free_mb "$LOCAL" || echo 999)" -lt 5 ]; then disk_full; fi
    fail "$1"
}
# need_disk PLACE MB WHAT: refuses before the work rather than in the middle of it.
need_disk() {
    local free
    free=$(free_mb "$1")
    if [ -n "$free" ] && [ "$free" -lt "$2" ]; then
        fail "the disk is full: $3 needs about $2 MB at $1, $free MB are free."
    fi
}

# --- Processes: never signal a number that may by now belong to somebody else ------------------------------------------

# A process is its number, the moment it started and the boot it started in.
process_identity() {
    local stat boot
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    stat=${stat##*) }
    # shellcheck disable=SC2086 # the fields are meant to be split
    set -- $stat
    [ "$1" != Z ] || return 1
    printf '%s@%s' "${20}" "$boot"
}

# running NAME: prints the pid of our own process NAME (its pid file says "PID IDENTITY"), or fails.
running() {
    local pid identity
    { read -r pid identity <"$RUN/$1.pid"; } 2>/dev/null || return 1
    [ -n "$identity" ] && [ "$(process_identity "$pid")" = "$identity" ] || return 1
    printf '%s' "$pid"
}

# lives_in PID DIRECTORY: is that process at work in that directory? PostgreSQL and Redis both move into their data.
lives_in() { [ -n "${1:-}" ] && [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$2" ]; }

# wait_gone SECONDS COMMAND…: waits until the command fails.
wait_gone() {
    local tries=$(($1 * 10))
    shift
    while "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# --- One at a time ----------------------------------------------------------------------------------------------------

# Makes .local and takes its lock on fd 9. Long-lived children must be started with 9>&-.
take_lock() {
    if [ ! -d "$LOCAL" ]; then
        mkdir -p "$LOCAL" 2>/dev/null || disk_or "cannot create $LOCAL: is $ROOT yours to write to?"
    fi
    [ -O "$LOCAL" ] || fail "$LOCAL belongs to $(stat -c %U "$LOCAL"), who set this checkout up: run this as that user, or use a clone of your own."
    # As root, the services' own users must be able to pass through; everything inside has its own mode.
    if [ "$(id -u)" = 0 ]; then chmod 711 "$LOCAL"; else chmod 700 "$LOCAL"; fi
    { mkdir -p "$RUN" "$LOG" && chmod 700 "$RUN" "$LOG"; } || disk_or "cannot write to $LOCAL"
    [ "${BATON_LOCKED:-}" != 1 ] || return 0
    exec 9>>"$LOCAL/lock" || disk_or "cannot write to $LOCAL"
    if ! flock -n 9; then
        say "· another script is setting this checkout up; waiting for it"
        flock -w 1800 9 || fail "another script has been setting this checkout up for half an hour; look for it with: fuser -v $LOCAL/lock"
    fi
}
release_lock() { exec 9>&-; }

# Are tests running (bin/test holds this lock as long as it lives)?
tests_running() { [ -e "$LOCAL/test.lock" ] && ! flock -n "$LOCAL/test.lock" true; }
