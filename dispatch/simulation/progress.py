"""How far it is: a bar on a terminal, a line now and then in a log."""

import sys
import time
from typing import IO, Any, Protocol

from tqdm import tqdm

#: Seconds between two lines where there is no terminal.
LINE_SECONDS = 10.0


class Progress(Protocol):
    def phase(self, name: str, total: int) -> None:
        """A new task of `total` steps begins."""

    def at(self, done: int, note: str = "") -> None:
        """So many steps are done."""

    def close(self) -> None: ...


class Silent:
    def phase(self, name: str, total: int) -> None:
        pass

    def at(self, done: int, note: str = "") -> None:
        pass

    def close(self) -> None:
        pass


class Bar:
    def __init__(self, to: IO[str]) -> None:
        self._to = to
        self._bar: tqdm[Any] | None = None
        self._total = 0

    def phase(self, name: str, total: int) -> None:
        self.close()
        form = "{desc:<22}{percentage:3.0f}% {bar:24} {n_fmt}/{total_fmt} {elapsed}{postfix}"
        self._total = total
        self._bar = tqdm(total=total, desc=name, file=self._to, bar_format=form, dynamic_ncols=True)

    def at(self, done: int, note: str = "") -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(min(done, self._total) - self._bar.n)
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines:
    def __init__(self, to: IO[str]) -> None:
        self._to = to
        self._name, self._total = "", 0
        self._said, self._last = 0.0, ""

    def phase(self, name: str, total: int) -> None:
        self.close()
        self._name, self._total, self._said = name, total, 0.0

    def at(self, done: int, note: str = "") -> None:
        self._last = f"{self._name}: {min(done, self._total)} of {self._total}" + (f", {note}" if note else "")
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._say()

    def close(self) -> None:
        if self._last:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        if self._last:
            self._to.write(self._last + "\n")
            self._to.flush()
        self._last = ""


def progress_on(to: IO[str] | None = None) -> Progress:
    to = to or sys.stderr
    return Bar(to) if to.isatty() else Lines(to)
