"""The stack under test: a copy of this checkout under its own `bin/up`, so that what is broken is what operators run and
what mends it is what mends theirs."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.storm.wires import Wire

ROOT = Path(__file__).resolve().parent.parent.parent
CITY = (37.7749, -122.4194)
PASSWORD = "a long stormy password"  # noqa: S105 (of accounts that live for minutes)


class Broken(Exception):
    """The stack itself could not be brought up or does not come back."""


class Stack:
    """`up()` first. All paths, ports and processes are the copy's own."""

    def __init__(self, *, port: int, keep: bool = False, web: int = 0, ws: int = 0, fanout: int = 0) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="baton-storm."))
        self.copy = self.place / "checkout"
        self.port = port
        self.keep = keep
        #: Processes for HTTP and for sockets behind a proxy; 0: one for everything.
        self.web, self.ws = web, ws
        #: To how many drivers an order is offered; 0: as installed.
        self.fanout = fanout
        self.wires: dict[str, Wire] = {}

    # --- Up and down -------------------------------------------------------------------------------------------------

    def make_copy(self) -> None:
        files = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True,
        ).stdout  # fmt: skip
        for name in files.decode().split("\0"):
            if name and (ROOT / name).is_file():
                target = self.copy / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)

    def lend_packages(self) -> None:
        """What this checkout has installed is good for the copy too: saves it half a minute of installing the same."""
        words = ["bash", "-c", ". bin/lib/setup.sh && find_python && venv_identity"]
        identity = subprocess.run(words, cwd=self.copy, check=True, capture_output=True, text=True).stdout
        venv = self.copy / ".local/venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        packages = next((venv / "lib").glob("python*/site-packages"))
        (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        (venv / "baton.identity").write_text(f"{identity}\n")
        stamp = Path(sys.prefix) / "baton.base"
        shutil.copy(stamp, venv / "baton.base")
        (self.copy / "node_modules").symlink_to(ROOT / "node_modules")

    async def up(self) -> None:
        several = ("--web", str(self.web), "--ws", str(self.ws)) if self.web else ()
        await self.run("bin/up", "--no-demo", "--detach", "--port", str(self.port), *several, seconds=300)
        self.settings = self._settings()
        ends = {
            "clients-web": self.port,
            "web-postgres": int(self.settings["BATON_PG_PORT"]),
            "web-redis": int(self.settings["BATON_REDIS_PORT"]),
            "worker-postgres": int(self.settings["BATON_PG_PORT"]),
            "worker-redis": int(self.settings["BATON_REDIS_PORT"]),
        }
        parts = ("web", "ws", "worker") if self.web else ("web", "worker")
        if self.web:
            ends |= {"ws-postgres": ends["web-postgres"], "ws-redis": ends["web-redis"]}
        for name, port in ends.items():
            self.wires[name] = Wire(name, port)
            await self.wires[name].start()
        for part in parts:
            database = self.settings["DATABASE_URL"].replace(
                f":{ends['web-postgres']}/", f":{self.wires[f'{part}-postgres'].here}/"
            )
            redis = self.settings["REDIS_URL"].replace(
                f":{ends['web-redis']}/", f":{self.wires[f'{part}-redis'].here}/"
            )
            lines = [f"DATABASE_URL='{database}'", f"REDIS_URL='{redis}'"]
            if self.fanout:
                lines.append(f"BATON_OFFER_FANOUT='{self.fanout}'")
            (self.copy / f".local/env.{part}").write_text("\n".join(lines) + "\n")
        await self.run("bin/service", "restart", *parts, seconds=180)
        await self.well(60)

    async def down(self) -> None:
        for wire in self.wires.values():
            await wire.stop()
        if self.copy.exists():
            with contextlib.suppress(Broken):
                await self.run("bin/down", seconds=90)
        if not self.keep:
            data = self.copy / ".local/pg"
            if data.is_symlink():  # as root the data lie where PostgreSQL's user can reach them
                shutil.rmtree(data.resolve().parent, ignore_errors=True)
            shutil.rmtree(self.place, ignore_errors=True)

    def _settings(self) -> dict[str, str]:
        lines = (self.copy / ".local/env").read_text().splitlines()
        return {key: value.strip("'") for key, _, value in (line.partition("=") for line in lines) if value}

    async def run(self, *words: str, seconds: float) -> str:
        """A script of the copy; what it printed. Raises Broken."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("BATON_", "DATABASE_"))}
        environment.pop("REDIS_URL", None)
        child = await asyncio.create_subprocess_exec(
            self.copy / words[0], *words[1:], cwd=self.copy, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = await asyncio.wait_for(child.communicate(), seconds)
        except TimeoutError:
            child.kill()
            raise Broken(f"{' '.join(words)} took over {seconds:.0f} s") from None
        if child.returncode:
            raise Broken(f"{' '.join(words)}: {said.decode(errors='replace')[-2000:]}")
        return said.decode()

    # --- How it is ---------------------------------------------------------------------------------------------------

    async def is_well(self) -> str:
        """'' when the stack says that it is ready, otherwise what is missing."""
        return await asyncio.to_thread(self._ready)

    def _ready(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return "" if answer.status == 200 else f"readyz {answer.status}"
        except urllib.error.HTTPError as error:
            return f"readyz {error.code}: {error.read()[:200].decode(errors='replace')}"
        except OSError as error:
            return f"no answer: {error}"

    async def well(self, seconds: float) -> float:
        """Wait until it is ready; how long that took. Raises Broken."""
        began = time.monotonic()
        while said := await self.is_well():
            if time.monotonic() - began > seconds:
                raise Broken(f"not ready within {seconds:.0f} s: {said}")
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    # --- Its processes -----------------------------------------------------------------------------------------------

    def processes(self, part: str) -> list[int]:
        """The pids of a part: web, ws, proxy, worker (the watchdog), clusters (what it started), postmaster, backends (of
        ours), postgres (all of its children), redis."""
        children = _children()
        if part in {"web", "ws", "proxy", "worker"}:
            files = (self.copy / ".local/run").glob("*.pid")
            found = [_first_word(file) for file in files if file.stem.rstrip("0123456789") == part]
            return [pid for pid in found if pid]
        if part == "clusters":
            return [pid for root in self.processes("worker") for pid in _below(root, children)]
        if part == "redis":
            pid = _first_word(self.copy / ".local/redis/redis.pid")
            return [pid] if pid else []
        postmaster = _first_word(self.copy / ".local/pg/postmaster.pid")
        if not postmaster:
            return []
        if part == "postmaster":
            return [postmaster]
        if part == "postgres":
            return children.get(postmaster, [])
        return [pid for pid in children.get(postmaster, []) if " baton_app " in _title(pid)]


def _first_word(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
                found.setdefault(parent, []).append(int(entry.name))
    return found


def _below(root: int, children: dict[int, list[int]]) -> list[int]:
    found = list(children.get(root, []))
    for pid in found:
        found += children.get(pid, [])
    return found
