from drivers.errors import DomainError, DriverAtCapacity

__all__ = ["DriverAtCapacity", "NotOffered"]


class NotOffered(DomainError):
    """This order is not on offer to you."""

    code = "not_offered"


class UndoTooLate(DomainError):
    """The time to undo this is over, or it was undone already."""

    code = "undo_too_late"


class NotSignedIn(DomainError):
    """You are not signed in, or may not be here."""

    code = "not_authenticated"


class NotFromHere(DomainError):
    """A page of another site may not do this."""

    code = "permission_denied"


class TooLarge(DomainError):
    """The message is larger than this server takes."""

    code = "too_large"
