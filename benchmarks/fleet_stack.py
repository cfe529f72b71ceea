"""The whole of Baton on a scratch database, as `bin/up --web N --ws M` starts it: proxy, HTTP, sockets, worker."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from benchmarks.report import ROOT
from benchmarks.scratch import database_url, server_environment
from benchmarks.servers import cpu_of, family, serving


class Stack:
    """All parts, each with everything below it. `port` is the one address."""

    def __init__(self, *, web: int, ws: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="baton-fleet.")
        self.run = Path(self.folder.name)
        self.port, *ports = serving.free_ports(1 + web + ws)
        web_ports, ws_ports = ports[:web], ports[web:]
        believed = serving.behind_us("")
        configuration = self.run / "nginx.conf"
        configuration.write_text(
            serving.nginx_configuration(
                run=self.run, port=self.port, web_ports=web_ports, ws_ports=ws_ports, environment={}
            )
        )
        proxy = serving.nginx_command(configuration)
        if proxy is None:
            raise SystemExit("nginx is not installed; bin/test installs it")
        direct = database_url("DATABASE_DIRECT_URL") if "DATABASE_DIRECT_URL" in os.environ else database_url()
        self.environment = {
            **server_environment(settings.REDIS_PREFIX),
            "BATON_TRUSTED_PROXIES": believed,
            "DATABASE_DIRECT_URL": direct,
        }
        commands = {
            **{
                f"web{n}": serving.uvicorn_command(sys.executable, port, believed)
                for n, port in enumerate(web_ports, 1)
            },
            **{f"ws{n}": serving.uvicorn_command(sys.executable, port, believed) for n, port in enumerate(ws_ports, 1)},
            "worker": [sys.executable, str(ROOT / "manage.py"), "worker"],
            "proxy": proxy,
        }
        self.children = {name: self._start(name, command) for name, command in commands.items()}
        try:
            for port in (*ports, self.port):
                self._wait_for(port)
        except BaseException:
            self.stop()
            raise

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.run / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 300
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((serving.LOOPBACK, port)) == 0:
                    return
            if time.monotonic() > deadline or any(child.poll() is not None for child in self.children.values()):
                raise SystemExit(f"the stack does not start:\n{self.complaints()}")
            time.sleep(0.1)

    def complaints(self) -> str:
        """The last words of every part's log."""
        return "\n".join(
            f"--- {name}\n{text[-2000:]}"
            for name in self.children
            if (text := (self.run / f"{name}.log").read_text(errors="replace").strip())
        )

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, by part."""
        return {name: cpu_of(family(child.pid)) for name, child in self.children.items()}

    def memory(self) -> dict[str, float]:
        """Bytes by part, what processes share counted once."""
        return {name: share_of_memory(family(child.pid)) for name, child in self.children.items()}

    def stop(self) -> None:
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.folder.cleanup()


def share_of_memory(pids: Sequence[int]) -> float:
    """Proportional set size of these processes together, bytes: a shared page counts as the part of it that is theirs."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024
