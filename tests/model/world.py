"""The world as it ought to be: orders, drivers, offers and time in plain Python, written from the design and not from the
code. Every act answers with the code of its refusal, or None when it is carried out.

Time is in seconds since the example began. Deadlines never come closer than a minute and a half to a moment at which
something happens, so that the real seconds which an example takes do not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

#: The settings under which the model and the services are compared.
EXPIRE_AFTER = 3600
AUTO_ASSIGN_AFTER = 600
LIVE = 600
STEP = 700

HELD = {"assigned", "picked_up"}
FINAL = {"delivered", "failed", "cancelled"}


@dataclass
class Courier:
    capacity: int
    near: bool = True
    on_duty: bool = True
    heard_at: int = 0
    #: Taken off duty by the sweep, not by choice.
    silent: bool = False
    suspended: bool = False


@dataclass
class Parcel:
    expires_at: int
    auto_assign_at: int
    version: int = 1
    status: str = "pending"
    holder: str | None = None
    expired: bool = False
    #: Somebody was offered it in this round.
    offered: bool = False
    #: A dispatcher decided: for its holder, or while pending, that auto-assign shall leave it alone.
    pinned: bool = False
    #: Driver → open, accepted, declined, barred (a dispatcher took it from them), lapsed.
    offers: dict[str, str] = field(default_factory=dict)


class World:
    def __init__(self) -> None:
        self.now = 0
        self.couriers: dict[str, Courier] = {}
        self.parcels: dict[int, Parcel] = {}

    # --- What is the case --------------------------------------------------------------------------------------------

    def load(self, name: str) -> int:
        return sum(1 for parcel in self.parcels.values() if parcel.holder == name and parcel.status in HELD)

    def has_room(self, name: str) -> bool:
        return self.load(name) < self.couriers[name].capacity

    def is_live(self, name: str) -> bool:
        courier = self.couriers[name]
        return courier.on_duty and self.now - courier.heard_at < LIVE

    def eligible(self, parcel: Parcel) -> list[str]:
        """Who may be offered it: live, near, with room, not having declined it and not relieved of it."""
        return [
            name
            for name, courier in self.couriers.items()
            if self.is_live(name)
            and courier.near
            and self.has_room(name)
            and parcel.offers.get(name) not in {"declined", "barred"}
        ]

    def is_on_offer(self, parcel: Parcel) -> bool:
        return parcel.status == "pending" and not parcel.expired and self.now < parcel.expires_at

    # --- What happens by itself --------------------------------------------------------------------------------------

    def offer(self, parcel: Parcel) -> None:
        if not self.is_on_offer(parcel):
            return
        eligible = self.eligible(parcel)
        new = [name for name in eligible if parcel.offers.get(name) != "open"]
        if eligible and not parcel.offered:
            parcel.offered = True
            parcel.version += 1
        for name in new:
            parcel.offers[name] = "open"

    def close_offers(self, parcel: Parcel) -> None:
        for name, status in parcel.offers.items():
            if status == "open":
                parcel.offers[name] = "lapsed"

    def withdraw_from(self, name: str) -> None:
        for parcel in self.parcels.values():
            if parcel.offers.get(name) == "open":
                parcel.offers[name] = "lapsed"

    def hand_over(self, parcel: Parcel, name: str, pinned: bool = False) -> None:
        parcel.version += 1
        parcel.pinned = pinned
        parcel.status, parcel.holder = "assigned", name
        self.close_offers(parcel)
        if not self.has_room(name):
            self.withdraw_from(name)

    def due(self) -> Iterator[tuple[int, Parcel]]:
        """What auto-assign has to deal with."""
        for key, parcel in self.parcels.items():
            if self.is_on_offer(parcel) and parcel.auto_assign_at <= self.now and not parcel.pinned:
                yield key, parcel

    # --- Sweeps ------------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        for parcel in self.parcels.values():
            if parcel.status == "pending" and not parcel.expired and parcel.expires_at <= self.now:
                parcel.expired = True
                parcel.version += 1
                self.close_offers(parcel)

    def offer_all(self) -> None:
        for parcel in self.parcels.values():
            before = dict(parcel.offers)
            if [name for name in self.eligible(parcel) if before.get(name) != "open"]:
                self.offer(parcel)

    def mark_silent(self) -> None:
        for name, courier in self.couriers.items():
            if courier.on_duty and not self.is_live(name):
                courier.on_duty, courier.silent = False, True
                self.withdraw_from(name)

    # --- Drivers -----------------------------------------------------------------------------------------------------

    def heartbeat(self, name: str, near: bool) -> None:
        courier = self.couriers[name]
        courier.heard_at, courier.near = self.now, near
        courier.on_duty = courier.on_duty or courier.silent
        courier.silent = False

    def go_online(self, name: str) -> str | None:
        courier = self.couriers[name]
        if courier.suspended:
            return "driver_suspended"
        courier.on_duty, courier.silent, courier.heard_at = True, False, self.now
        return None

    def go_offline(self, name: str) -> None:
        courier = self.couriers[name]
        if courier.on_duty or courier.silent:
            self.withdraw_from(name)
        courier.on_duty = courier.silent = False

    def suspend(self, name: str) -> None:
        self.couriers[name].suspended = True
        self.couriers[name].on_duty = self.couriers[name].silent = False
        self.withdraw_from(name)

    def accept(self, parcel: Parcel, name: str) -> str | None:
        courier = self.couriers[name]
        if parcel.holder == name and parcel.status != "cancelled":
            return None
        if name not in parcel.offers:
            return "not_offered"
        if parcel.status == "cancelled":
            return "order_cancelled"
        if parcel.status != "pending":
            return "order_taken"
        if parcel.expired or parcel.expires_at <= self.now:
            return "order_expired"
        if courier.suspended:
            return "driver_suspended"
        if not self.has_room(name):
            return "driver_at_capacity"
        if not courier.on_duty:
            return "driver_offline"
        if parcel.offers[name] != "open":
            return "not_offered"
        parcel.offers[name] = "accepted"
        self.hand_over(parcel, name)
        return None

    def decline(self, parcel: Parcel, name: str) -> str | None:
        if name not in parcel.offers:
            return "not_found"
        if parcel.holder == name and parcel.status in HELD:
            return "order_not_pending"
        if parcel.offers[name] in {"open", "lapsed"}:
            parcel.offers[name] = "declined"
        return None

    def carry(self, parcel: Parcel, name: str, before: str, after: str) -> str | None:
        """Pick up, deliver, fail: only the holder, only from the state before; done already is done."""
        if parcel.holder != name:
            return "not_found"
        if parcel.status == "cancelled":
            return "order_cancelled"
        if parcel.status == after:
            return None
        if parcel.status != before:
            return "order_not_pending"
        parcel.status = after
        parcel.version += 1
        return None

    def release(self, parcel: Parcel, name: str) -> str | None:
        if parcel.holder != name:
            return "not_found"
        if parcel.status == "cancelled":
            return "order_cancelled"
        if parcel.status != "assigned":
            return "order_not_pending"
        self.give_back(parcel, "declined")
        self.offer(parcel)
        return None

    def give_back(self, parcel: Parcel, offer_becomes: str) -> None:
        assert parcel.holder is not None
        parcel.offers[parcel.holder] = offer_becomes
        parcel.version += 1
        parcel.pinned = False
        parcel.status, parcel.holder, parcel.offered = "pending", None, False
        parcel.expires_at, parcel.auto_assign_at = self.now + EXPIRE_AFTER, self.now + AUTO_ASSIGN_AFTER

    # --- Dispatchers -------------------------------------------------------------------------------------------------

    def reopen(self, parcel: Parcel) -> None:
        parcel.version += 1
        parcel.expired = parcel.offered = False
        parcel.expires_at, parcel.auto_assign_at = self.now + EXPIRE_AFTER, self.now + AUTO_ASSIGN_AFTER

    def assign(self, parcel: Parcel, name: str) -> str | None:
        if parcel.status != "pending":
            return "order_not_pending"
        if refusal := self.cannot_have(name):
            return refusal
        if parcel.expired or parcel.expires_at <= self.now:
            self.reopen(parcel)
        self.choose(parcel, name)
        return None

    def cannot_have(self, name: str) -> str | None:
        if self.couriers[name].suspended:
            return "driver_suspended"
        if not self.has_room(name):
            return "driver_at_capacity"
        return None if self.couriers[name].on_duty else "driver_offline"

    def choose(self, parcel: Parcel, name: str) -> None:
        if parcel.offers.get(name) == "barred":
            parcel.offers[name] = "lapsed"
        self.hand_over(parcel, name, pinned=True)

    def reassign(self, parcel: Parcel, name: str) -> str | None:
        if parcel.status != "assigned":
            return "order_not_pending"
        if parcel.holder == name:
            return "invalid"
        if refusal := self.cannot_have(name):
            return refusal
        self.give_back(parcel, "barred")
        self.choose(parcel, name)
        return None

    def pin(self, parcel: Parcel, pinned: bool) -> str | None:
        if parcel.status != "pending":
            return "order_not_pending"
        if parcel.pinned != pinned:
            parcel.pinned = pinned
            parcel.version += 1
        return None

    def unassign(self, parcel: Parcel) -> str | None:
        if parcel.status != "assigned":
            return "order_not_pending"
        self.give_back(parcel, "barred")
        self.offer(parcel)
        return None

    def reoffer(self, parcel: Parcel) -> str | None:
        if parcel.status != "pending":
            return "order_not_pending"
        self.reopen(parcel)
        self.offer(parcel)
        return None

    def cancel(self, parcel: Parcel) -> str | None:
        if parcel.status == "cancelled":
            return None
        if parcel.status in FINAL:
            return "order_not_pending"
        parcel.status, parcel.expired = "cancelled", False
        parcel.version += 1
        self.close_offers(parcel)
        return None
