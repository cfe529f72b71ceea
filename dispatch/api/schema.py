"""Every call of the API in words: what it takes, what it answers, which refusals are its own. config/openapi.py makes the
OpenAPI document of it; a call that is not here fails there."""

from dataclasses import dataclass
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.views import APIView

from dispatch.api import acts, auth, dispatcher, driver, events, orders, proofs, push
from dispatch.api.documents import Schema, ref
from dispatch.api.principals import OF_PERMISSION, OF_SCOPE, Door
from drivers.http import MAX_PAGE_SIZE, PAGE_SIZE, StrictSerializer
from orders.lifecycle import Status
from orders.models import ProofKind

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


def _act(view: type[acts.ActView], name: str, summary: str, *codes: str, about: str) -> dict[str, Call]:
    return {
        "POST": Call(
            id=f"{name}_order",
            tag="driver's orders",
            summary=summary,
            who=(DRIVER_TOKEN,),
            body=view.serializer,
            answer=("DriverOrder", "OrderLetGo"),
            parameters=(answered("Idempotent-Replayed", REPLAYED),),
            codes=("idempotency_mismatch", *codes),
            about=about,
        )
    }


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
    auth.SignInView: {
        "POST": Call(
            id="sign_in",
            tag="sign-in",
            summary="Sign in",
            who=(),
            body=auth.SignInSerializer,
            answer=("SignedIn",),
            codes=("sign_in_refused", "driver_suspended"),
            about="A token for one device. Too many wrong passwords in a row are answered with `throttled`.",
        )
    },
    auth.SignOutView: {
        "POST": Call(
            id="sign_out",
            tag="sign-in",
            summary="Sign out",
            who=(DRIVER_TOKEN,),
            status=204,
            about="The token ends, the device's sockets close and the driver goes off duty at once.",
        )
    },
    auth.TicketView: {
        "POST": Call(
            id="issue_ticket",
            tag="sign-in",
            summary="A ticket for the WebSocket",
            who=(DRIVER_TOKEN,),
            answer=("Ticket",),
            codes=("unavailable",),
            about="For browsers, which cannot give a socket a header. Good once and for a short time.",
        )
    },
    driver.ProfileView: {
        "GET": Call(
            id="own_profile",
            tag="driver",
            summary="Own profile",
            who=(DRIVER_TOKEN,),
            answer=("Profile",),
            about="The driver, and whether they are on duty.",
        ),
        "PATCH": Call(
            id="set_duty",
            tag="driver",
            summary="Go on or off duty",
            who=(DRIVER_TOKEN,),
            body=driver.DutySerializer,
            answer=("Profile",),
            about="On duty: offered orders nearby. Off duty: open offers are withdrawn, orders in hand stay.",
        ),
    },
    driver.HeartbeatView: {
        "POST": Call(
            id="heartbeat",
            tag="driver",
            summary="Heartbeat",
            who=(DRIVER_TOKEN,),
            body=driver.HeartbeatSerializer,
            answer=("HeartbeatAnswer",),
            about="A sign of life, as a rule with a position, for an app without a socket. A driver who is silent for a "
            "minute is offered nothing.",
        )
    },
    driver.SyncView: {
        "GET": Call(
            id="sync",
            tag="driver",
            summary="Everything as it is now",
            who=(DRIVER_TOKEN,),
            answer=("Sync",),
            parameters=(IF_NONE_MATCH, ETAG),
            about="Offers and orders in hand. The ETag covers all but `server_time`.",
        )
    },
    driver.FiguresView: {
        "GET": Call(
            id="own_figures",
            tag="driver",
            summary="Today's figures",
            who=(DRIVER_TOKEN,),
            answer=("Figures",),
            parameters=(
                query(
                    "tz_offset_minutes",
                    {"type": "integer", "minimum": -driver.MOST_EAST, "maximum": driver.MOST_EAST, "default": 0},
                    "The device's zone, in minutes east of UTC (JavaScript's `-getTimezoneOffset()`): when today began.",
                ),
            ),
            about="What the driver delivered, failed and gave back today, and what was paid for it.",
        )
    },
    push.PushView: {
        "GET": Call(
            id="push_key",
            tag="driver",
            summary="The key for Web Push",
            who=(DRIVER_TOKEN,),
            answer=("PushKey",),
            about="What a browser needs to subscribe.",
        ),
        "POST": Call(
            id="subscribe",
            tag="driver",
            summary="Wake this device",
            who=(DRIVER_TOKEN,),
            status=204,
            body=push.SubscriptionSerializer,
            codes=("not_found",),
            about="From now on the device is told of offers that none of the driver's sockets took, until it signs out. The "
            "same endpoint again takes the place of the first. `not_found`: push is off here.",
        ),
        "DELETE": Call(
            id="unsubscribe",
            tag="driver",
            summary="Wake this device no more",
            who=(DRIVER_TOKEN,),
            status=204,
            body=push.EndpointSerializer,
            about="An endpoint that is not known is fine.",
        ),
    },
    driver.HistoryView: {
        "GET": Call(
            id="own_orders",
            tag="driver",
            summary="Own history",
            who=(DRIVER_TOKEN,),
            answer=("DriverOrderPage",),
            parameters=PAGED,
            about="The orders that the driver holds or held, newest first.",
        )
    },
    acts.AcceptView: _act(
        acts.AcceptView,
        "accept",
        "Accept an offered order",
        "order_taken",
        "order_expired",
        "order_cancelled",
        "order_not_pending",
        "not_offered",
        *HANDOVER,
        about="The first driver to accept holds it; everybody else is told why not, and how long ago (`seconds_ago`). The "
        "holder who accepts again gets the same answer.",
    ),
    acts.DeclineView: _act(
        acts.DeclineView,
        "decline",
        "Decline an offered order",
        "order_not_pending",
        about="It leaves the driver's feed and is never offered to them again.",
    ),
    acts.ReleaseView: _act(
        acts.ReleaseView,
        "release",
        "Give an order back",
        "order_not_pending",
        "order_cancelled",
        about="Before it is picked up. It is offered to the others at once, never again to this driver.",
    ),
    acts.PickUpView: _act(
        acts.PickUpView, "pick_up", "Pick up", "order_not_pending", "order_cancelled", about="The driver has the goods."
    ),
    acts.DeliverView: _act(
        acts.DeliverView,
        "deliver",
        "Deliver",
        "order_not_pending",
        "order_cancelled",
        about="Handed over, with proof. If the receiver has a PIN, a proof of the kind `pin` must have it: another one is "
        "`invalid` (`proof.pin`), and too many are `throttled`. A picture follows by itself (`…/proofs/`).",
    ),
    acts.FailView: _act(
        acts.FailView,
        "fail",
        "Could not deliver",
        "order_not_pending",
        "order_cancelled",
        about="Picked up, but it could not be handed over, and why.",
    ),
    proofs.ProofsView: {
        "POST": Call(
            id="keep_proof",
            tag="driver's orders",
            summary="A picture as proof",
            who=(DRIVER_TOKEN,),
            status=201,
            answer=("Proof",),
            media=tuple(parser.media_type for parser in proofs.ProofsView.parser_classes),
            parameters=(
                query("kind", {"type": "string", "enum": ProofKind.values}, "What it is a picture of.", required=True),
                query(
                    "action_id",
                    {"type": "string", "minLength": 1, "maxLength": 64},
                    "The app's own name for it: the same one again keeps nothing more.",
                    required=True,
                ),
                query("taken_at", {"type": "string", "format": "date-time"}, "By the device's clock; decides nothing."),
                answered("Idempotent-Replayed", REPLAYED, 201),
            ),
            codes=("order_not_pending", "order_cancelled", "idempotency_mismatch"),
            about="The picture itself is the body, at most 5 MB and 25 million pixels. It may come any time from the "
            "pick-up to a week after the order was delivered or failed; delivering never waits for it. What is kept is made "
            "anew from its pixels: upright, at most 2000 pixels wide and high, without place or device.",
        )
    },
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
