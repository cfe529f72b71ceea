"""A served process does not stop to look for garbage among everything that it holds."""

import json
import os
import subprocess
import sys

from drivers.garbage import THRESHOLDS

LOOK = """
import gc, json
kept = [[] for _ in range(1000)]
from drivers import garbage
garbage.settle()
looked_at = {id(thing) for thing in gc.get_objects()}
circle = []
circle.append(circle)
del circle
print(json.dumps({
    "frozen": gc.get_freeze_count() >= 1000,
    "looked_at": sum(id(thing) in looked_at for thing in kept),
    "thresholds": gc.get_threshold(),
    "found": gc.collect() >= 1,
}))
"""


def test_what_was_loaded_is_looked_through_no_more_and_new_garbage_is_still_found() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOOK], env=dict(os.environ), capture_output=True, check=True, text=True
    )

    assert json.loads(said.stdout) == {
        "frozen": True,
        "looked_at": 0,
        "thresholds": list(THRESHOLDS),
        "found": True,
    }
