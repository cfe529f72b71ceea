"""What serves Baton: one process that does everything or, for more, a proxy before several. Only commands and the proxy's
configuration are made here; bin/supervise.py runs them. Needs nothing but Python's standard library.

One: uvicorn with HTTP and sockets. Several: nginx on the address that everybody knows, N uvicorns for HTTP behind it, and M
for the sockets. All state is in PostgreSQL and Redis, so it does not matter who gets what.
"""

import os
import resource
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
#: Connections that wait to be accepted.
BACKLOG = 2048
#: Debian has it where an ordinary user's PATH does not look.
NGINX_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def uvicorn_command(python: str, port: int, trusted_proxies: str, *, fd: int | None = None) -> list[str]:
    """`fd`: a listening socket to be inherited, which another process may hold too (bin/supervise.py)."""
    # No deflate: 19 kB a socket instead of 54. No proxy headers unless somebody says which proxies stand before this
    # server (BATON_TRUSTED_PROXIES, their addresses): otherwise anybody could say that a request came from elsewhere.
    proxies = (
        ["--proxy-headers", "--forwarded-allow-ips", trusted_proxies] if trusted_proxies else ["--no-proxy-headers"]
    )
    listen = f"--host {LOOPBACK} --port {port}" if fd is None else f"--fd {fd}"
    words = f"""
        -m config.serve config.asgi:application {listen}
        --ws websockets-sansio --ws-per-message-deflate false --ws-max-size 16384
        --timeout-graceful-shutdown 10 --timeout-keep-alive 30 --backlog {BACKLOG}
        --no-access-log --no-server-header --log-level warning
    """
    return [python, *words.split(), *proxies]


def listening(port: int) -> socket.socket:
    """A listening socket that children inherit. As long as one process has it, nobody is refused."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((LOOPBACK, port))
    found.listen(BACKLOG)
    found.set_inheritable(True)
    return found


def nginx_command(configuration: Path) -> list[str] | None:
    """None: it is not installed."""
    program = shutil.which("nginx", path=NGINX_PATH)
    return [program, "-c", str(configuration), "-e", "stderr"] if program else None


def behind_us(trusted_proxies: str) -> str:
    """Whom the servers behind the proxy believe: the proxy, and whoever stands before it."""
    return ",".join([LOOPBACK, *_words(trusted_proxies)])


def nginx_configuration(
    *, run: Path, port: int, web_ports: Sequence[int], ws_ports: Sequence[int], environment: Mapping[str, str]
) -> str:
    """deploy/nginx.conf with everything filled in."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files == resource.RLIM_INFINITY or files > 200_000:
        files = 200_000
    # Each socket is two connections: to the client, and to the process that serves it.
    connections = max(512, files - 200)
    trusted = _words(environment.get("BATON_TRUSTED_PROXIES", ""))
    words = {
        "USER": "user root;" if os.geteuid() == 0 else "",
        "WORKERS": str(max(2, min(4, len(ws_ports) * 2))),
        "FILES": str(files),
        "CONNECTIONS": str(min(connections, 40_000)),
        "RUN": _quoted(run),
        "LISTEN": f"{LOOPBACK}:{port}",
        "MAX_BODY": environment.get("BATON_MAX_BODY_BYTES") or str(64 * 1024),
        "MAX_UPLOAD": environment.get("BATON_MAX_UPLOAD_BYTES") or str(10 * 1024 * 1024),
        "MAX_PROOF": environment.get("BATON_MAX_PROOF_BYTES") or str(5 * 1024 * 1024),
        "TRUSTED": " ".join(f"{word} 1;" for word in trusted if word != "*"),
        "TRUST": str(int("*" in trusted)),
        "WEB_SERVERS": _servers(web_ports),
        "WS_SERVERS": _servers(ws_ports),
    }
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return text


def _servers(ports: Sequence[int]) -> str:
    """Who does not answer is asked again after a second; the only one there is, always."""
    return " ".join(f"server {LOOPBACK}:{port} max_fails=1 fail_timeout=1s;" for port in ports)


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nobody uses, below those that the system gives to outgoing connections."""
    found: list[int] = []
    for port in range(21_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SystemExit(f"no {count} free ports on this machine")


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _quoted(path: Path) -> str:
    """For use inside a longer word: nginx knows backslashes before blanks."""
    return str(path).replace("\\", "\\\\").replace(" ", "\\ ")
