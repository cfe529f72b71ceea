# The settings of this checkout's stack: .local/env, one KEY='value' a line, readable by its owner only.
# Secrets are made once; what somebody adds or changes by hand stays (ports and addresses are kept right by the scripts).

KNOWN_SETTINGS=(
    BATON_SECRET_KEY BATON_DEBUG BATON_ALLOWED_HOSTS BATON_HTTPS BATON_PORT
    DATABASE_URL DATABASE_OWNER_URL REDIS_URL
    BATON_MEDIA_ROOT BATON_STATIC_ROOT BATON_LOG_DIR
    BATON_STATE_DIR BATON_PG_PORT BATON_PG_SOCKET_DIR BATON_REDIS_PORT
    BATON_OWNER_PASSWORD BATON_APP_PASSWORD BATON_REDIS_PASSWORD
)
# What the caller's own environment may say for this run: BATON_DEBUG=1 bin/up.
ASKED_DEBUG=${BATON_DEBUG:-}
ASKED_PORT=${BATON_PORT:-}

random_secret() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

load_settings() {
    # Settings of another installation in the caller's environment must not leak into this one.
    unset "${KNOWN_SETTINGS[@]}"
    if [ -e "$ENV_FILE" ]; then
        set -a
        # shellcheck source=/dev/null
        . "$ENV_FILE"
        set +a
    fi
}

# Fills in what is missing and derives the rest.
complete_settings() {
    load_settings
    : "${BATON_SECRET_KEY:=$(random_secret)}" "${BATON_OWNER_PASSWORD:=$(random_secret)}"
    : "${BATON_APP_PASSWORD:=$(random_secret)}" "${BATON_REDIS_PASSWORD:=$(random_secret)}"
    : "${BATON_DEBUG:=0}" "${BATON_HTTPS:=0}" "${BATON_PORT:=8000}" "${BATON_ALLOWED_HOSTS:=localhost,127.0.0.1,[::1]}"
    : "${BATON_PG_PORT:=}" "${BATON_PG_SOCKET_DIR:=}" "${BATON_REDIS_PORT:=}" "${BATON_STATE_DIR:=}"
    BATON_MEDIA_ROOT=$LOCAL/media
    BATON_STATIC_ROOT=$LOCAL/static
    BATON_LOG_DIR=$LOG
    write_settings
}

write_settings() {
    local key value known
    DATABASE_URL="postgresql://baton_app:$BATON_APP_PASSWORD@127.0.0.1:$BATON_PG_PORT/baton"
    DATABASE_OWNER_URL="postgresql://baton_owner:$BATON_OWNER_PASSWORD@127.0.0.1:$BATON_PG_PORT/baton"
    REDIS_URL="redis://:$BATON_REDIS_PASSWORD@127.0.0.1:$BATON_REDIS_PORT/0"
    known=$(IFS='|' && printf '%s' "${KNOWN_SETTINGS[*]}")
    (
        umask 077
        {
            for key in "${KNOWN_SETTINGS[@]}"; do
                value=${!key}
                printf "%s='%s'\n" "$key" "${value//\'/\'\\\'\'}"
            done
            if [ -e "$ENV_FILE" ]; then grep -Ev "^($known)=" "$ENV_FILE" || true; fi
        } >"$ENV_FILE.new"
    ) || disk_or "cannot write $ENV_FILE"
    # Half a settings file would be worse than none: written beside it, checked, then put in its place.
    [ "$(grep -c . "$ENV_FILE.new")" -ge "${#KNOWN_SETTINGS[@]}" ] || disk_or "cannot write $ENV_FILE"
    mv -f "$ENV_FILE.new" "$ENV_FILE"
    export "${KNOWN_SETTINGS[@]}"
}

# free_port FIRST: the first port from there on that nothing answers on.
free_port() {
    local port
    for ((port = $1; port < $1 + 500; port++)); do
        if ! port_is_taken "$port"; then
            printf '%s' "$port"
            return
        fi
    done
    fail "no free port between $1 and $port on 127.0.0.1"
}
