"""Every call of the API in words: what it takes, what it answers, which refusals are its own. Here those of integrators and
dispatchers; a driver's are in schema_driver.py, the console's in schema_board.py. config/openapi.py makes the OpenAPI
document of them; a call that is in none of them fails there."""

from dataclasses import dataclass
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.views import APIView

from dispatch.api import dispatcher, events, orders
from dispatch.api.documents import Schema, ref
from dispatch.api.principals import OF_PERMISSION, OF_SCOPE, Door
from drivers.http import MAX_PAGE_SIZE, PAGE_SIZE, StrictSerializer
from orders.lifecycle import Status

DRIVER_TOKEN: Final = "driverToken"  # noqa: S105 (a name, not a secret)
API_KEY: Final = "apiKey"
STAFF_SESSION: Final = "staffSession"
DISPATCHERS: Final = (API_KEY, STAFF_SESSION)

SECURITY_SCHEMES: Final[dict[str, Schema]] = {
    DRIVER_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "A driver's device, from `POST /api/v1/auth/login/`. Ends with signing out.",
    },
    API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An integrator's key, `bk_…`, with scopes: `orders:read`, `orders:write`, and `dispatch` for the "
        "console's verbs, which sees every integrator's orders.",
    },
    STAFF_SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "Somebody signed in to the admin, with the model permissions that the call asks for. Whatever "
        "writes also needs the header `X-CSRFToken`.",
    },
}

TAGS: Final = [
    {"name": "sign-in", "description": "The driver's way in and out."},
    {"name": "driver", "description": "What a driver's app reads and says."},
    {"name": "driver's orders", "description": "What a driver does with an order; safe to send again."},
    {"name": "orders", "description": "The intake, for integrators and dispatchers."},
    {"name": "events", "description": "What happened."},
    {"name": "dispatch", "description": "The console's verbs, also for scripts."},
    {"name": "console", "description": "What the console itself does and reads."},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one door."""

    id: str
    tag: str
    summary: str
    who: tuple[str, ...]
    #: Name of the component that is the answer; several: one of them; none: there is no content.
    answer: tuple[str, ...] = ()
    status: int = 200
    body: type[StrictSerializer] | None = None
    #: Media types of a body that is not JSON.
    media: tuple[str, ...] = ()
    parameters: tuple[OpenApiParameter, ...] = ()
    #: Codes that this call can be refused with, besides those that go without saying.
    codes: tuple[str, ...] = ()
    #: Empty: the door's own docstring.
    about: str = ""
    #: A body as somebody might send it.
    example: Schema | None = None

    @property
    def content(self) -> Schema | None:
        refs = [ref(name) for name in self.answer]
        return {"oneOf": refs} if len(refs) > 1 else refs[0] if refs else None


def query(name: str, schema: Any, description: str, *, required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(
        name=name, type=schema, location=OpenApiParameter.QUERY, description=description, required=required
    )


def answered(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """A header of the answer."""
    return OpenApiParameter(
        name=name, type=str, location=OpenApiParameter.HEADER, response=list(statuses or [200]), description=description
    )


CURSOR: Final = query("cursor", {"type": "string"}, "From `next` or `previous` of another page.")
LIMIT: Final = query(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
    f"How many a page, at most {MAX_PAGE_SIZE}.",
)
PAGED: Final = (CURSOR, LIMIT)
FEED_LIMIT: Final = query(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": MAX_PAGE_SIZE},
    "How many at most.",
)
ETAG: Final = answered("ETag", "Names the answer's state; give it as `If-None-Match` the next time.", 200, 201, 304)
IF_NONE_MATCH: Final = OpenApiParameter(
    name="If-None-Match",
    type=str,
    location=OpenApiParameter.HEADER,
    description="The last answer's `ETag`: nothing is sent again while it is the same (304).",
)
REPLAYED: Final = "`true`: this was done before under the same name; nothing was done now."
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    name="Idempotency-Key",
    type={"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
    location=OpenApiParameter.HEADER,
    description="Any printable text, new for every order. The same key and body again answer with the order that they "
    "made the first time; the same key with another body is refused.",
)

VERSIONED: Final = ("order_not_pending", "version_conflict")
HANDOVER: Final = ("driver_at_capacity", "driver_offline", "driver_suspended")


def _verb(name: str, summary: str, body: type[StrictSerializer], *codes: str, tag: str = "dispatch") -> dict[str, Call]:
    return {
        "POST": Call(
            id=f"{name}_order",
            tag=tag,
            summary=summary,
            who=DISPATCHERS,
            body=body,
            answer=("Order",),
            parameters=(ETAG,),
            codes=(*VERSIONED, *codes),
        )
    }


CALLS: Final[dict[type[APIView], dict[str, Call]]] = {
    orders.OrdersDoor: {
        "GET": Call(
            id="list_orders",
            tag="orders",
            summary="List orders",
            who=DISPATCHERS,
            answer=("OrderPage",),
            parameters=(
                query("status", {"type": "string", "enum": [str(s) for s in Status]}, "Only those in this state."),
                query("reference", {"type": "string", "maxLength": 100}, "Only those with exactly this reference."),
                *PAGED,
            ),
        ),
        "POST": Call(
            id="place_order",
            tag="orders",
            summary="Place an order",
            who=DISPATCHERS,
            status=201,
            body=orders.NewOrderSerializer,
            answer=("Order",),
            parameters=(
                IDEMPOTENCY_KEY,
                ETAG,
                answered("Location", "The order's address.", 201),
                answered("Idempotent-Replayed", REPLAYED, 201),
            ),
            codes=("idempotency_mismatch",),
            example={
                "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building"},
                "dropoff": {"lat": 37.788, "lng": -122.4075, "address": "Union Square"},
                "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice"},
                "reference": "A-1017",
                "payout": "12.50",
            },
        ),
    },
    orders.OrderDoor: {
        "GET": Call(
            id="show_order",
            tag="orders",
            summary="Show an order",
            who=(DRIVER_TOKEN, *DISPATCHERS),
            answer=("Order", "DriverOrder"),
            parameters=(IF_NONE_MATCH, ETAG),
        ),
        "PATCH": Call(
            id="correct_order",
            tag="orders",
            summary="Correct an order",
            who=DISPATCHERS,
            body=orders.CorrectionSerializer,
            answer=("Order",),
            parameters=(ETAG,),
            codes=VERSIONED,
        ),
    },
    orders.CancelDoor: _verb("cancel", "Cancel an order", orders.CancelSerializer, tag="orders"),
    events.OrderEventsDoor: {
        "GET": Call(
            id="order_history",
            tag="events",
            summary="An order's history",
            who=DISPATCHERS,
            answer=("EventPage",),
            parameters=PAGED,
        )
    },
    events.FeedDoor: {
        "GET": Call(
            id="event_feed",
            tag="events",
            summary="The feed of everything that happens",
            who=DISPATCHERS,
            answer=("Feed",),
            parameters=(
                query("after", {"type": "string"}, "The last answer's `next`; none: from the beginning."),
                FEED_LIMIT,
            ),
        )
    },
    dispatcher.NearbyDriversDoor: {
        "GET": Call(
            id="nearby_drivers",
            tag="dispatch",
            summary="Who could take an order",
            who=DISPATCHERS,
            answer=("NearbyDriverPage",),
            parameters=(
                query(
                    "radius_km",
                    {"type": "number", "exclusiveMinimum": 0, "maximum": dispatcher.FARTHEST_KM},
                    "How far from the pickup to look; by default as far as orders are offered.",
                ),
            ),
        )
    },
    dispatcher.DriversDoor: {
        "GET": Call(
            id="list_drivers",
            tag="dispatch",
            summary="List drivers",
            who=DISPATCHERS,
            answer=("DriverPage",),
            parameters=(query("live", {"type": "boolean"}, "Only live drivers, or only the others."), *PAGED),
        )
    },
    dispatcher.AssignDoor: _verb("assign", "Give an order to a driver", dispatcher.AssignSerializer, *HANDOVER),
    dispatcher.UnassignDoor: _verb("unassign", "Take an order back", dispatcher.UnassignSerializer),
    dispatcher.ReofferDoor: _verb("reoffer", "Offer an order again", dispatcher.ReofferSerializer),
    dispatcher.ExtendDoor: _verb("extend", "Give an order more time", dispatcher.ExtendSerializer),
}


def grants_in_words(view: type[APIView], method: str) -> str:
    """Which scope or permission a call takes; '' for the driver's."""
    if not issubclass(view, Door) or method not in view.needs:
        return ""
    needed = view.needs[method]
    scopes = [f"`{scope}`" for scope, grants in OF_SCOPE.items() if needed in grants]
    permissions = [f"`{permission}`" for permission, grants in OF_PERMISSION.items() if needed in grants]
    return f"API keys need the scope {' or '.join(scopes)}, staff the permission {' or '.join(permissions)}."
