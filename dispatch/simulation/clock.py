"""The simulation's time: it stands at 0 until everybody is ready, then runs `speed` times as fast as ours."""

import asyncio
import time

#: No timer is set for longer, seconds.
LONGEST_SLEEP = 3600.0


class Clock:
    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._began: float | None = None
        self._begun = asyncio.Event()

    def begin(self) -> None:
        self._began = time.monotonic()
        self._begun.set()

    def now(self) -> float:
        """Simulated seconds since the beginning."""
        return 0.0 if self._began is None else (time.monotonic() - self._began) * self.speed

    def real(self, simulated: float) -> float:
        """So many simulated seconds in real ones."""
        return simulated / self.speed

    async def until(self, moment: float) -> None:
        """Wait for that simulated second; never comes back for infinity."""
        if moment <= 0:
            return
        await self._begun.wait()
        while (wait := self.real(moment - self.now())) > 0:
            await asyncio.sleep(min(wait, LONGEST_SLEEP))
