"""The console's calls in words, as dispatch/api/schema.py has those of everybody."""

from typing import Final

from rest_framework.views import APIView

from dispatch.api import board, board_acts, driver
from dispatch.api.dispatcher import FARTHEST_KM
from dispatch.api.schema import DISPATCHERS, DRIVER_TOKEN, HANDOVER, VERSIONED, Call, query
from drivers.http import StrictSerializer
from drivers.models import Vehicle

BOARD_CALLS: Final[dict[type[APIView], dict[str, Call]]] = {
    board_acts.ActsDoor: {
        "POST": Call(
            id="board_act",
            tag="console",
            summary="One act on many rows",
            who=DISPATCHERS,
            body=board_acts.ActsSerializer,
            answer=("BoardResults",),
            example={
                "act": "reassign",
                "rows": [{"order": "01934b5e-8f2a-7c3d-9e10-5a6b7c8d9e0f", "version": 4}],
                "driver": 17,
            },
        )
    },
    board_acts.UndoDoor: {
        "POST": Call(
            id="board_undo",
            tag="console",
            summary="Take an act back",
            who=DISPATCHERS,
            body=board_acts.UndoSerializer,
            answer=("BoardOrder",),
            codes=("not_found", "undo_too_late", *VERSIONED, *HANDOVER),
        )
    },
    board.CandidatesDoor: {
        "GET": Call(
            id="board_candidates",
            tag="console",
            summary="Who could take it, and why not the others",
            who=DISPATCHERS,
            answer=("Candidates",),
            codes=("not_found",),
            parameters=(
                query("order", {"type": "string", "format": "uuid"}, "An order; or else `lat` and `lng`."),
                query("lat", {"type": "number", "minimum": -90, "maximum": 90}, "Of the pickup, degrees."),
                query("lng", {"type": "number", "minimum": -180, "maximum": 180}, "Of the pickup, degrees."),
                query("vehicle", {"type": "string", "enum": list(Vehicle.values)}, "Only these will do."),
                query(
                    "radius_km",
                    {"type": "number", "exclusiveMinimum": 0, "maximum": FARTHEST_KM},
                    "How far to look; by default as far as orders are auto-assigned.",
                ),
            ),
        )
    },
    board.PlacesDoor: {
        "GET": Call(
            id="board_places",
            tag="console",
            summary="Saved places",
            who=DISPATCHERS,
            answer=("SavedPlaces",),
            parameters=(query("q", {"type": "string", "maxLength": 100}, "A part of the name or address."),),
        )
    },
    board.BoardDriverDoor: {
        "GET": Call(
            id="board_driver", tag="console", summary="A driver at a glance", who=DISPATCHERS, answer=("BoardDriver",)
        )
    },
    board.StoryDoor: {
        "GET": Call(id="order_story", tag="console", summary="An order's story", who=DISPATCHERS, answer=("Story",))
    },
    driver.MessagesView: {
        "GET": Call(
            id="own_messages",
            tag="driver",
            summary="Messages",
            who=(DRIVER_TOKEN,),
            answer=("MessageList",),
            about="What dispatchers wrote to the driver, newest first, the latest 50, read or not.",
        )
    },
    driver.MessageReadView: {
        "POST": Call(
            id="read_message",
            tag="driver",
            summary="A message was read",
            who=(DRIVER_TOKEN,),
            body=StrictSerializer,
            answer=("Message",),
            about="It leaves `sync`. Saying it again changes nothing.",
        )
    },
}
