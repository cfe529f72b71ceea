"""The driver's calls in words, as dispatch/api/schema.py has those of everybody."""

from typing import Final

from rest_framework.views import APIView

from dispatch.api import acts, auth, driver, proofs, push
from dispatch.api.schema import (
    DRIVER_TOKEN,
    ETAG,
    HANDOVER,
    IF_NONE_MATCH,
    PAGED,
    REPLAYED,
    Call,
    answered,
    query,
)
from orders.models import ProofKind


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


DRIVER_CALLS: Final[dict[type[APIView], dict[str, Call]]] = {
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
        about="The first driver to accept holds it; everybody else is told why not, and how long ago (`seconds_ago`). "
        "Whoever holds it, or has carried it to its end, and accepts again gets the order as it is now.",
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
}
