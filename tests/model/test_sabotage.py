"""Faults that are built in on purpose (benchmarks/storm/sabotage.py) go stale when the code they take away is rewritten."""

from pathlib import Path

import pytest

from benchmarks.storm.sabotage import SABOTAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", SABOTAGES)
def test_what_a_sabotage_takes_away_is_there(name: str) -> None:
    assert [text for file, text, _ in SABOTAGES[name].edits if text not in (ROOT / file).read_text()] == []
