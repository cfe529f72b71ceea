"""Keeps the web server, the worker and the demo alive. Started by bin/up; needs nothing but Python's standard library.

Children that die are started again, with a growing pause. PostgreSQL and Redis are daemons of their own: when one of them is
not there although nobody stopped it (bin/service stop), it is started again. That it left no pid file proves nothing: a
PostgreSQL that cannot write because the disk is full ends in good order, and shall be back when there is room.

Files in .local/run, all that bin/service and bin/down need:
  NAME.pid      "PID START@BOOT" of a living child, and of the supervisor itself
  NAME.stopped  asked for by `bin/service stop NAME`: the child, postgres or redis is ended and stays so until the file goes
  NAME.restart  asked for by `bin/service restart NAME`; removed when carried out
  NAME.reload   asked for by `bin/service reload NAME`: a second process takes over (a server: with the first one's socket);
                removed when it has, renamed to NAME.kept when it did not come up and the first one went on
  NAME.leaving  the first one has not ended yet
  ready         the web server has answered; `failed` says why it never will
  children      the names of all of them
"""

import argparse
import contextlib
import fcntl
import http.client
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serving
from children import LOCAL, LOG, ROOT, RUN, Child, how, identity, settings, write

PYTHON = str(LOCAL / "venv/bin/python")

TICK = 0.2
LONGEST_PAUSE = 5.0
# A child that lived this long was well: its next death is a first one.
WELL_AFTER = 30.0
# The web server ends open sockets within 10 s, a cluster its running tasks within 20 s.
PATIENCE = 25.0
GIVE_UP_AFTER = 90.0
# While a worker that had died starts, seconds at most, the servers step back so far (as `nice` counts it).
COMES_BACK_WITHIN = 12.0
BEHIND = 10


class Supervisor:
    def __init__(self, options: argparse.Namespace) -> None:
        environment = settings()
        self.port = int(environment["BATON_PORT"])
        self.foreground: bool = options.foreground
        self.started_services: list[str] = options.started_services.split()
        self.children = [
            *servers(self.port, environment, web=options.web, ws=options.ws),
            Child("worker", manage("worker"), has_heirs=True),
        ]
        if options.demo:
            self.children.append(Child("demo", manage("demo")))
        write(RUN / "children", "".join(f"{child.name}\n" for child in self.children))
        self.ending = False
        self.ready = False
        self.birth = time.monotonic()
        self.repair: subprocess.Popen[bytes] | None = None
        self.suspects: dict[str, float] = {}
        #: Servers by process number, as far as they were ever told to step back.
        self.behind: dict[int, int] = {}

    def say(self, text: str) -> None:
        stamp = "" if self.foreground else time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
        # The terminal may be gone by now.
        with contextlib.suppress(OSError):
            print(f"{stamp}{text}", flush=True)

    # --- One turn -----------------------------------------------------------------------------------------------------

    def tend(self, child: Child) -> None:
        now = time.monotonic()
        child.see_off()
        stopped = child.file("stopped").exists()
        restart, reload = child.file("restart"), child.file("reload")
        if reload.exists() and not child.has_heirs:
            # Two of them would be one too many: it ends, and begins anew.
            reload.rename(restart)
        if child.process and child.process.poll() is None:
            if stopped or restart.exists():
                self.end([child])
                restart.unlink(missing_ok=True)
                child.deaths, child.not_before = 0, 0.0
            elif child.heir:
                if failed := child.look_at_heir():
                    self.say(f"· {child.name}: its successor did not come up ({failed}), it goes on itself")
                    reload.rename(child.file("kept"))
            elif reload.exists():
                child.raise_heir()
            elif child.deaths and now - child.started > WELL_AFTER:
                child.deaths = 0
            return
        if child.process:
            status = child.bury()
            pause = 0.0 if child.deaths == 0 else min(2.0 ** (child.deaths - 1) / 2, LONGEST_PAUSE)
            child.deaths += 1
            child.not_before = now + pause
            self.say(
                f"· {child.name} ended ({how(status)}), starting it again in {pause:.1f} s (.local/log/{child.name}.log)"
            )
        if not stopped and now >= child.not_before:
            restart.unlink(missing_ok=True)
            reload.unlink(missing_ok=True)
            if not child.start():
                child.deaths += 1
                child.not_before = now + 1.0

    def make_way(self) -> None:
        """Nobody sweeps until a killed worker has come back, and in a flood of requests it gets little of the processor.

        Where Linux shares that out by session (`sched_autogroup`), a session's part may be lowered, and put back.
        """
        now = time.monotonic()
        comes_back = any(
            child.name == "worker" and child.process and child.deaths and now - child.started < COMES_BACK_WITHIN
            for child in self.children
        )
        behind = BEHIND if comes_back else 0
        for child in self.children:
            if child.listens and child.process and self.behind.get(child.process.pid, 0) != behind:
                with contextlib.suppress(OSError):
                    Path(f"/proc/{child.process.pid}/autogroup").write_text(str(behind))
                    self.behind[child.process.pid] = behind

    def mend_services(self) -> None:
        """Starts PostgreSQL or Redis again when nobody stopped it; looks twice, as one may just be being started anew."""
        if self.repair:
            if self.repair.poll() is None:
                return
            self.repair = None
        for name, pid_file in (("postgres", LOCAL / "pg/postmaster.pid"), ("redis", LOCAL / "redis/redis.pid")):
            if (RUN / f"{name}.stopped").exists() or not is_gone(pid_file):
                self.suspects.pop(name, None)
            elif name not in self.suspects:
                self.suspects[name] = time.monotonic()
            elif time.monotonic() - self.suspects[name] > 0.8:
                self.say(f"· {name} is gone, starting it again")
                del self.suspects[name]
                with (LOG / "supervisor.log").open("ab") as output:
                    self.repair = subprocess.Popen(
                        [ROOT / "bin/service", "start", name], stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    )
                return

    def look_whether_ready(self) -> str | None:
        """Says why the stack will not come up, if so."""
        web = self.children[0]
        log = LOG / f"{web.name}.log"
        if web.process and web.process.poll() is None and answers(self.port) and not self.still_starting():
            self.ready = True
            write(RUN / "ready", "")
            if self.foreground:
                self.say((RUN / "banner").read_text())
                self.say("Running. Ctrl-C stops everything. Logs: .local/log")
            return None
        if web.deaths >= 3:
            return f"the web server does not start: {last_words(log)} (log: {log})"
        if time.monotonic() - self.birth > GIVE_UP_AFTER:
            return f"the web server did not answer within {GIVE_UP_AFTER:.0f} s (log: {log})"
        return None

    def still_starting(self) -> list[str]:
        """Processes behind the proxy that do not answer yet. (It sends nobody to those.)"""
        return [child.name for child in self.children if child.port and not answers(child.port)]

    # --- The whole life -----------------------------------------------------------------------------------------------

    def run(self) -> int:
        failure = None
        turn = 0
        while not self.ending and failure is None:
            for child in self.children:
                self.tend(child)
            self.make_way()
            if not self.ready:
                failure = self.look_whether_ready()
            if turn % 5 == 0:
                self.mend_services()
            if turn % 300 == 0:
                for child in self.children:
                    child.keep_log_small()
            turn += 1
            time.sleep(TICK)
        if self.foreground and failure is None:
            self.say("· stopping")
        if self.repair:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.repair.wait(15)
        self.end(self.children)
        if failure:
            write(RUN / "failed", failure + "\n")
            if self.foreground:
                print(f"baton: {failure}", file=sys.stderr)
        self.stop_services(self.started_services if failure else ["postgres", "redis"])
        (RUN / "ready").unlink(missing_ok=True)
        (RUN / "supervisor.pid").unlink(missing_ok=True)
        return 1 if failure else 0

    def end(self, children: list[Child]) -> None:
        """All at the same time: first asked, then, when patience is at its end, killed."""
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + PATIENCE
        alive = [(child.name, process) for child in children for process in child.everyone()]
        while any(process.poll() is None for _, process in alive) and time.monotonic() < deadline:
            time.sleep(0.05)
        for name, process in alive:
            if process.poll() is None:
                self.say(f"· {name} did not end by itself, killing it")
        for child in children:
            child.bury()

    def stop_services(self, names: list[str]) -> None:
        """Not while tests are using them: then bin/test stops them when it is done."""
        if names and not tests_running():
            # bin/down, when it asked for this end, holds the lock and waits for us.
            environment = {**os.environ, "BATON_LOCKED": "1"}
            subprocess.run(
                [ROOT / "bin/service", "stop", *names], stdin=subprocess.DEVNULL, env=environment, check=False
            )


def manage(name: str) -> Callable[[int], list[str]]:
    return lambda fd: [PYTHON, str(ROOT / "manage.py"), name]


def server(name: str, listens: int, trusted: str, **more: Any) -> Child:
    def command(fd: int) -> list[str]:
        return serving.uvicorn_command(PYTHON, listens, trusted, fd=fd)

    return Child(name, command, listens=listens, **more)


def servers(port: int, environment: dict[str, str], *, web: int, ws: int) -> list[Child]:
    """One process for everything; or, if numbers are given, a proxy before `web` and `ws` processes."""
    trusted = environment.get("BATON_TRUSTED_PROXIES", "")
    if not web:
        return [server("web", port, trusted)]
    ports = serving.free_ports(web + ws)
    web_ports, ws_ports = ports[:web], ports[web:]
    run = RUN / "proxy"
    run.mkdir(mode=0o700, exist_ok=True)
    configuration = run / "nginx.conf"
    write(
        configuration,
        serving.nginx_configuration(
            run=run, port=port, web_ports=web_ports, ws_ports=ws_ports, environment=environment
        ),
    )
    proxy = serving.nginx_command(configuration)
    if proxy is None:
        raise SystemExit("nginx is not installed; bin/up installs it")
    believed = serving.behind_us(trusted)
    named = [(f"web{n}", each) for n, each in enumerate(web_ports, 1)]
    named += [(f"ws{n}", each) for n, each in enumerate(ws_ports, 1)]
    return [
        *(server(name, each, believed, port=each) for name, each in named),
        Child("proxy", lambda fd: proxy),
    ]


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_gone(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        # Being written at this moment.
        return False
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) != pid_file.parent.resolve()
    except OSError:
        return True


def tests_running() -> bool:
    try:
        with (LOCAL / "test.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in log.read_text(errors="replace")[-4000:].splitlines() if line.strip()]
        if lines:
            return lines[-1][:200]
    return "it says nothing"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--web", type=int, default=0, help="processes for HTTP behind a proxy; 0: one process for all")
    parser.add_argument("--ws", type=int, default=0, help="processes for sockets behind the proxy")
    parser.add_argument(
        "--started-services", default="", help="what to stop again when the web server does not come up"
    )
    options = parser.parse_args()

    for stale in ("ready", "failed"):
        (RUN / stale).unlink(missing_ok=True)
    for kind in ("stopped", "restart", "reload", "leaving", "kept"):
        for mark in RUN.glob(f"*.{kind}"):
            mark.unlink()
    # Thousands of sockets: as many files as the machine allows us.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    supervisor = Supervisor(options)

    def end(number: int, frame: object) -> None:
        supervisor.ending = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    write(RUN / "supervisor.pid", f"{os.getpid()} {identity(os.getpid())}\n")
    # bin/up's lock (fd 9), held until here so that two runs cannot both start a supervisor.
    with contextlib.suppress(OSError):
        os.close(9)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
