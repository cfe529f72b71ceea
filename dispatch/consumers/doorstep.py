"""How often an address may knock in vain."""

from collections.abc import Callable
from math import ceil
from typing import NoReturn, ParamSpec, TypeVar

from dispatch.errors import NotSignedIn
from drivers.errors import DriverSuspended, Throttled
from drivers.limits import Limit

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

#: Handshakes from one address that were refused for who it is. A depot whose tokens all ran out stays below it.
REFUSED_HANDSHAKES = Limit("refused-handshakes", per_second=10, burst=300)


def admitted(address: str, look: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """What `look` says of who it is. Spent before it looks, so that handshakes at the same moment all count, and given
    back unless it refused. Raises Throttled, and what `look` raises."""
    if wait := REFUSED_HANDSHAKES.spend(address):
        raise Throttled(retry_after=ceil(wait))
    try:
        found = look(*args, **kwargs)
    except (NotSignedIn, DriverSuspended):
        raise
    except Exception:
        # Nobody was refused; the database was away.
        REFUSED_HANDSHAKES.give_back(address)
        raise
    REFUSED_HANDSHAKES.give_back(address)
    return found


def nobody() -> NoReturn:
    """Whoever brings neither token nor session."""
    raise NotSignedIn
