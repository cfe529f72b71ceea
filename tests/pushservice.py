"""A push service on loopback that believes nothing: it checks who signed, and decrypts as the device would (RFC 8188, 8291,
8292)."""

import base64
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from drivers.push import from_base64url, to_base64url


class Device:
    """A browser's side of a subscription: the keys that never leave it but for the public one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.private_key = ec.generate_private_key(ec.SECP256R1())
        self.secret = os.urandom(16)

    @property
    def keys(self) -> dict[str, str]:
        point = self.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"p256dh": to_base64url(point), "auth": to_base64url(self.secret)}


@dataclass
class Delivery:
    device: str
    headers: dict[str, str]
    #: What our server says of itself, its signature checked.
    claims: dict[str, Any]
    #: The public key that the signature was checked against.
    signed_by: str
    payload: dict[str, Any]
    raw: bytes


Answer = tuple[int, dict[str, str]]


@dataclass
class PushService:
    origin: str = ""
    devices: dict[str, Device] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    #: Requests of each device, also those that were not taken.
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[str] = field(default_factory=list)
    #: What to answer, by device: the first time, the second …; the last one stays. Otherwise 201.
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    #: Called before an answer, by device: to dawdle.
    before: dict[str, Callable[[], Any]] = field(default_factory=dict)
    #: Requests that are being answered right now, and the most there ever were.
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def subscription(self, name: str) -> dict[str, Any]:
        """A new device's, as its app sends it to us."""
        device = self.devices[name] = Device(name)
        return {"endpoint": f"{self.origin}/push/{name}", "keys": device.keys}

    def of(self, name: str) -> list[dict[str, Any]]:
        """The payloads that a device got."""
        return [delivery.payload for delivery in self.deliveries if delivery.device == name]

    def take(self, name: str, headers: dict[str, str], body: bytes) -> Answer:
        with self.lock:
            self.asked[name] += 1
            time_of_asking = self.asked[name]
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        try:
            if name in self.before:
                self.before[name]()
            answers = self.answers.get(name, [(201, {})])
            status, answered = answers[min(time_of_asking, len(answers)) - 1]
            if 200 <= status < 300:
                with self.lock:
                    self.deliveries.append(self._read(name, headers, body))
        except Exception as fault:
            self.faults.append(repr(fault))
            return 400, {}
        else:
            return status, answered
        finally:
            with self.lock:
                self.busy -= 1

    def _read(self, name: str, headers: dict[str, str], body: bytes) -> Delivery:
        device = self.devices[name]
        authorization = headers["authorization"]
        assert Vapid02.verify(authorization), "the signature is wrong"
        parts = dict(part.split("=", 1) for part in authorization.removeprefix("vapid ").split(","))
        claims = json.loads(base64.urlsafe_b64decode(parts["t"].split(".")[1] + "=="))
        assert claims["aud"] == self.origin
        assert time.time() < claims["exp"] < time.time() + 24 * 3600
        assert claims["sub"].startswith("mailto:")
        assert headers["content-encoding"] == "aes128gcm"
        assert len(from_base64url(headers["topic"] + "A" * (-len(headers["topic"]) % 4))) <= 32
        assert len(body) <= 4096
        plain = http_ece.decrypt(body, private_key=device.private_key, auth_secret=device.secret, version="aes128gcm")
        return Delivery(name, headers, claims, parts["k"], json.loads(plain), body)


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            status, answered = service.take(self.path.rsplit("/", 1)[1], headers, body)
            try:
                self.send_response(status)
                for name, text in {**answered, "Content-Length": "0"}.items():
                    self.send_header(name, text)
                self.end_headers()
            except OSError:
                # Whoever asked did not wait for it.
                self.close_connection = True

        def log_request(self, *_: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 200
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    service.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
