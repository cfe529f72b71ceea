"""What a simulation calls wrong."""

from typing import Any

from dispatch.simulation.doors import Doors
from dispatch.simulation.geo import Circle, Place
from dispatch.simulation.ledger import Ledger
from dispatch.simulation.plan import invented
from dispatch.simulation.run import Result
from dispatch.simulation.summary import Summary, summarise
from dispatch.simulation.tally import Tally
from tests.commands.test_simulated_world import story


def summary(
    *histories: str, trips: int | None = None, disagreements: list[str] | None = None, **counts: Any
) -> Summary:
    tally = Tally()
    for name, counted in counts.items():
        getattr(tally, name).update(counted)
    ledger = Ledger(Doors("http://127.0.0.1:1", tally), "key")
    for number, history in enumerate(histories):
        ledger.placed[str(number)] = f"r{number}"
        ledger.stories[str(number)] = story(*history.split())
    asked = len(histories) if trips is None else trips
    plan = invented(
        circle=Circle(Place(0, 0), 1), drivers=1, orders_per_minute=asked * 60 or 1, seconds=1, speed=20, seed=1
    )
    plan.trip_count = asked
    result = Result(tally=tally, ledger=ledger, disagreements=disagreements or [], seconds=12.3)
    return summarise(result, plan)


ENDS = (
    "created offered assigned picked_up delivered",
    "created offered expired",
    "created offered",
    "created assigned",
)


def test_delivered_expired_and_open_are_all_that_is_right() -> None:
    told = summary(*ENDS)

    assert told.wrong == []
    assert told.lines[:2] == ["orders created        4", "       offered        3"]
    assert told.lines[6] == "       at the end     2 open, 1 delivered, 1 expired"


def test_any_other_end_is_not_accounted_for() -> None:
    assert summary(*ENDS, "created cancelled").wrong == ["1 of 5 trips not accounted for (1 cancelled)"]
    assert summary(*ENDS, "").wrong == ["1 of 5 trips not accounted for (1 without history)"]
    assert summary(*ENDS, trips=6).wrong == ["2 of 6 trips not accounted for (none)"]


def test_a_5xx_a_lost_socket_and_an_error_are_wrong() -> None:
    told = summary(
        *ENDS,
        server_errors={"503 busy": 2},
        lost_sockets={"closed with 1006": 1},
        errors={"no answer: TimeoutError": 3},
    )
    assert told.wrong == ["5xx: 2 503 busy", "lost sockets: 1 closed with 1006", "errors: 3 no answer: TimeoutError"]


def test_losing_a_race_is_not_wrong() -> None:
    told = summary(*ENDS, receipts={"accepted": 2, "order_taken": 40})
    assert told.wrong == []
    assert "receipts              40 order_taken, 2 accepted" in told.lines


def test_a_feed_that_tells_another_story_than_the_list_is_wrong() -> None:
    assert summary(*ENDS, disagreements=["r1: not in the feed"]).wrong == [
        "feed and list disagree on 1 orders: r1: not in the feed"
    ]


def test_nothing_measured_is_said_as_such() -> None:
    assert "push latency          p50 -, p95 -, p99 - of 0 pushes" in summary().lines
