"""What the settings make of the environment, in a process of their own."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.dispatch.live.rig import ROOT

SAY = (
    "import json; from django.conf import settings;"
    "print(json.dumps([settings.DATABASES['default'], settings.CHANNEL_LAYERS]))"
)


def settings_with(**environment: str) -> tuple[Any, str]:
    """The database's and the channel layer's settings, or what stopped the start."""
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr.strip().rpartition("\n")[2]


def test_behind_a_pooler_nothing_is_said_at_the_start_of_a_session() -> None:
    (database, _), _ = settings_with(
        BATON_TRANSACTION_POOLER="1", DATABASE_DIRECT_URL="postgresql://baton_app:x@10.0.0.5/baton"
    )
    assert "options" not in database["OPTIONS"]
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True

    (database, _), _ = settings_with(BATON_TRANSACTION_POOLER="0")
    assert database["OPTIONS"]["options"] == (
        "-c lock_timeout=4000 -c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000 -c jit=off"
    )


def test_a_pooler_without_a_way_around_it_stops_the_start() -> None:
    _, said = settings_with(BATON_TRANSACTION_POOLER="1", DATABASE_DIRECT_URL="")
    assert said.endswith("BATON_TRANSACTION_POOLER needs DATABASE_DIRECT_URL, a way around the pooler.")


def test_pushes_go_over_the_shards_or_over_the_one_redis() -> None:
    (_, layers), _ = settings_with(BATON_REDIS_SHARDS="redis://a/0, redis://b/0")
    assert [host["address"] for host in layers["default"]["CONFIG"]["hosts"]] == ["redis://a/0", "redis://b/0"]

    (_, layers), _ = settings_with(BATON_REDIS_SHARDS="")
    assert [host["address"] for host in layers["default"]["CONFIG"]["hosts"]] == [os.environ["REDIS_URL"]]
