from drivers.errors import DomainError


class OrderTaken(DomainError):
    """Another driver has taken this order."""

    code = "order_taken"


class OrderExpired(DomainError):
    """This order has expired."""

    code = "order_expired"


class OrderCancelled(DomainError):
    """This order was cancelled."""

    code = "order_cancelled"


class OrderNotPending(DomainError):
    """This order is no longer in a state in which that can be done."""

    code = "order_not_pending"


class VersionConflict(DomainError):
    """The order has changed since you looked at it. Nothing was done."""

    code = "version_conflict"


class IdempotencyMismatch(DomainError):
    """This key was used before for something else."""

    code = "idempotency_mismatch"
