"""Which of the channel layer's Redis servers carries what (settings.REDIS_SHARDS).

The layer gives every group to one of them, by a hash of its name. Drivers have as many groups as there are servers, named
so that each server carries one; a driver belongs to one of them by id. All processes must agree on the number.
"""

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from channels_redis.utils import _consistent_hash, decode_hosts
from django.conf import settings

#: What drivers' sockets need to hear (one group for each server, which this is the start of), and what dispatchers' do: a
#: process without dispatchers skips every position.
DRIVERS = "live.drivers"
DISPATCHERS = "live.dispatchers"


def group_of(driver_id: int) -> str:
    """The group that this driver's sockets hear."""
    groups = driver_groups()
    return groups[driver_id % len(groups)]


def driver_groups() -> tuple[str, ...]:
    config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    return _named_for_each(config.get("prefix", "asgi"), len(decode_hosts(config["hosts"])))


def by_group(driver_ids: Sequence[int]) -> dict[str, list[int]]:
    """Where in the sequence the drivers of each group stand."""
    found: dict[str, list[int]] = {}
    for place, driver_id in enumerate(driver_ids):
        found.setdefault(group_of(driver_id), []).append(place)
    return found


def shard_of(name: str, shards: int) -> int:
    """Which server the layer itself would ask for this channel (`<prefix>__group__<group>`)."""
    return int(_consistent_hash(name, shards))


@cache
def _named_for_each(prefix: str, shards: int) -> tuple[str, ...]:
    if shards == 1:
        return (DRIVERS,)
    found: dict[int, str] = {}
    for number in count(1):
        group = f"{DRIVERS}.{number}"
        found.setdefault(shard_of(f"{prefix}__group__{group}", shards), group)
        if len(found) == shards:
            break
    return tuple(found[shard] for shard in range(shards))
