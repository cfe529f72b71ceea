"""The application as it is served, with settings of one's own, and plain HTTP to it."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dispatch.live.rig import PATIENCE, Process, Server


class Served(Server):
    """Started with these environment variables besides the usual ones."""

    def __init__(self, folder: Path, **environment: str) -> None:
        super().__init__(folder, prefix=f"test-{folder.name}")
        self.own = environment

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BATON_DATABASE_CONNECTIONS": "persistent", **self.own}


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[Served]:
    server = Served(folder, **environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.content)

    def problem(self, status: int, code: str) -> Any:
        """The problem document, checked against status, code and media type."""
        assert (self.status, self.headers["content-type"]) == (status, "application/problem+json"), self.content
        assert (self.document["status"], self.document["code"]) == (status, code)
        return self.document


def answer_of(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def ask(
    server: Process,
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
    token: str = "",
    chunked: bool = False,
    **headers: str,
) -> Answer:
    """One request on a connection of its own. A `body` that is no bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named.setdefault("Content-Type", "application/json")
    if token:
        named["Authorization"] = f"Bearer {token}"
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        sent = iter([body[:1], body[1:]]) if chunked else body
        connection.request(method, path, sent, named, encode_chunked=chunked)
        return answer_of(connection.getresponse())


class Relay:
    """TCP between the application and what it needs, that can be cut and put together again."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()

    def join(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Nobody listens any more and every connection is gone."""
        assert self._listener is not None
        with suppress(OSError):
            # Wakes the thread that waits in accept().
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._pairs:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self._pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                with self._lock:
                    self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
