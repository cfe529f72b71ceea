"""Whether those who are connected may still be. A revoked token closes its sockets by a push (`live.driver_signed_out`);
this finds what that push missed, and tokens and sessions that ran out, for all sockets of a process together."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from dispatch.consumers.database import ask
from dispatch.consumers.frames import Close
from dispatch.errors import NotSignedIn
from dispatch.selectors_access import dispatcher_by_session, standing_of_devices

log = logging.getLogger(__name__)

CHECK_SECONDS = 120.0
#: Tokens per query.
BATCH = 1000


class Device(Protocol):
    digest: str

    def shut(self, code: Close) -> None: ...


class Session(Protocol):
    session_key: str

    def shut(self, code: Close) -> None: ...


class Standing:
    def __init__(self, drivers: Mapping[int, Sequence[Device]], watchers: Collection[Session]) -> None:
        self._drivers = drivers
        self._watchers = watchers
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Check from now on. Does nothing if that is so already."""
        if self._task is None:
            self._task = asyncio.create_task(self._check_for_ever())

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except Exception as error:
                # Whoever is connected stays so while the database is away.
                log.warning("Tokens and sessions could not be checked: %s", error)

    async def check(self) -> None:
        """Close every socket whose token or session is no longer good."""
        devices = [device for sockets in self._drivers.values() for device in sockets]
        for start in range(0, len(devices), BATCH):
            batch = devices[start : start + BATCH]
            standing = await ask(standing_of_devices, {device.digest for device in batch})
            for device in batch:
                suspended = standing.get(device.digest)
                if suspended is not False:
                    device.shut(Close.SUSPENDED if suspended else Close.SIGNED_OUT)
        await self.check_sessions(list(self._watchers))

    async def check_sessions(self, sessions: Collection[Session]) -> None:
        """Close those of these boards' sockets whose session is no longer good."""
        for session in sessions:
            try:
                await ask(dispatcher_by_session, session_key=session.session_key)
            except NotSignedIn:
                session.shut(Close.SIGNED_OUT)
