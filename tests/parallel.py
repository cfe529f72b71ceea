"""Loaded before the settings (`-p tests.parallel`): every parallel test process has a corner of its own in Redis.

Databases are separate already; Redis's channels know no databases, only names.
"""

import os

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["BATON_REDIS_PREFIX"] = f"{os.environ.get('BATON_REDIS_PREFIX', 'baton')}-{worker}"
