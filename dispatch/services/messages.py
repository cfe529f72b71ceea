"""A dispatcher's word to a driver: pushed when it is written, in the driver's sync until it is read, erased in time."""

from django.db import transaction

from dispatch import live
from dispatch.models import Message
from drivers.clock import ClockTimestamp
from drivers.errors import Invalid, NotFound
from drivers.models import Driver
from orders.actors import Actor
from orders.errors import IdempotencyMismatch

LONGEST_MESSAGE = 500


def send_message(*, driver_id: int, text: str, actor: Actor, key: str | None = None) -> Message:
    """Write to a driver, on duty or not; their devices are told after the commit. Raises NotFound, Invalid.

    The same `key` of the same sender again, because the answer got lost, answers with the message that was sent: once. With
    another text it raises IdempotencyMismatch.
    """
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_MESSAGE:
        raise Invalid(text=f"Must have from 1 to {LONGEST_MESSAGE} characters.")
    with transaction.atomic(durable=True):
        if not Driver.objects.filter(pk=driver_id).exists():
            raise NotFound
        named = {"driver_id": driver_id, "actor_type": actor.type, "actor_id": actor.id, "key": key}
        said = {"text": text, "actor_name": actor.name}
        if key is None:
            message, is_new = Message.objects.create(**named, **said), True
        else:
            message, is_new = Message.objects.get_or_create(**named, defaults=said)
        if is_new:
            message.refresh_from_db(fields=["at"])
            live.message_sent(message)
        elif message.text != text:
            raise IdempotencyMismatch
    return message


def mark_message_read(*, message_id: int, driver_id: int) -> Message:
    """The driver has read it; the first time counts. Raises NotFound, also for anybody else's."""
    with transaction.atomic(durable=True):
        theirs = Message.objects.filter(pk=message_id, driver_id=driver_id)
        theirs.filter(read_at=None).update(read_at=ClockTimestamp())
        message = theirs.first()
    if message is None:
        raise NotFound
    return message
