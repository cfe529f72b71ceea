from drivers.errors import DomainError


class NotOffered(DomainError):
    """This order is not on offer to you."""

    code = "not_offered"


class DriverAtCapacity(DomainError):
    """The driver already holds as many orders as they can carry."""

    code = "driver_at_capacity"
