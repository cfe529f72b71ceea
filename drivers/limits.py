"""How often somebody may ask. Kept per process and in memory: it protects this process's own capacity, costs no round trip
and works while Redis is away. What must hold across processes and restarts (wrong passwords) django-axes counts in the
database."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: Askers remembered at once; the ones longest unheard of are forgotten, which only favours them.
MAX_REMEMBERED = 20_000


class Limit:
    """`per_second` requests on average, `burst` at once, for each asker (the generic cell rate algorithm)."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval = 1 / per_second
        self.tolerance = (burst - 1) * self.interval
        self._clock = clock
        #: When the asker's past requests will be paid for.
        self._paid_at: OrderedDict[object, float] = OrderedDict()
        self._lock = threading.Lock()

    def spend(self, asker: object) -> float:
        """Seconds to wait; 0: go on, and this one is counted."""
        with self._lock:
            now = self._clock()
            paid_at = max(self._paid_at.get(asker, now), now)
            if (wait := paid_at - now - self.tolerance) > 0:
                return wait
            self._paid_at[asker] = paid_at + self.interval
            self._paid_at.move_to_end(asker)
            if len(self._paid_at) > MAX_REMEMBERED:
                self._paid_at.popitem(last=False)
            return 0.0

    def wait(self, asker: object) -> float:
        """Seconds to wait, without counting anything."""
        with self._lock:
            now = self._clock()
            return max(0.0, self._paid_at.get(asker, now) - now - self.tolerance)
