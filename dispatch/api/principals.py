"""Who asks at the intake's and the console's doors, and what they may do there."""

from dataclasses import dataclass
from enum import Enum, auto
from math import ceil
from typing import Any, ClassVar, Final

from django.contrib.auth.models import User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from drivers.authentication import DriverAuthentication
from drivers.limits import Limit
from orders import actors
from orders.authentication import ApiKeyAuthentication, StaffSessionAuthentication
from orders.models import ApiKey, Order, Scope


class Grant(Enum):
    """What somebody may do, in the words of these doors; scopes and model permissions are translated into them."""

    READ = auto()
    PLACE = auto()
    #: Correct and cancel orders.
    AMEND = auto()
    #: Offer, assign, release and extend; look for drivers near an order.
    DISPATCH = auto()
    #: See all drivers, where they are and what they carry.
    WATCH = auto()
    #: Read everybody's orders, their stories and the saved places; act from the console, as the other grants allow.
    CONSOLE = auto()
    #: Put drivers on and off duty.
    DUTY = auto()
    #: Write to drivers, and read what was written.
    MESSAGE = auto()


OF_SCOPE: Final[dict[str, frozenset[Grant]]] = {
    Scope.ORDERS_READ: frozenset({Grant.READ}),
    Scope.ORDERS_WRITE: frozenset({Grant.PLACE, Grant.AMEND}),
    Scope.DISPATCH: frozenset(
        {Grant.READ, Grant.AMEND, Grant.DISPATCH, Grant.WATCH, Grant.CONSOLE, Grant.DUTY, Grant.MESSAGE}
    ),
}
OF_PERMISSION: Final[dict[str, frozenset[Grant]]] = {
    "orders.view_order": frozenset({Grant.READ, Grant.CONSOLE}),
    "orders.add_order": frozenset({Grant.PLACE}),
    "orders.dispatch_order": frozenset({Grant.AMEND, Grant.DISPATCH}),
    "drivers.view_driver": frozenset({Grant.WATCH}),
    "drivers.duty_driver": frozenset({Grant.DUTY}),
    "dispatch.add_message": frozenset({Grant.MESSAGE}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """An integrator's key or a member of staff."""

    #: Who the history will say it was.
    actor: actors.Actor
    grants: frozenset[Grant]
    #: Whose orders are placed with this key; None: nobody's but the house's own.
    integrator_id: int | None
    #: Whose orders can be seen and touched; None: everybody's.
    only_of: int | None
    #: May look at the customers of orders that are not their own; each look is on record.
    sees_contacts: bool

    def owns(self, order: Order) -> bool:
        """Whether they sent it, and know what is in it."""
        return self.integrator_id is not None and order.integrator_id == self.integrator_id


def principal_of(request: Request) -> Principal | None:
    """None for drivers and for nobody."""
    if isinstance(request.auth, ApiKey):
        key = request.auth
        return Principal(
            actor=actors.integrator(key.integrator_id, key.integrator.name),
            grants=frozenset().union(*(OF_SCOPE[scope] for scope in key.scopes)),
            integrator_id=key.integrator_id,
            only_of=None if Scope.DISPATCH in key.scopes else key.integrator_id,
            sees_contacts=Scope.DISPATCH in key.scopes,
        )
    if request.auth is None and isinstance(request.user, User) and request.user.is_staff:
        held = request.user.get_all_permissions()
        return Principal(
            actor=actors.dispatcher(request.user.pk, request.user.get_full_name() or request.user.get_username()),
            grants=frozenset().union(*(OF_PERMISSION[permission] for permission in OF_PERMISSION.keys() & held)),
            integrator_id=None,
            only_of=None,
            sees_contacts="orders.view_ordercontact" in held,
        )
    return None


class HasGrant(BasePermission):
    """Lets a principal through who has what the door says that the method needs."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        needs: dict[str, Grant] = getattr(view, "needs", {})
        principal = principal_of(request)
        if principal is None:
            return False
        needed = needs.get("GET" if request.method == "HEAD" else str(request.method))
        # Without a need there is no such call, and the answer is 405.
        return needed is None or needed in principal.grants


#: Per API key or member of staff: far above what one sends in a rush, below what one process can answer.
REQUESTS_PER_CALLER = Limit("caller", per_second=100, burst=1000)


class CallerRate(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            # Counted by address (config/rates.py).
            return True
        caller = f"key-{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user-{request.user.pk}"
        self._wait = REQUESTS_PER_CALLER.spend(caller)
        return not self._wait

    def wait(self) -> float:
        return ceil(self._wait)


class Door(APIView):
    """A call of integrators and dispatchers. `needs` says per method which grant it takes. Answers hold contacts and
    positions, so nothing on the way may keep them."""

    authentication_classes = [DriverAuthentication, ApiKeyAuthentication, StaffSessionAuthentication]
    permission_classes = [HasGrant]
    throttle_classes = [CallerRate]
    http_method_names = ["get", "post", "patch", "head"]
    needs: ClassVar[dict[str, Grant]] = {}

    def check_permissions(self, request: Request) -> None:
        """Counts before it judges: whoever may not do this may not ask for ever either."""
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Done: rest_framework itself counts only what was permitted."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        finalized: Response = super().finalize_response(request, response, *args, **kwargs)
        finalized.headers.setdefault("Cache-Control", "no-store")
        return finalized

    @property
    def principal(self) -> Principal:
        """Who asks. Raises NotAuthenticated where HasGrant did not see to it that there is one."""
        principal = principal_of(self.request)
        if principal is None:
            raise NotAuthenticated
        return principal
