"""The frame of every benchmark: what it ran on, a table for people, one line of JSON for programs.

A figure is worth something beside another one that was measured in the same minute on the same machine: a limit, a rival, a
bare loop. So a benchmark notes figures and holds ratios of them against a bar; absolute times are only shown.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Of the packages that a figure may depend on.
PACKAGES = ("django", "channels", "psycopg", "uvicorn", "redis")
PER = {"ms": 1000.0, "s": 1.0}


def arguments(text: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the benchmark's own docstring."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def quantile(ranked: Sequence[float], share: float) -> float:
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: its median, and between which values nine in ten were."""

    name: str
    unit: str
    n: int
    median: float
    p05: float
    p95: float
    p99: float
    slowest: float


class Report:
    """What one benchmark has to say. `finish` prints it and returns the exit status: 1 when a bar was missed."""

    def __init__(self, benchmark: str) -> None:
        self.benchmark = benchmark
        self.began = time.monotonic()
        self.load = os.getloadavg()[0]
        self.figures: list[Figure] = []
        self.bars: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def times(self, name: str, seconds: Sequence[float], *, unit: str = "ms") -> float:
        """Note what something took, given in seconds; the median, in seconds. Nothing measured counts as for ever."""
        if not seconds:
            self.notes.append(f"{name}: nothing was measured")
            return float("inf")
        self._note(name, [value * PER[unit] for value in seconds], unit)
        return median(seconds)

    def value(self, name: str, value: float, unit: str) -> float:
        """Note a single quantity."""
        self._note(name, [value], unit)
        return value

    def _note(self, name: str, values: Sequence[float], unit: str) -> None:
        ranked = sorted(values)
        at = {share: quantile(ranked, share) for share in (0.05, 0.95, 0.99)}
        self.figures.append(Figure(name, unit, len(ranked), median(ranked), at[0.05], at[0.95], at[0.99], ranked[-1]))

    def bar(self, what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        """Hold a value, as a rule a ratio of two figures, against a limit."""
        is_met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        limit = {"at_most": at_most} if at_most is not None else {"at_least": at_least}
        self.bars.append({"what": what, "value": round(value, 4), **limit, "is_met": is_met})

    def note(self, text: str) -> None:
        """Something that is not a number."""
        self.notes.append(text)

    def finish(self) -> int:
        width = max((len(figure.name) for figure in self.figures), default=0)
        print(
            f"\n{self.benchmark}, {machine()['cpu']}, {os.cpu_count()} cores, load average {self.load:.1f} at the start"
        )
        if self.figures:
            print(f"{'':{width}} {'n':>7} {'median':>11} {'5 %':>10} {'95 %':>10} {'99 %':>10} {'slowest':>10}")
        for figure in self.figures:
            if figure.n == 1:
                print(f"{figure.name:{width}} {'':>7} {_short(figure.median):>11} {figure.unit}")
            else:
                spread = (figure.p05, figure.p95, figure.p99, figure.slowest)
                print(
                    f"{figure.name:{width}} {figure.n:>7} {_short(figure.median):>11}"
                    f"{''.join(f' {_short(value):>10}' for value in spread)} {figure.unit}"
                )
        for text in self.notes:
            print(text)
        for bar in self.bars:
            limit = f"at most {bar['at_most']:g}" if "at_most" in bar else f"at least {bar['at_least']:g}"
            print(f"{'met   ' if bar['is_met'] else 'MISSED'} {bar['what']}: {bar['value']:g} ({limit})")
        print(json.dumps(self.document(), separators=(",", ":")))
        sys.stdout.flush()
        return 0 if all(bar["is_met"] for bar in self.bars) else 1

    def document(self) -> dict[str, Any]:
        figures = [
            {
                "name": figure.name,
                "unit": figure.unit,
                "n": figure.n,
                "median": _rounded(figure.median),
                **(
                    {
                        "p05": _rounded(figure.p05),
                        "p95": _rounded(figure.p95),
                        "p99": _rounded(figure.p99),
                        "max": _rounded(figure.slowest),
                    }
                    if figure.n > 1
                    else {}
                ),
            }
            for figure in self.figures
        ]
        return {
            "benchmark": self.benchmark,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self.began, 1),
            "machine": {**machine(), "load": round(self.load, 2)},
            "versions": versions(),
            "figures": figures,
            "bars": self.bars,
            "notes": self.notes,
        }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        cpu = ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Of Baton, Python, the packages and, as far as they can be asked, the servers."""
    known = {"baton": _commit(), "python": platform.python_version()}
    known |= {name: version(name) for name in PACKAGES}
    for name, command in (("postgresql", ["psql", "--version"]), ("redis-server", ["redis-server", "--version"])):
        known[name] = _said(command)
    return known


def _commit() -> str:
    return _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
