"""The synchronous Redis clients of a process. Whatever is kept there may vanish: the database is the truth."""

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@cache
def client(address: str = "") -> redis.Redis:
    """Of REDIS_URL if no other is named. Fails within two seconds when Redis is away; redis-py's own default goes on trying
    for longer than a person waits. One retry, because a restarted Redis leaves dead connections in the pool."""
    return redis.Redis.from_url(
        address or settings.REDIS_URL,
        socket_timeout=1,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=15,
        decode_responses=True,
    )


@cache
def impatient_client() -> redis.Redis:
    """For what every request asks and can do without: gives up after a tenth of a second, a dead connection excepted."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=0.1,
        socket_connect_timeout=0.1,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        health_check_interval=0,
    )


def away() -> tuple[int, int]:
    """How many servers do not answer, and how many there are: this one, and those of live push."""
    addresses = dict.fromkeys(["", *settings.REDIS_SHARDS])
    silent = 0
    for address in addresses:
        try:
            client(address).ping()
        except redis.RedisError:
            silent += 1
    return silent, len(addresses)


def key(*parts: str) -> str:
    """`baton:ticket:…`: two installations can share a server (settings.REDIS_PREFIX)."""
    return ":".join((settings.REDIS_PREFIX, *parts))
