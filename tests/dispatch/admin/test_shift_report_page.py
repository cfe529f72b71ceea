"""The shift report as people get it: the page, its CSV, and who may have them."""

import csv
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from dispatch.admin.shift_report import harmless
from drivers.models import Driver
from tests import staff
from tests.dispatch.report import shift
from tests.dispatch.report.shift import yesterday

pytestmark = pytest.mark.django_db(transaction=True)


def asked(start: Any, end: Any, zone: str = "UTC", **more: str) -> dict[str, str]:
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}", "zone": zone, **more}


def rows(response: Any) -> list[list[str]]:
    assert response.status_code == 200
    return list(csv.reader(StringIO(b"".join(response.streaming_content).decode())))


@pytest.fixture
def two_hours() -> dict[str, str]:
    return asked(yesterday(10), yesterday(12))


def test_the_page_tells_the_numbers(supervisor: Client, two_hours: dict[str, str]) -> None:
    shift.work()

    response = supervisor.get("/admin/report/", two_hours)

    assert [(title, number) for title, number, _ in response.context["tiles"]] == [
        ("Orders", "5"),
        ("Delivered", "2"),
        ("To assignment", "40 s"),
        ("To delivery", "10 min"),
        ("Expiry rate", "20.0 %"),
        ("Decline rate", "25.0 %"),
    ]
    ten, eleven = response.context["rows"]
    assert (ten["orders"], ten["counts"], ten["times"]) == (
        "4",
        ["2", "0", "0", "0", "0", "1", "1"],
        ["40 s", "1 min", "10 min", "20 min"],
    )
    assert (eleven["orders"], eleven["counts"][4], eleven["rates"]) == ("1", "1", ["100.0 %", "–"])
    (driver,) = response.context["drivers"]
    assert (driver["hours"], driver["share"]) == (["1:30", "0:34", "1:01"], "32.2 %")


def test_the_chart_has_the_hours_without_orders_too(supervisor: Client) -> None:
    shift.work()

    response = supervisor.get("/admin/report/", asked(yesterday(8), yesterday(12)))

    bins = response.context["charts"]["bins"]
    assert [bin_["at"] for bin_ in bins] == [int(yesterday(hour).timestamp()) for hour in (8, 9, 10, 11)]
    assert [sum(bin_["states"]) for bin_ in bins] == [0, 0, 4, 1]
    assert bins[0]["assign"] == [None, None]


def test_times_are_those_of_the_zone(supervisor: Client) -> None:
    shift.work()

    response = supervisor.get("/admin/report/", asked(yesterday(15, 30), yesterday(17, 30), "Asia/Kolkata"))

    assert response.context["period"].start == yesterday(10)
    assert response.context["total"]["orders"] == "5"
    assert "15:30" in response.context["covers"]


def test_without_being_asked_it_is_today(supervisor: Client) -> None:
    response = supervisor.get("/admin/report/")

    assert response.status_code == 200
    assert response.context["period"].end - response.context["period"].start == timedelta(days=1)


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"end": "2026-01-01T00:00"}, "end", "Must be later than the beginning."),
        ({"start": "2020-01-01T00:00", "end": "2020-02-02T02:00"}, "end", "A report covers at most 31 days."),
        ({"zone": "Mars/Olympus"}, "zone", "There is no such time zone."),
        ({"zone": "../../etc/passwd"}, "zone", "There is no such time zone."),
        ({"start": "yesterday"}, "start", "Enter a valid date/time."),
        ({"by": "password"}, "by", "Select a valid choice. password is not one of the available choices."),
        ({"start": "\x00"}, "start", "Enter a valid date/time."),
    ],
)
def test_nonsense_is_refused_at_its_field(
    supervisor: Client, two_hours: dict[str, str], wrong: dict[str, str], field: str, text: str
) -> None:
    page = supervisor.get("/admin/report/", {**two_hours, **wrong})
    table = supervisor.get("/admin/report/orders.csv", {**two_hours, **wrong})

    assert page.status_code == 400
    assert page.context["form"].errors[field] == [text]
    assert table.status_code == 400
    assert table.content.decode() == f"{field}: {text}"


def test_orders_as_csv(supervisor: Client, two_hours: dict[str, str]) -> None:
    shift.work()

    response = supervisor.get("/admin/report/orders.csv", two_hours)

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == (
        f'attachment; filename="baton-orders-{yesterday(10):%Y%m%d-%H%M}-{yesterday(12):%Y%m%d-%H%M}.csv"'
    )
    head, ten, eleven = rows(response)
    assert dict(zip(head, ten, strict=True)) == {
        "hour": yesterday(10).isoformat(),
        "orders": "4",
        "delivered": "2",
        "picked_up": "0",
        "assigned": "0",
        "waiting": "0",
        "expired": "0",
        "failed": "1",
        "cancelled": "1",
        "to_assignment_p50_s": "40",
        "to_assignment_p90_s": "60",
        "to_delivery_p50_s": "600",
        "to_delivery_p90_s": "1200",
        "ran_out": "0",
        "offers": "4",
        "offers_seen": "0",
        "offers_accepted": "3",
        "offers_declined": "1",
    }
    assert eleven[1:5] == ["1", "0", "0", "0"]


def test_a_drivers_name_is_never_a_formula_in_the_csv(supervisor: Client, two_hours: dict[str, str]) -> None:
    alice = shift.work()
    Driver.objects.filter(pk=alice.pk).update(name='=HYPERLINK("https://evil.example","Alice")')

    head, line = rows(supervisor.get("/admin/report/drivers.csv", two_hours))

    assert head == ["driver", "name", "vehicle", "on_duty_s", "work_s", "idle_s", "delivered", "failed"]
    name = '\'=HYPERLINK("https://evil.example","Alice")'
    assert line == [str(alice.pk), name, "car", "5400", "2040", "3660", "2", "1"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "|", "%"])
def test_what_begins_a_formula_is_made_harmless(start: str) -> None:
    assert harmless(f"{start}1+1") == f"'{start}1+1"


def test_what_is_harmless_stays_as_it_is() -> None:
    assert [harmless(cell) for cell in ("Ada = Bea", 7, -3, None, "")] == ["Ada = Bea", 7, -3, "", ""]


@pytest.mark.parametrize("page", ["", "orders.csv", "drivers.csv"])
def test_the_report_is_for_supervisors(dispatcher: Client, supervisor: Client, page: str) -> None:
    given = asked(yesterday(10), yesterday(12))

    assert supervisor.get(f"/admin/report/{page}", given).status_code == 200
    assert dispatcher.get(f"/admin/report/{page}", given).status_code == 403
    assert Client().get(f"/admin/report/{page}", given).status_code == 302
    assert staff.signed_in(staff.member("rita", "dispatcher")).get(f"/admin/report/{page}").status_code == 403
