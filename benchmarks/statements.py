"""What a piece of code says to PostgreSQL, as a script for pgbench: statements, transactions, and the values apart."""

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from django.db import connection

#: Where a value goes in a statement as Django gets it, and what stands for a plain %.
PLACE = re.compile(r"%(?:\((?P<name>\w+)\)s|s|%)")


class Recorder:
    """Writes down every statement of this thread's connection while it is entered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        #: Every value that was sent, as PostgreSQL writes it, by the variable that stands for it in the script.
        self.values: dict[str, str] = {}
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
        self.count += 1
        self.lines.append(f"{self._with_variables(sql, parameters).strip()};")
        return execute(sql, parameters, many, context)

    def _with_variables(self, sql: str, parameters: Any) -> str:
        if not parameters:
            return sql
        rest = iter(()) if isinstance(parameters, Mapping) else iter(parameters)

        def variable(place: re.Match[str]) -> str:
            if place[0] == "%%":
                return "%"
            value = parameters[place["name"]] if place["name"] else next(rest)
            if value is None:
                return "NULL"
            name = f"v{len(self.values)}"
            # On a cursor of its own: what is asked here is not part of what is recorded.
            self.values[name] = connection.connection.execute("SELECT %s::text", [value]).fetchone()[0]
            return f":{name}"

        return PLACE.sub(variable, sql)

    def script(self) -> str:
        return "\n".join([*self.lines, ""])
