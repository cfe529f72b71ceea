"""Tickets: how a browser opens a socket without a token in its URL. Random, short-lived, good for one use."""

import secrets

from django.conf import settings
from redis import RedisError

from drivers import redisdb
from drivers.errors import Unavailable


def issue_ticket(driver_id: int, token_digest: str) -> str:
    """A ticket for this driver's device, good once, for settings.TICKET_SECONDS. Raises Unavailable without Redis."""
    ticket = secrets.token_urlsafe(32)
    try:
        redisdb.client().set(
            redisdb.key("ticket", ticket), f"{driver_id} {token_digest}", ex=settings.TICKET_SECONDS, nx=True
        )
    except RedisError:
        raise Unavailable from None
    return ticket


def redeem_ticket(ticket: str) -> tuple[int, str] | None:
    """(driver id, digest of the device token) of a ticket, which is used up by this; None if it is unknown, used or too
    old. The caller still has to see that the token exists. Raises Unavailable without Redis."""
    if not (ticket.isascii() and 20 <= len(ticket) <= 100):
        return None
    try:
        content = redisdb.client().getdel(redisdb.key("ticket", ticket))
    except RedisError:
        raise Unavailable from None
    if not content:
        return None
    driver_id, _, token_digest = str(content).partition(" ")
    return int(driver_id), token_digest
