# What bin/backup and bin/restore share: the format of a backup, and how a dump is read.
#
# A backup is a tar of three members, in this order:
#   manifest        one "name value…" a line: when, from which cluster, how large, which migrations, the sums of the others
#   database.dump   pg_dump's custom format, of one moment
#   media.tar       the pictures that drivers took, copied after that moment: a row's picture is on disk before the row is

BACKUPS=$LOCAL/backups
BACKUP_FORMAT=1

know_installation() {
    [ -x "$VENV/bin/python" ] && know_services && find_postgres || fail "this checkout is not set up yet; run bin/up"
    postgres_runs || fail "PostgreSQL is not running; start everything with bin/up, or just this with: bin/service start postgres"
    { mkdir -p "$BACKUPS" && chmod 700 "$BACKUPS"; } || disk_or "cannot create $BACKUPS"
    # Not the lock of bin/up: a crashed PostgreSQL must be started again, also while a long dump is being read.
    exec 8>>"$LOCAL/backup.lock"
    flock -n 8 || fail "another bin/backup or bin/restore is at work in this checkout"
}

# A program of PostgreSQL as the cluster's superuser, through the socket: the tables' owner is bound by row level security
# (FORCE) and could not read every row.
superuser_run() {
    local program=$PG_BIN/$1
    shift
    as_user "$PG_USER" "$program" -h "$BATON_PG_SOCKET_DIR" -p "$BATON_PG_PORT" -U postgres "$@"
}
# ask DATABASE SQL: the answer, unaligned, without a heading.
ask() { superuser_psql -d "$1" -At -c "$2"; }
database_exists() { [ "$(ask postgres "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]; }

# The migrations that are in a dump, from its own table: "app.name" a line. Reads the dump from standard input.
migrations_in_dump() {
    as_user "$PG_USER" "$PG_BIN/pg_restore" --data-only --table django_migrations --file - |
        awk -F '\t' '/^COPY /{ inside = 1; next } /^\\\.$/{ inside = 0 } inside { print $2 "." $3 }' | sort
}
# The migrations that this checkout's code brings.
migrations_in_code() {
    (cd "$ROOT" && DJANGO_SETTINGS_MODULE=config.settings "$VENV/bin/python" -c '
import django
django.setup()
from django.db.migrations.loader import MigrationLoader
print("\n".join(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations))
') | sort
}

# Reads no further than that member: what is wrong behind it is another member's business.
member() { tar -xOf "$1" --occurrence=1 "$2"; }
sum_of_member() { member "$1" "$2" | sha256sum | cut -d ' ' -f 1; }
# from_manifest TEXT NAME: the rest of the line that begins with NAME.
from_manifest() { sed -n "s/^$2 //p" <<<"$1"; }

in_mb() { printf '%s' $(($1 / 1000000 + 1)); }
in_words() { numfmt --to=si --format='%.1f' --suffix=B "$1"; }
