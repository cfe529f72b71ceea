# What the machine must have: an interpreter, and a few of the distribution's packages. Only what is missing is installed.

PYTHON_MINIMUM=11 # of Python 3

# find_python: sets PYTHON to an interpreter that is new enough; 3.11 is what the pinned versions are checked with.
find_python() {
    local name path
    PYTHON=
    for name in "${BATON_PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14; do
        path=$(command -v "$name" 2>/dev/null) || continue
        # A version manager's shim may stand for nothing: ask the interpreter itself who it is.
        path=$("$path" -Ic "import sys; print(sys.executable) if sys.version_info >= (3, $PYTHON_MINIMUM) else sys.exit(1)" 2>/dev/null) || continue
        PYTHON=$path
        return
    done
    fail "Baton needs Python 3.$PYTHON_MINIMUM or newer; none is in the PATH ($(python3 --version 2>/dev/null || echo 'no python3 at all'))"
}

# wanted_packages [browser] [shellcheck] [proxy] [pooler]: prints the packages that are missing, judged by what is there rather than by package names,
# so that a machine that has the programs from elsewhere is left alone.
wanted_packages() {
    local libraries name
    libraries=$(/sbin/ldconfig -p 2>/dev/null || true)
    if ! find_postgres; then
        if [ -e "$LOCAL/pg/PG_VERSION" ]; then
            # The cluster can only be run by the version that made it.
            echo "postgresql-$(cat "$LOCAL/pg/PG_VERSION")-postgis-3"
        else
            # The distribution's own version, with its server.
            echo postgresql-postgis
        fi
    fi
    command -v redis-server >/dev/null || echo redis-server
    for name in gdal geos_c proj; do
        case $libraries in
            *"lib$name.so"*) ;;
            # They come with PostGIS; only a PostgreSQL from elsewhere leaves them out.
            *) if find_postgres; then echo gdal-bin && break; fi ;;
        esac
    done
    "$PYTHON" -Ic 'import ensurepip, venv' 2>/dev/null || "$PYTHON" -Ic 'import sys; print("python3.%d-venv" % sys.version_info[1])'
    command -v npm >/dev/null || echo npm
    for name in "$@"; do
        case $name in
            browser) find_browser || echo chromium ;;
            shellcheck) command -v shellcheck >/dev/null || echo shellcheck ;;
            proxy) PATH=$PATH:/usr/sbin command -v nginx >/dev/null || echo nginx ;;
            pooler) PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || echo pgbouncer ;;
        esac
    done
}

find_browser() {
    BATON_CHROMIUM=
    for name in chromium chromium-browser google-chrome; do
        if BATON_CHROMIUM=$(command -v "$name"); then
            export BATON_CHROMIUM
            return
        fi
    done
    return 1
}

left_by_killed_run() {
    grep -qsF '# baton: only while' /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.d/baton-no-main-cluster.conf
}

# install_packages [browser] [shellcheck] [proxy] [pooler]
install_packages() {
    local packages=() as_root=()
    mapfile -t packages < <(wanted_packages "$@")
    if [ ${#packages[@]} -eq 0 ] && ! left_by_killed_run; then return; fi
    if ! command -v apt-get >/dev/null; then
        fail "this machine has no apt-get; install by hand what is missing: ${packages[*]} (PostgreSQL $PG_MINIMUM or newer with PostGIS, Redis 7 or newer, GDAL, GEOS, PROJ)"
    fi
    if ! is_root; then
        as_root=(sudo -n)
        command -v sudo >/dev/null || fail "${packages[*]} must be installed and there is no sudo here; ask root to run: apt-get install -y --no-install-recommends ${packages[*]}"
        if ! sudo -n true 2>/dev/null; then
            if [ -t 0 ] && [ -t 2 ]; then
                say "· to be installed with sudo: ${packages[*]}"
                sudo -v || fail "sudo was refused; ask root to run: apt-get install -y --no-install-recommends ${packages[*]}"
            else
                fail "${packages[*]} must be installed and sudo asks for a password; run this in a terminal, or as root: apt-get install -y --no-install-recommends ${packages[*]}"
            fi
        fi
    fi
    if [ ${#packages[@]} -gt 0 ]; then need_disk /var 700 "installing ${packages[*]}"; fi
    step "Debian packages installed: ${packages[*]:-none, cleared up after an interrupted run}" \
        bash -c 'script=$1; shift; exec "$@" <"$script"' - "$ROOT/bin/lib/install_packages.sh" \
        ${as_root[@]+"${as_root[@]}"} bash -s -- ${packages[@]+"${packages[@]}"}
    mapfile -t packages < <(wanted_packages "$@")
    [ ${#packages[@]} -eq 0 ] || fail "the distribution's packages do not bring what is needed (PostgreSQL $PG_MINIMUM or newer with PostGIS, Redis 7 or newer): still missing ${packages[*]}; log: $SETUP_LOG"
}

check_redis_version() {
    local version
    version=$(redis-server --version | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
    [ "${version:-0}" -ge 7 ] || fail "Baton needs Redis 7 or newer; redis-server here is $(redis-server --version)"
}
