from drivers.errors import DomainError


class NotOffered(DomainError):
    """This order is not on offer to you."""

    code = "not_offered"


class DriverAtCapacity(DomainError):
    """The driver already holds as many orders as they can carry."""

    code = "driver_at_capacity"


class NotSignedIn(DomainError):
    """You are not signed in, or may not be here."""

    code = "not_authenticated"


class NotFromHere(DomainError):
    """A page of another site may not do this."""

    code = "permission_denied"


class TooLarge(DomainError):
    """The message is larger than this server takes."""

    code = "too_large"
