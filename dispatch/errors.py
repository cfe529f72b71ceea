from drivers.errors import DomainError, DriverAtCapacity

__all__ = ["DriverAtCapacity", "NotOffered"]


class NotOffered(DomainError):
    """This order is not on offer to you."""

    code = "not_offered"
