import pytest
from django.conf import settings

from drivers import redisdb
from drivers.errors import Unavailable
from drivers.tickets import issue_ticket, redeem_ticket
from tests.dispatch.live.rig import free_port


def test_a_ticket_is_good_once() -> None:
    ticket = issue_ticket(7, "digest")

    assert redeem_ticket(ticket) == (7, "digest")
    assert redeem_ticket(ticket) is None


def test_a_ticket_lasts_half_a_minute_under_the_installations_own_prefix() -> None:
    ticket = issue_ticket(7, "digest")

    lasts = redisdb.client().ttl(f"{settings.REDIS_PREFIX}:ticket:{ticket}")
    assert isinstance(lasts, int)
    assert settings.TICKET_SECONDS - 2 <= lasts <= settings.TICKET_SECONDS == 30


def test_no_two_tickets_are_alike() -> None:
    assert len({issue_ticket(7, "digest") for _ in range(20)}) == 20


@pytest.mark.parametrize("ticket", ["", "x", "x" * 43, "é" * 43, "x" * 10_000, "*" * 43])
def test_what_is_no_ticket_is_nobody(ticket: str) -> None:
    assert redeem_ticket(ticket) is None


def test_without_redis_there_are_no_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    redisdb.client.cache_clear()
    monkeypatch.setattr(settings, "REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    try:
        with pytest.raises(Unavailable):
            issue_ticket(7, "digest")
        with pytest.raises(Unavailable):
            redeem_ticket("x" * 43)
    finally:
        redisdb.client.cache_clear()
