"""The console's documents, as dispatch/api/documents.py has those of everybody."""

from typing import Any, Final

from dispatch.api.documents import (
    DRIVER_ID,
    METRES,
    STRING,
    TIME,
    TRUTH,
    UUID,
    VEHICLE,
    Schema,
    count,
    document,
    listed,
    nullable,
    number,
    ref,
)
from dispatch.models import OfferStatus
from dispatch.selectors_considered import Verdict

_SECONDS: Final = nullable(count(0), "Seconds.")


def board_components(common: dict[str, Schema]) -> dict[str, Schema]:
    """`common`: the documents that these build on."""
    order: dict[str, Any] = common["Order"]["properties"]
    driver: dict[str, Any] = common["Driver"]["properties"]
    return {
        "OfferCounts": document("Of a pending order's offers.", open=count(0), declined=count(0), made=count(0)),
        "BoardOrder": document(
            "An order as the console keeps it.",
            **{name: schema for name, schema in order.items() if name != "contact"},
            optional={"offers": ref("OfferCounts")},
        ),
        "Message": {
            **document(
                "What a dispatcher wrote to a driver.",
                id=count(1),
                at=TIME,
                text=STRING,
                read_at=nullable(TIME, "When the driver said that they have read it."),
                **{"from": {**STRING, "description": "Who wrote it."}},
            )
        },
        "MessageList": document("Newest first.", results=listed(ref("Message"))),
        "WayBack": document("For `POST board/undo/`.", id=UUID, until=TIME),
        "BoardResult": document(
            "What came of one row. `ok`: the `document` as it is now, and how to undo it. Otherwise the `problem` that a "
            "call on this row alone would be refused with; when the order has moved on, with `current` and `last_event`.",
            ok=TRUTH,
            optional={
                "order": UUID,
                "driver": DRIVER_ID,
                "document": {"oneOf": [ref("BoardOrder"), ref("Driver"), ref("Message")]},
                "undo": nullable(ref("WayBack")),
                "problem": ref("Problem"),
            },
        ),
        "BoardResults": document("In the order of the rows.", results=listed(ref("BoardResult"))),
        "Candidate": document(
            "A driver near the pickup.",
            driver=DRIVER_ID,
            name=STRING,
            vehicle=VEHICLE,
            distance_m=METRES,
            located_at=nullable(TIME, "When the position reached the server."),
            position_age_s=_SECONDS,
            load=count(0, description="Orders in hand."),
            capacity=count(1, 50, "Orders at once."),
            verdict={
                "type": ["string", "null"],
                "enum": [*(str(one) for one in Verdict if one), None],
                "description": "What rules them out; null: nothing does.",
            },
        ),
        "Candidates": document(
            "Nearest first, of either kind at most 20.",
            results=listed(ref("Candidate"), "Could take it now."),
            ruled_out=listed(ref("Candidate"), "As near, but cannot."),
        ),
        "SavedPlace": document(
            "Degrees, WGS 84.", id=count(1), name=STRING, lat=number(-90, 90), lng=number(-180, 180), address=STRING
        ),
        "SavedPlaces": document(results=listed(ref("SavedPlace"))),
        "BoardDriver": document(
            "A driver with what they hold.",
            **driver,
            orders=listed(ref("BoardOrder"), "Longest held first; empty for who may not see orders."),
            messages=listed(ref("Message"), "Newest first; empty for who may not write to drivers."),
        ),
        "Story": document(
            "What happened to an order, and why.",
            order=ref("BoardOrder"),
            events=listed(ref("Event"), "Oldest first."),
            offers=listed(ref("OfferTold"), "Nearest first."),
            choice=nullable(ref("Choice"), "Why who holds it, or held it last, was chosen; null: nobody was."),
        ),
        "OfferTold": document(
            "What became of an offer.",
            driver=DRIVER_ID,
            name=STRING,
            status={"type": "string", "enum": list(OfferStatus.values)},
            distance_m=METRES,
            offered_at=TIME,
            delivered_at=nullable(TIME, "A device took it."),
            seen_at=nullable(TIME, "It was on screen."),
            answered_at=nullable(TIME),
            closed_reason=STRING,
        ),
        "Choice": document(
            "An assignment, and who else was considered.",
            how={**STRING, "examples": ["accepted", "auto", "by_hand", "nearest", "reassigned", "undo"]},
            at=TIME,
            by={**STRING, "description": "Who decided."},
            chosen=DRIVER_ID,
            candidates=listed(
                document(
                    driver=DRIVER_ID,
                    name=STRING,
                    distance_m=nullable(METRES),
                    position_age_s=_SECONDS,
                    load=nullable(count(0)),
                    capacity=nullable(count(1, 50)),
                    cost=nullable(number(0), "What the matching weighed, metres; null: this driver was not weighed."),
                    verdict={**STRING, "description": "`chosen`, or why not."},
                )
            ),
        ),
    }
