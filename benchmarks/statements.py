"""What a piece of code says to PostgreSQL, as a script: with its transactions, and values as they were sent."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from django.db import connection


class Recorder:
    """Writes down every statement of this thread's connection while it is entered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = self.transactions = 0
        self.in_transaction = False
        self._restore: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        login: Any = connection
        commit, wrapper = login._commit, connection.execute_wrapper(self._execute)

        def commit_and_tell() -> None:
            commit()
            if self.in_transaction:
                self.lines.append("COMMIT;")
            self.in_transaction = False

        login._commit = commit_and_tell
        wrapper.__enter__()

        def restore() -> None:
            wrapper.__exit__(None, None, None)
            login._commit = commit

        self._restore = restore
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._restore is not None:
            self._restore()

    def _execute(self, execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
        if connection.in_atomic_block and not self.in_transaction:
            self.lines.append("BEGIN;")
            self.in_transaction = True
            self.transactions += 1
        result = execute(sql, parameters, many, context)
        said = connection.ops.last_executed_query(context["cursor"], sql, parameters)
        self.lines.append(f"{said.strip()};")
        self.count += 1
        return result

    def script(self) -> str:
        return "\n".join([*self.lines, ""])
