"""What can go wrong, in the words of the business. `config.problems` alone turns these into HTTP."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal with a stable `code`. The class's docstring is the sentence that people read; `data` explains this case
    and is part of the answer, so it never holds anything that the asker may not see."""

    code: ClassVar[str]

    def __init__(self, **data: Any) -> None:
        super().__init__(self.sentence())
        self.data = data

    @classmethod
    def sentence(cls) -> str:
        return " ".join((cls.__doc__ or cls.code).split())


class NotFound(DomainError):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"


class Invalid(DomainError):
    """Something in the request is not valid."""

    code = "invalid"

    def __init__(self, **errors: str) -> None:
        super().__init__(errors={field: [text] for field, text in errors.items()})


class Busy(DomainError):
    """Somebody else is working on this right now. Try again in a moment."""

    code = "busy"


class Unavailable(DomainError):
    """A part of the system is away for a moment. Nothing was changed; try again."""

    code = "unavailable"


class DriverSuspended(DomainError):
    """This driver is suspended."""

    code = "driver_suspended"


class DriverOffline(DomainError):
    """The driver is off duty."""

    code = "driver_offline"


class DriverAtCapacity(DomainError):
    """The driver already holds as many orders as they can carry."""

    code = "driver_at_capacity"


class SignInRefused(DomainError):
    """User name or password is wrong."""

    code = "sign_in_refused"


class Throttled(DomainError):
    """Too many attempts. Wait before trying again."""

    code = "throttled"
