"""The driver's screens with a core that tells whatever a test, or a picture, wants. Knows nothing of Django."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route, expect

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
FAKE = HERE / "fake_core.js"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
#: What a phone of 360 × 740 shows; the smallest that we care for.
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
APP = "/driver/"


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def offer(name: str = "o1", *, seconds: float = 90, **changes: Any) -> dict[str, Any]:
    return {
        "order": name,
        "distance_m": 850,
        "expires_at": later(seconds),
        "payout": "14.80",
        "currency": "USD",
        "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building Marketplace, Gate E"},
        "dropoff_area": {"lat": 37.78, "lng": -122.41},
        "version": 2,
        "act": None,
        **changes,
    }


def order(name: str = "a1", status: str = "assigned", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "reference": "A-1047",
        "status": status,
        "expired": False,
        "version": 3,
        "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building Marketplace, Gate E"},
        "dropoff": {"lat": 37.788, "lng": -122.4075, "address": "333 Post Street, apt 4B"},
        "vehicle": "motorbike",
        "priority": 0,
        "payout": "14.80",
        "currency": "USD",
        "driver": 1,
        "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice, second floor."},
        "created_at": later(-600),
        "release_at": later(-600),
        "auto_assign_at": later(-585),
        "expires_at": later(-480),
        "assigned_at": later(-580),
        "picked_up_at": later(-60) if status == "picked_up" else None,
        "delivered_at": later(-30) if status == "delivered" else None,
        "cancelled_at": None,
        "failed_at": later(-30) if status == "failed" else None,
        "act": None,
        **changes,
    }


def act(kind: str, about: str, state: str = "waiting") -> dict[str, Any]:
    tapped = (datetime.now(UTC) - timedelta(seconds=20)).timestamp() * 1000
    return {
        "action_id": f"{kind}-{about}",
        "kind": kind,
        "order": about,
        "tappedAt": tapped,
        "tries": 2,
        "state": state,
        "lastProblem": None,
        "stored": True,
    }


def notice(code: str, tone: str, about: str = "", **data: Any) -> dict[str, Any]:
    at = datetime.now(UTC).timestamp() * 1000
    return {"id": f"{code}-{about}", "at": at, "tone": tone, "code": code, "order": about, "data": data}


def message(number: int, text: str, *, read: bool = False) -> dict[str, Any]:
    return {
        "id": number,
        "at": later(-300 * number),
        "text": text,
        "from": "Dora",
        "read_at": later(0) if read else None,
    }


FACTS: dict[str, Any] = {
    "clockOffsetMs": 420,
    "roundTripMs": 84,
    "link": "live",
    "storage": {"state": "ok", "persisted": True, "usedBytes": 1, "quotaBytes": 2},
    "wakeLock": "held",
    "geolocation": "granted",
    "accuracyM": 12,
    "notifications": "default",
    "push": False,
    "serviceWorker": {"state": "active", "build": "x"},
    "build": "x",
    "standalone": True,
    "saveData": False,
    "batteryLevel": 0.64,
    "charging": False,
    "waiting": 0,
    "userAgent": "x",
}
ANSWERS: dict[str, Any] = {
    "history": {
        "results": [
            order("h1", "delivered"),
            order("h2", "failed", payout="17.25"),
            order("h3", "delivered", dropoff={"lat": 37.79, "lng": -122.42, "address": "1 Market Street, lobby"}),
        ],
        "next": "c2",
        "previous": None,
    },
    "figures": {
        "date": "2026-11-24",
        "delivered": 11,
        "failed": 1,
        "released": 0,
        "payouts": [{"currency": "USD", "amount": "143.60"}],
        "on_duty_seconds": 18540,
    },
    "measure": FACTS,
}


class Stage:
    """A tab whose core is a test's own."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.page = context.new_page()
        self.base = base
        self.page.route(re.compile(r"/driver/core/app(\.[0-9a-f]{12})?\.js$"), self._serve)

    @staticmethod
    def _serve(route: Route) -> None:
        route.fulfill(body=FAKE.read_text(), content_type="text/javascript")

    def show(
        self, address: str = "", *, theme: str = "light", language: str = "en", text: str = "", **state: Any
    ) -> Page:
        """The app at that screen, in that state. `text`: the size of letters, as a phone's setting would have it."""
        prefs = json.dumps({"theme": theme, "language": language})
        start = json.dumps({"answers": ANSWERS, **state})
        self.page.goto(f"{self.base}/healthz")
        self.page.evaluate(
            "([prefs, start]) => { localStorage['baton-driver-prefs'] = prefs; sessionStorage['fake-start'] = start }",
            [prefs, start],
        )
        self.page.goto(f"{self.base}{APP}{address}")
        if text:
            self.page.evaluate("(size) => { document.documentElement.style.fontSize = size }", text)
        expect(self.page.locator("main h1").first).to_be_attached()
        return self.page

    def tell(self, **changes: Any) -> None:
        """The core has something new; returns when it has been drawn."""
        self.page.evaluate(
            "async (changes) => { window.fake.set(changes); await new Promise((done) => setTimeout(done)) }", changes
        )

    def calls(self, name: str) -> list[list[Any]]:
        """With what an action of the core was called."""
        told: list[list[Any]] = self.page.evaluate("JSON.parse(JSON.stringify(window.fake.calls))")
        return [given for called, *given in told if called == name]
