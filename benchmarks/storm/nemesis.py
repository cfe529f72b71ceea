"""What can break, and a schedule of it that one seed always makes the same."""

import asyncio
import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.storm.stack import Broken, Stack
from benchmarks.storm.wires import Mood

#: A single fault must be over, without an operator, so long after its cause is gone.
RECOVERS_WITHIN_S = 15.0
#: As in config/health.py.
SWEEPS_STALE_S = 10.0
PARTS = ("web", "worker", "clusters", "postmaster", "backends", "redis")
#: With `--web N --ws M` there are these, too.
MORE_PARTS = ("ws", "proxy")
WIRES = ("clients-web", "web-postgres", "web-redis", "worker-postgres", "worker-redis")
MORE_WIRES = ("ws-postgres", "ws-redis")


@dataclass(frozen=True, slots=True)
class Fault:
    #: kill, stop, cut, slow, freeze, deafen, fill, reload
    kind: str
    #: A part of the stack or a wire.
    where: str
    #: For how long, seconds; a kill takes none.
    lasts_s: float
    #: How long to leave the stack alone after it is whole again.
    rest_s: float
    #: Which of several processes.
    pick: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.where}" + (f" {self.lasts_s:.1f} s" if self.lasts_s else "")


def schedule(seed: int, *, kinds: set[str], several: bool = False) -> Callable[[], Fault]:
    """An endless series of faults: every kind at every place in turn, shuffled, so that a short storm has many."""
    dice = random.Random(f"nemesis {seed}")
    parts, wires = (PARTS + MORE_PARTS, WIRES + MORE_WIRES) if several else (PARTS, WIRES)
    every = [("kill", part) for part in parts] + [("stop", part) for part in parts]
    every += [(kind, wire) for kind in ("cut", "slow", "freeze", "deafen") for wire in wires]
    every += [("fill", "postgres"), ("reload", "web"), ("reload", "worker")]
    every += [("reload", "ws")] if several else []
    every = [fault for fault in every if fault[0] in kinds]
    waiting: list[tuple[str, str]] = []

    def following() -> Fault:
        if not waiting:
            waiting.extend(dice.sample(every, len(every)))
        kind, where = waiting.pop()
        lasts = 0.0 if kind in {"kill", "reload"} else round(dice.uniform(0.5, 4.0), 1)
        return Fault(kind, where, lasts, round(dice.uniform(0.5, 3.0), 1), dice.random())

    return following


@dataclass(slots=True)
class Struck:
    """A fault as it happened."""

    fault: Fault
    at: float
    #: From the end of its cause until the stack said that it was ready.
    recovered_s: float
    note: str = ""


class Nemesis:
    def __init__(self, stack: Stack, say: Callable[[str], None], within_s: float = RECOVERS_WITHIN_S) -> None:
        self.stack, self.say, self.within_s = stack, say, within_s
        self.struck: list[Struck] = []

    async def strike(self, fault: Fault) -> Struck:
        """Break it, mend what was broken from outside, wait until the stack is whole again. Raises Broken."""
        at = time.time()
        note = await self._ways()[fault.kind](fault)
        struck = Struck(fault, at, 0.0, note)
        self.struck.append(struck)
        try:
            began = time.monotonic()
            if fault.where in {"worker", "clusters"}:
                # Without sweeps the stack is not ready, but it takes that long to say so.
                await asyncio.sleep(SWEEPS_STALE_S)
            await self.stack.well(3 * self.within_s)
            struck.recovered_s = time.monotonic() - began
        except Broken:
            struck.recovered_s = float("inf")
            raise
        late = " (TOO LATE)" if struck.recovered_s > self.within_s else ""
        self.say(f"  {fault}{note and f' ({note})'}: whole again after {struck.recovered_s:.1f} s{late}")
        return struck

    def _ways(self) -> dict[str, Callable[[Fault], Awaitable[str]]]:
        return {
            "kill": self._kill,
            "stop": self._stop,
            "cut": lambda fault: self._spoil(fault, Mood.CUT),
            "slow": lambda fault: self._spoil(fault, Mood.SLOW, delay_s=0.05 + 0.3 * fault.pick),
            "freeze": lambda fault: self._spoil(fault, Mood.FROZEN),
            "deafen": lambda fault: self._spoil(fault, Mood.DEAF),
            "fill": self._fill,
            "reload": self._reload,
        }

    def _victims(self, fault: Fault) -> list[int]:
        pids = sorted(self.stack.processes(fault.where))
        if fault.where in {"clusters", "backends", "ws"} and pids:
            return [pids[int(fault.pick * len(pids))]]
        return pids

    async def _kill(self, fault: Fault) -> str:
        victims = self._victims(fault)
        if fault.where == "postmaster":
            # The whole server at once, as when the machine's memory ran out.
            victims += self.stack.processes("backends")
        _signal(victims, signal.SIGKILL)
        # The one who mends must notice first; until then the old answer may still come.
        await asyncio.sleep(0.3)
        return f"{len(victims)} processes" if len(victims) != 1 else ""

    async def _stop(self, fault: Fault) -> str:
        victims = self._victims(fault)
        _signal(victims, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            _signal(victims, signal.SIGCONT)
        return "" if victims else "nobody there"

    async def _fill(self, fault: Fault) -> str:
        """The disk is full: no file of PostgreSQL may be written beyond its first page, the log of transactions first of
        all. (A limit on its processes, which ends with them; to PostgreSQL it is the same error at the same place.)"""
        struck = 0
        over = time.monotonic() + fault.lasts_s
        try:
            while time.monotonic() < over:
                # Also those that come meanwhile.
                struck = max(struck, await asyncio.to_thread(self._limit_files, 8192))
                await asyncio.sleep(0.1)
        finally:
            # Twice: one that came during the first has inherited the limit.
            for _ in range(2):
                await asyncio.to_thread(self._limit_files, resource.RLIM_INFINITY)
        if not struck:
            raise Broken("the disk could not be filled: the limit on PostgreSQL's files was refused")
        return f"{struck} processes"

    def _limit_files(self, size: int) -> int:
        """How many processes of PostgreSQL may write no file beyond `size` bytes now."""
        most = "unlimited" if size == resource.RLIM_INFINITY else str(size)
        limited = 0
        for pid in [*self.stack.processes("postmaster"), *self.stack.processes("postgres")]:
            with contextlib.suppress(OSError):
                # As its own user: root may not do it to others without CAP_SYS_RESOURCE, which containers lack.
                owner = os.stat(f"/proc/{pid}")
                user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
                command = ["prlimit", "--pid", str(pid), f"--fsize={most}:unlimited"]
                done = subprocess.run(command, stderr=subprocess.DEVNULL, user=user, group=group)
                limited += done.returncode == 0
        return limited

    async def _reload(self, fault: Fault) -> str:
        """No fault at all: a new process takes over from the old one, and nobody may notice."""
        await self.stack.run("bin/service", "reload", fault.where, seconds=150)
        return ""

    async def _spoil(self, fault: Fault, mood: Mood, delay_s: float = 0.0) -> str:
        wire = self.stack.wires[fault.where]
        wire.set(mood, delay_s)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            wire.set(Mood.WELL)
            if mood in {Mood.FROZEN, Mood.DEAF}:
                # What was lost on it never comes: such a connection is of no use to anybody.
                wire.cut()
        return ""


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
