# The checkout's own Python environment: .local/venv, installed from requirements/*.txt with hashes.

VENV=$LOCAL/venv

venv_identity() { printf '%s %s' "$VENV" "$("$PYTHON" -Ic 'import sys; print(sys.executable, sys.version)' | tr '\n' ' ')"; }

# install_python [dev]: brings .local/venv to what the requirement files say; nothing to do when their stamps fit.
install_python() {
    local identity
    # A virtual environment knows its own path and its interpreter: moved or outdated, it is made anew. So is one that an
    # interrupted pip left behind, which could look complete and not be it.
    identity=$(venv_identity)
    if [ "$(cat "$VENV/baton.identity" 2>/dev/null)" != "$identity" ] || [ -e "$VENV/baton.unfinished" ] || ! "$VENV/bin/python" -Ic '' 2>/dev/null; then
        need_disk "$LOCAL" 500 "the Python environment"
        rm -rf "$VENV"
        step "Python environment made" "$PYTHON" -m venv "$VENV"
        printf '%s\n' "$identity" >"$VENV/baton.identity" || disk_or "cannot write to $VENV"
    fi
    install_requirements base "Python packages"
    if [ "${1:-}" = dev ]; then install_requirements dev "Python packages for development"; fi
}

install_requirements() {
    local file=$ROOT/requirements/$1.txt stamp=$VENV/baton.$1 wanted
    wanted=$(sha256sum <"$file")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    need_disk "$LOCAL" 400 "installing $1.txt"
    : >"$VENV/baton.unfinished" || disk_or "cannot write to $VENV"
    rm -f "$stamp"
    # No compiling to bytecode here: most of these files are never imported, the others are compiled when they are.
    # http-ece (for pywebpush) is published as source only: pure Python, its hash is checked like all the others.
    step "$2 installed" "$VENV/bin/python" -Im pip install --require-hashes --only-binary :all: --no-binary http-ece \
        --no-compile --no-input --disable-pip-version-check --progress-bar off -r "$file"
    printf '%s\n' "$wanted" >"$stamp" || disk_or "cannot write to $VENV"
    rm -f "$VENV/baton.unfinished"
}

# install_javascript [dev]: browser libraries, from package.json and its lock, into node_modules; with what checks them.
install_javascript() {
    local stamp=$ROOT/node_modules/.baton wanted have left_out=(--omit=dev --omit=optional)
    wanted=$(sha256sum <"$ROOT/package-lock.json")
    have=$(cat "$stamp" 2>/dev/null || true)
    if [ "$have" = "$wanted dev" ]; then return; fi
    if [ "${1:-}" = dev ]; then
        left_out=() wanted="$wanted dev"
    elif [ "$have" = "$wanted" ]; then
        return
    fi
    need_disk "$ROOT" 300 "installing browser libraries"
    rm -f "$stamp"
    step "Browser libraries installed" env -C "$ROOT" npm ci ${left_out[@]+"${left_out[@]}"} --ignore-scripts --no-audit --no-fund --no-update-notifier
    printf '%s\n' "$wanted" >"$stamp" || disk_or "cannot write to $ROOT/node_modules"
}

# What migrations and static files come from: every source file of this checkout, and what was installed for it.
fingerprint() {
    (
        cd "$ROOT"
        find . \( -path ./.local -o -path ./.git -o -path ./node_modules -o -path ./tests -o -name __pycache__ -o -name '.*_cache' \) -prune \
            -o -type f -print0 | sort -z | xargs -0 sha256sum
        cat node_modules/.baton 2>/dev/null || true
    ) | sha256sum
}

# once STAMP STATE LABEL COMMAND…: a step that is left out when it was done for the very same state.
once() {
    local stamp=$1 state=$2
    shift 2
    if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then return; fi
    rm -f "$stamp"
    step "$@"
    printf '%s\n' "$state" >"$stamp" || disk_or "cannot write $stamp"
}
