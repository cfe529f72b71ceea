# Installs Debian packages as root, leaving nothing else changed: the packages' own servers are neither created, started
# nor enabled. Run as: bash -s -- PACKAGE… < install_packages.sh (so that root need not be able to read the checkout).
# Without a package it only clears away what a killed run may have left.
set -eu

POLICY=/usr/sbin/policy-rc.d
NO_CLUSTER=/etc/postgresql-common/createcluster.d/baton-no-main-cluster.conf
MARK='# baton: only while packages are being installed'

# Packages that bring a server which would start with the machine.
SERVERS='redis-server nginx pgbouncer'

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

clear_away() {
    # A server that came with us must not start with the machine; one that was here before keeps its ways.
    for server in $SERVERS; do
        if grep -qs "^# $server is new" "$NO_CLUSTER" && is_installed "$server"; then
            if [ -d /run/systemd/system ]; then
                systemctl disable --quiet "$server.service" || true
            elif command -v deb-systemd-helper >/dev/null; then
                deb-systemd-helper disable "$server.service" >/dev/null 2>&1 || true
            fi
            if command -v update-rc.d >/dev/null; then update-rc.d "$server" disable >/dev/null 2>&1 || true; fi
        fi
    done
    if grep -qsF "$MARK" "$POLICY"; then rm -f "$POLICY"; fi
    if grep -qsF "$MARK" "$NO_CLUSTER"; then rm -f "$NO_CLUSTER"; fi
    # Directories that only our file was in; those of a package are not empty or belong to it.
    if ! dpkg-query -S "${NO_CLUSTER%/*}" >/dev/null 2>&1; then rmdir "${NO_CLUSTER%/*}" 2>/dev/null || true; fi
}

main() {
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    # One at a time on this machine: what the one clears away the other may still need.
    exec 8>/run/baton-packages.lock
    flock 8
    trap clear_away EXIT
    trap 'exit 143' TERM INT HUP

    # Debian's way to say "start no service now"; containers often have it already.
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$MARK" >"$POLICY"
        chmod 755 "$POLICY"
    fi
    # And "make no cluster of your own".
    mkdir -p "${NO_CLUSTER%/*}"
    marks=$MARK
    for server in $SERVERS; do
        if is_installed "$server" && ! grep -qs "^# $server is new" "$NO_CLUSTER"; then continue; fi
        marks="$marks
# $server is new"
    done
    printf '%s\ncreate_main_cluster = false\n' "$marks" >"$NO_CLUSTER"

    # What an interrupted installation left half done.
    dpkg --configure -a </dev/null || echo "dpkg still has something half done; apt will say what"
    [ $# -gt 0 ] || return 0
    # One unreachable third-party source must not stop us; what matters is whether the packages can be had.
    apt-get -q update </dev/null || echo "apt-get update reported errors; going on"
    # shellcheck disable=SC2086
    apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold "$@" </dev/null
}

main "$@"
exit
