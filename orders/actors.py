"""Who did it: the actor of every event."""

from dataclasses import dataclass
from enum import StrEnum


class ActorType(StrEnum):
    DRIVER = "driver"
    DISPATCHER = "dispatcher"
    INTEGRATOR = "integrator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the driver's, user's or integrator's id as text, empty for the system; `name` is what screens show."""

    type: ActorType
    id: str = ""
    name: str = ""


SYSTEM = Actor(ActorType.SYSTEM, name="Baton")


def driver(driver_id: int, name: str) -> Actor:
    return Actor(ActorType.DRIVER, str(driver_id), name)


def dispatcher(user_id: int, name: str) -> Actor:
    return Actor(ActorType.DISPATCHER, str(user_id), name)


def integrator(integrator_id: int, name: str) -> Actor:
    return Actor(ActorType.INTEGRATOR, str(integrator_id), name)
