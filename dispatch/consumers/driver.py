"""The driver's socket: `/ws/driver/`."""

from collections.abc import Sequence
from typing import assert_never

from dispatch import selectors
from dispatch.consumers import frames
from dispatch.consumers.base import Push, Socket
from dispatch.consumers.database import ask
from dispatch.consumers.doorstep import admitted, nobody
from dispatch.consumers.frames import Heartbeat, Seen, SyncAsked
from dispatch.consumers.heartbeats import Gathered
from dispatch.consumers.hub import hub
from dispatch.selectors_access import driver_by_ticket, driver_by_token
from dispatch.services import Position


class DriverSocket(Socket):
    """`Authorization: Bearer <token>`, or `?ticket=` from a browser. Several devices of a driver may be connected."""

    driver_id = 0
    digest = ""
    #: Among all sockets of this driver (places.py).
    place = ""

    async def identify(self) -> None:
        scheme, _, token = (self.header(b"authorization") or "").partition(" ")
        if token and scheme.lower() == "bearer":
            self.driver_id, self.digest = await ask(admitted, self.address, driver_by_token, token=token.strip())
        elif ticket := self.scope.get("ticket", ""):
            self.driver_id, self.digest = await ask(admitted, self.address, driver_by_ticket, ticket=ticket)
        else:
            await ask(admitted, self.address, nobody)

    gathered: Gathered

    async def join(self) -> None:
        self.gathered = hub().gathered
        await hub().join(self)

    def leave(self) -> None:
        hub().leave(self)

    async def snapshot(self) -> Push:
        return await ask(_snapshot, self.driver_id)

    async def take(self, text: str) -> None:
        frame = frames.driver_frame(text)
        match frame:
            case Heartbeat():
                position = Position(
                    driver_id=self.driver_id,
                    lat=frame.lat,
                    lng=frame.lng,
                    accuracy_m=frame.accuracy_m,
                    heading=frame.heading,
                    speed_mps=frame.speed_mps,
                    recorded_at=frame.recorded_at,
                )
                self.gathered.heartbeat(self, position, frame.id)
            case Seen():
                self.gathered.seen(self.driver_id, frame.order)
            case SyncAsked():
                self.start_snapshot()
            case _:
                assert_never(frame)

    def were_written(self, offers: Sequence[str]) -> None:
        self.gathered.delivered(self.driver_id, offers)


def _snapshot(driver_id: int) -> Push:
    sync = selectors.sync_driver(driver_id=driver_id)
    undelivered = [str(offer.order_id) for offer in sync.offers if offer.delivered_at is None]
    return frames.snapshot(sync), undelivered
