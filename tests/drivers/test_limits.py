from drivers import limits
from drivers.limits import Limit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    limit = Limit(per_second=2, burst=3, clock=clock)

    assert [limit.spend("alice") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [limit.spend("alice") for _ in range(2)] == [0, 0.5]
    clock.now += 60
    assert [limit.spend("alice") for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_refused_request_is_not_counted_against_the_asker() -> None:
    clock = Clock()
    limit = Limit(per_second=1, burst=1, clock=clock)
    limit.spend("alice")

    assert {limit.spend("alice") for _ in range(50)} == {1.0}
    clock.now += 1
    assert limit.spend("alice") == 0


def test_askers_do_not_share() -> None:
    limit = Limit(per_second=1, burst=1, clock=Clock())

    assert (limit.spend("alice"), limit.spend("bob"), limit.wait("alice"), limit.wait("carol")) == (0, 0, 1, 0)


def test_the_longest_unheard_of_is_forgotten() -> None:
    limit = Limit(per_second=1, burst=1, clock=Clock())
    for number in range(limits.MAX_REMEMBERED + 1):
        limit.spend(number)

    assert limit.wait(0) == 0
    assert limit.wait(1) == 1
