"""What goes into the log, and what does not: customers."""

import logging
import re

#: After its first line, an error of PostgreSQL quotes: the row that it refused, the statement, the values. Up to the next
#: exception of the chain.
QUOTED = re.compile(
    r"\n(?:DETAIL|LINE \d+|CONTEXT|HINT|QUERY|WHERE):.*?"
    r"(?=\n\n(?:The above exception was the direct cause|During handling of the above exception)|\Z)",
    re.DOTALL,
)


class Formatter(logging.Formatter):
    """Lines without what the database quotes in its errors: the failing row of a contact is somebody's name and phone."""

    def format(self, record: logging.LogRecord) -> str:
        return QUOTED.sub("", super().format(record))
