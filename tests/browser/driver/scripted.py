"""A server that behaves as badly as a test says, and keeps receipts as ours does (dispatch/services/receipts.py).

What it believes of orders is the least that taps need: who holds one, and how far it is. It serves the app's modules from
this checkout, with a fault put into one of them if a test wants to see that it is noticed.
"""

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.dispatch.live.rig import ROOT

#: What can happen to a request. `cut`: it never arrives. `lost`: carried out, the answer cut off. `hang`: carried out, no
#: answer. `late`: carried out after the client has given up. `busy`: 503. `later`: 429 with Retry-After. `portal`: a hotel's
#: sign-in page answers 200. `proxy`: something in between answers 404 in HTML. `slow`: in a while. `half`: the answer
#: breaks off in the middle.
WEATHER = ("cut", "lost", "hang", "late", "busy", "later", "portal", "proxy", "slow", "half")
VERBS = {"accept", "decline", "pick-up", "deliver", "fail", "release"}
#: Longer than the app waits for an answer in these tests.
TOO_LONG = 0.5


@dataclass
class Order:
    status: str = "pending"
    driver: int | None = None
    version: int = 1
    declined: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Judged:
    """An act that the server came to judge."""

    order: str
    verb: str
    action_id: str
    driver: int
    code: str
    is_first: bool


class World:
    """The orders, the receipts, the tokens and the weather of one test."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.orders: dict[str, Order] = {}
        self.tokens: dict[str, int] = {}
        self.receipts: dict[tuple[int, str], tuple[str, str, int]] = {}
        self.judged: list[Judged] = []
        #: (order, verb) → how often it changed something.
        self.effects: Counter[tuple[str, str]] = Counter()
        self.weather: deque[str] = deque()
        self.is_cut = False
        self.logins = 0

    def sign_in(self, driver: int) -> str:
        with self.lock:
            self.logins += 1
            token = f"t{driver}x{self.logins}x{id(self)}"
            self.tokens[token] = driver
            return token

    def act(self, driver: int, order_id: str, verb: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            action_id = body["action_id"]
            is_first = all(one.action_id != action_id for one in self.judged)
            status, code, answer = self._judge(driver, order_id, verb, action_id)
            self.judged.append(Judged(order_id, verb, action_id, driver, code, is_first))
            return status, answer

    def _judge(self, driver: int, order_id: str, verb: str, action_id: str) -> tuple[int, str, dict[str, Any]]:
        order = self.orders.get(order_id)
        receipt = self.receipts.get((driver, action_id))
        if order is None:
            return _problem(404, "not_found")
        if receipt:
            if receipt[:2] != (order_id, verb):
                return _problem(422, "idempotency_mismatch")
            return 200, "replayed", self._shown(order_id, order, driver, receipt[2])
        before = (order.status, driver in order.declined)
        refusal = self._carry_out(driver, order, verb)
        if refusal:
            return _problem(*refusal)
        if (order.status, driver in order.declined) != before:
            order.version += 1
            self.effects[order_id, verb] += 1
        self.receipts[driver, action_id] = (order_id, verb, order.version)
        return 200, "ok", self._shown(order_id, order, driver, order.version)

    @staticmethod
    def _carry_out(driver: int, order: Order, verb: str) -> tuple[int, str] | None:
        is_mine = order.driver == driver
        if verb == "accept":
            if is_mine and order.status in {"assigned", "picked_up"}:
                return None
            if order.status != "pending":
                return (409, "order_taken")
            if driver in order.declined:
                return (403, "not_offered")
            order.status, order.driver = "assigned", driver
        elif verb == "decline":
            if is_mine and order.status in {"assigned", "picked_up"}:
                return (409, "order_not_pending")
            order.declined.add(driver)
        elif not is_mine:
            return (404, "not_found")
        elif verb == "release":
            if order.status != "assigned":
                return (409, "order_not_pending")
            order.status, order.driver = "pending", None
            order.declined.add(driver)
        else:
            before, after = {
                "pick-up": ("assigned", "picked_up"),
                "deliver": ("picked_up", "delivered"),
                "fail": ("picked_up", "failed"),
            }[verb]
            if order.status == after:
                return None
            if order.status != before:
                return (409, "order_not_pending")
            order.status = after
        return None

    @staticmethod
    def _shown(order_id: str, order: Order, driver: int, version: int) -> dict[str, Any]:
        if order.driver != driver:
            return {"id": order_id, "version": version}
        return {"id": order_id, "version": order.version, "status": order.status, "driver": driver, "contact": None}

    def sync(self, driver: int) -> dict[str, Any]:
        with self.lock:
            return {
                "server_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "offers": [
                    {"order": key, "version": order.version, "expires_at": "2100-01-01T00:00:00Z", "distance_m": 1}
                    for key, order in self.orders.items()
                    if order.status == "pending" and driver not in order.declined
                ],
                "active": [
                    self._shown(key, order, driver, order.version)
                    for key, order in self.orders.items()
                    if order.driver == driver and order.status in {"assigned", "picked_up"}
                ],
            }


def _problem(status: int, code: str) -> tuple[int, str, dict[str, Any]]:
    return status, code, {"status": status, "code": code, "title": code, "detail": code}


@dataclass(frozen=True)
class Mistake:
    """A fault in a module: this text instead of that one."""

    module: str
    text: str
    instead: str

    def put_in(self, source: str) -> str:
        assert self.text in source, f"{self.module} has changed: the mistake has no place any more"
        return source.replace(self.text, self.instead)


class ScriptedServer:
    """`world` is what it answers from; a test puts in a fresh one."""

    def __init__(self, mistake: Mistake | None = None) -> None:
        self.world = World()
        self.mistake = mistake
        scripted = self

        class Handler(_Handler):
            server_of = scripted

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)

    def module(self, path: str) -> str | None:
        """The text of a module under /static/."""
        if path == "node_modules/idb/build/index.js":
            return (ROOT / path).read_text()
        file = ROOT / "drivers" / "static" / path
        if not path.startswith("driver/core/") or not file.is_file():
            return None
        text = file.read_text()
        if self.mistake and path.endswith(f"/{self.mistake.module}"):
            return self.mistake.put_in(text)
        return text


class _Handler(BaseHTTPRequestHandler):
    server_of: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        return

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            return

    def do_GET(self) -> None:
        self._answer({})

    def do_PATCH(self) -> None:
        self._answer(self._body())

    def do_POST(self) -> None:
        self._answer(self._body())

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        return body

    def _answer(self, body: dict[str, Any]) -> None:
        path = urlsplit(self.path).path
        if path == "/tab/":
            self._send(200, "<!doctype html><meta charset=utf-8>", "text/html")
        elif path.startswith("/static/"):
            text = self.server_of.module(path.removeprefix("/static/"))
            self._send(200 if text else 404, text or "", "text/javascript")
        elif path == "/control/":
            self._control(body)
        else:
            self._api(path.removeprefix("/api/v1/"), body)

    def _control(self, body: dict[str, Any]) -> None:
        world = self.server_of.world
        match body:
            case {"cut": is_cut}:
                world.is_cut = is_cut
            case {"weather": kinds}:
                world.weather.extend(kinds)
            case {"take": order}:
                with world.lock:
                    if world.orders[order].status == "pending":
                        world.orders[order].status, world.orders[order].driver = "assigned", 99
                        world.orders[order].version += 1
            case {"revoke": driver}:
                with world.lock:
                    world.tokens = {token: who for token, who in world.tokens.items() if who != driver}
            case {"heal": True}:
                world.is_cut = False
                world.weather.clear()
        self._send(200, "{}")

    def _api(self, path: str, body: dict[str, Any]) -> None:
        world = self.server_of.world
        if world.is_cut:
            self._hang_up()
            return
        if path == "auth/login/":
            driver = int(body["username"].removeprefix("d"))
            profile = {"id": driver, "name": "", "phone": "", "vehicle": "car", "capacity": 9, "is_online": True}
            self._send(200, json.dumps({"token": world.sign_in(driver), "driver": profile}))
            return
        driver_of_token = world.tokens.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        parts = path.split("/")
        is_act = parts[0] == "orders" and len(parts) > 2 and parts[2] in VERBS
        weather = world.weather.popleft() if is_act and world.weather else "fine"
        if weather == "cut":
            self._hang_up()
        elif weather == "busy":
            self._refuse(503, "busy")
        elif weather == "later":
            self._refuse(429, "throttled", {"Retry-After": "0"})
        elif weather == "portal":
            self._send(200, "<html>Welcome to the hotel</html>", "text/html")
        elif weather == "proxy":
            self._send(404, "<html>No such site</html>", "text/html")
        elif driver_of_token is None:
            self._refuse(401, "not_authenticated")
        elif is_act:
            if weather == "late":
                time.sleep(TOO_LONG)
            status, answer = world.act(driver_of_token, parts[1], parts[2], body)
            self._after(weather, status, json.dumps(answer))
        elif path == "driver/sync/":
            self._send(200, json.dumps(world.sync(driver_of_token)))
        elif path == "driver/":
            profile = {"id": driver_of_token, "name": "", "phone": "", "vehicle": "car", "capacity": 9}
            self._send(200, json.dumps({**profile, "is_online": True}))
        elif path == "auth/logout/":
            self._send(204, "")
        else:
            self._refuse(404, "not_found")

    def _after(self, weather: str, status: int, text: str) -> None:
        if weather in {"lost", "late"}:
            self._hang_up()
        elif weather == "hang":
            time.sleep(TOO_LONG)
            self._hang_up()
        elif weather == "half":
            self._send(status, text, cut_at=len(text) // 2)
        else:
            if weather == "slow":
                time.sleep(0.1)
            self._send(status, text)

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(_problem(status, code)[2]), headers=headers)

    def _send(
        self,
        status: int,
        text: str,
        content_type: str = "",
        headers: dict[str, str] | None = None,
        cut_at: int | None = None,
    ) -> None:
        kind = content_type or ("application/problem+json" if status >= 400 else "application/json")
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:cut_at])
        if cut_at is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.close()
