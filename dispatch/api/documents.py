"""The documents that the API answers with, as JSON Schema (2020-12, as OpenAPI 3.1 takes it). The tests check every answer
against these, and every property is named here, so they cannot part ways with dispatch/representations.py."""

from typing import Any, Final

from drivers.models import Vehicle
from orders.actors import ActorType
from orders.lifecycle import Kind, Status
from orders.models import ProofKind

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
TRUTH: Final[Schema] = {"type": "boolean"}
TIME: Final[Schema] = {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.123456Z"]}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}
METRES: Final[Schema] = {"type": "integer", "minimum": 0, "description": "Metres, on the WGS 84 spheroid."}
MONEY: Final[Schema] = {"type": "string", "pattern": r"^\d{1,8}\.\d{2}$", "examples": ["12.50"]}
CURRENCY: Final[Schema] = {"type": "string", "description": "ISO 4217.", "examples": ["USD"]}
DRIVER_ID: Final[Schema] = {"type": "integer", "minimum": 1, "description": "A driver's id."}
VERSION: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "description": "Counts the order's changes; every change has exactly one event with the same number.",
}
VEHICLE: Final[Schema] = {"type": "string", "enum": list(Vehicle.values)}
ANY_VEHICLE: Final[Schema] = {"type": "string", "enum": ["", *Vehicle.values], "description": "Empty: any will do."}


def number(minimum: float | None = None, maximum: float | None = None, description: str = "") -> Schema:
    bounds = {"minimum": minimum, "maximum": maximum, "description": description or None}
    return {"type": "number", **{name: bound for name, bound in bounds.items() if bound is not None}}


def count(minimum: int = 0, maximum: int | None = None, description: str = "") -> Schema:
    return {**number(minimum, maximum, description), "type": "integer"}


def nullable(schema: Schema, description: str = "") -> Schema:
    shown: Schema = (
        {"oneOf": [schema, {"type": "null"}]} if "$ref" in schema else {**schema, "type": [schema["type"], "null"]}
    )
    return {**shown, "description": description} if description else shown


def listed(schema: Schema, description: str = "") -> Schema:
    shown = {"type": "array", "items": schema}
    return {**shown, "description": description} if description else shown


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def document(description: str = "", *, optional: Schema | None = None, **properties: Schema) -> Schema:
    """An object with exactly these properties, all of them always there but for the `optional` ones."""
    schema: Schema = {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {**schema, "description": description} if description else schema


def page(of: str) -> Schema:
    return document(
        results=listed(ref(of)),
        next=nullable({"type": "string", "format": "uri"}, "The next page's address; null on the last page."),
        previous=nullable({"type": "string", "format": "uri"}, "The previous page's address; null on the first page."),
    )


_POSITION: Final = {"lat": number(-90, 90), "lng": number(-180, 180)}
_ORDER: Final[dict[str, Schema]] = {
    "id": UUID,
    "status": {"type": "string", "enum": [str(status) for status in Status]},
    "expired": {**TRUTH, "description": "Pending, but no driver may take it until a dispatcher offers it again."},
    "version": VERSION,
    "pickup": ref("Place"),
    "vehicle": ANY_VEHICLE,
    "priority": count(0, 9),
    "payout": MONEY,
    "currency": CURRENCY,
    "driver": nullable(DRIVER_ID, "The id of the driver who holds or held it."),
    "created_at": TIME,
    "release_at": {**TIME, "description": "Offered from then on."},
    "auto_assign_at": {**TIME, "description": "Assigned by the system from then on."},
    "expires_at": {**TIME, "description": "Nobody may take it any more from then on."},
    "assigned_at": nullable(TIME),
    "picked_up_at": nullable(TIME),
    "delivered_at": nullable(TIME),
    "cancelled_at": nullable(TIME),
    "failed_at": nullable(TIME),
}

COMPONENTS: Final[dict[str, Schema]] = {
    "Place": document("Degrees, WGS 84.", **_POSITION, address=STRING),
    "Position": document("Degrees, WGS 84.", **_POSITION),
    "Area": document("Roughly where: a place rounded to about a kilometre.", **_POSITION),
    "Contact": document("The customer.", name=STRING, phone=STRING, notes=STRING),
    "DriverContact": document(
        "The customer, for the driver who holds the order.",
        name=STRING,
        phone=STRING,
        notes=STRING,
        has_pin={**TRUTH, "description": "The receiver has a PIN, to be given as the proof `pin`."},
    ),
    "Proof": document(
        "A picture as it is kept: upright, at most 2000 pixels wide and high, without place or device.",
        id=UUID,
        kind={"type": "string", "enum": list(ProofKind.values)},
        width=count(1),
        height=count(1),
    ),
    "PushKey": document(
        "For Web Push.",
        public_key=nullable(STRING, "What to subscribe with (`applicationServerKey`); null: push is off here."),
    ),
    "Figures": document(
        "A driver's day.",
        date={"type": "string", "format": "date"},
        delivered=count(0),
        failed=count(0),
        released=count(0, description="Given back before they were picked up."),
        payouts=listed(document(currency=CURRENCY, amount=MONEY), "Of what was delivered, one sum for each currency."),
    ),
    "Order": document(
        "An order, for the integrator whose it is and for dispatchers.",
        **_ORDER,
        reference={**STRING, "description": "The sender's own number for it."},
        dropoff=ref("Place"),
        metadata={"type": "object", "description": "The sender's own.", "additionalProperties": True},
        pinned={
            **TRUTH,
            "description": "A dispatcher decided over it by hand: the system does not assign it otherwise.",
        },
        optional={"contact": ref("Contact")},
    ),
    "DriverOrder": document(
        "An order as a driver may see it: until they hold it only roughly where it goes, and never who it is for.",
        **_ORDER,
        contact=nullable(ref("DriverContact"), "Only while the driver holds the order."),
        optional={"reference": STRING, "dropoff": ref("Place"), "dropoff_area": ref("Area")},
    ),
    "OrderLetGo": document(
        "What is left of an order for a driver who has nothing to do with it any more.", id=UUID, version=VERSION
    ),
    "Offer": document(
        "An order in a driver's feed.",
        order=UUID,
        distance_m=METRES,
        expires_at=TIME,
        payout=MONEY,
        currency=CURRENCY,
        pickup=ref("Place"),
        dropoff_area=ref("Area"),
        version=VERSION,
    ),
    "Event": document(
        "What happened to an order.",
        id=count(1),
        order=UUID,
        version=VERSION,
        kind={"type": "string", "enum": [str(kind) for kind in Kind]},
        at=TIME,
        actor=document(
            "Who did it.",
            type={"type": "string", "enum": [str(kind) for kind in ActorType]},
            id={**STRING, "description": "Of the driver, member of staff or integrator; empty for the system."},
            name=STRING,
        ),
        data={"type": "object", "description": "What explains it; depends on the kind.", "additionalProperties": True},
    ),
    "OrderPage": page("Order"),
    "DriverOrderPage": page("DriverOrder"),
    "EventPage": page("Event"),
    "DriverPage": page("Driver"),
    "NearbyDriverPage": page("NearbyDriver"),
    "Feed": document(
        results=listed(ref("Event")),
        next={**STRING, "description": "Give it as `after` the next time, also when there were no results."},
        previous={"type": "null", "description": "The feed is only read forwards."},
    ),
    "Driver": document(
        "A driver as dispatchers see them.",
        id=DRIVER_ID,
        name=STRING,
        phone=STRING,
        vehicle=VEHICLE,
        capacity=count(1, 50, "Orders at once."),
        load=count(0, description="Orders in hand."),
        suspended=TRUTH,
        is_online={**TRUTH, "description": "On duty."},
        live={**TRUTH, "description": "On duty, heard of within the last minute, not suspended."},
        last_seen=nullable(TIME),
        location=nullable(ref("Position")),
        accuracy_m=nullable(number(0, description="Metres.")),
        heading=nullable(number(0, 360, "Degrees clockwise from north.")),
        speed_mps=nullable(number(0, description="Metres per second.")),
        recorded_at=nullable(TIME, "When the device took the position."),
    ),
    "NearbyDriver": document(
        "A driver who could take an order now.",
        driver=DRIVER_ID,
        name=STRING,
        vehicle=VEHICLE,
        distance_m=METRES,
        located_at=nullable(TIME, "When the position reached the server."),
        load=count(0, description="Orders in hand."),
        capacity=count(1, 50, "Orders at once."),
    ),
    "Profile": document(
        "A driver as they see themselves.",
        id=DRIVER_ID,
        name=STRING,
        phone=STRING,
        vehicle=VEHICLE,
        capacity=count(1, 50, "Orders at once."),
        is_online={**TRUTH, "description": "On duty."},
        last_seen=nullable(TIME),
    ),
    "SignedIn": document(token=STRING, expires_at=TIME, driver=ref("Profile")),
    "Ticket": document(
        "For `/ws/driver/?ticket=…`; good once.", ticket=STRING, expires_in=count(1, description="Seconds.")
    ),
    "HeartbeatAnswer": document(
        "Enough for the app to notice that it missed something.",
        server_time=TIME,
        active=listed(
            {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 2, "maxItems": 2},
            "Orders in hand: `[id, version]` of each.",
        ),
        open_offers=count(0),
    ),
    "Sync": document(
        "The whole truth for one driver.",
        server_time=TIME,
        offers=listed(ref("Offer"), "Nearest first."),
        active=listed(ref("DriverOrder"), "Orders in hand, oldest first."),
        messages=listed(ref("Message"), "What dispatchers wrote and the driver has not read, oldest first."),
    ),
}
