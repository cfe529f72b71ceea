from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.gis.geos import Point
from django.contrib.gis.measure import D
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from drivers.clock import ClockTimestamp
from drivers.fleet import create_drivers
from drivers.models import Driver, Presence
from tests import cast

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    said = StringIO()
    call_command("create_drivers", *arguments, stdout=said)
    return said.getvalue().strip()


def may_sign_in(username: str, password: str) -> bool:
    request = RequestFactory().post("/")
    return authenticate(request, username=username, password=password) is not None


def test_drivers_are_created_with_one_password() -> None:
    said = create("--count", "3", "--prefix", "d", "--password", "secret words", "--capacity", "2", "--vehicle", "van")

    assert said == "d1 … d3: 3 created, 0 kept with a new password."
    drivers = Driver.objects.order_by("pk").values_list("user__username", "name", "vehicle", "capacity")
    assert list(drivers) == [(name, name, "van", 2) for name in ("d1", "d2", "d3")]
    assert may_sign_in("d2", "secret words")
    assert list(Presence.objects.values_list("is_online", "location")) == [(False, None)] * 3


def test_again_keeps_who_is_there_adds_who_is_missing_and_resets_the_password() -> None:
    create("--count", "2", "--prefix", "d", "--password", "first words")
    before = dict(Driver.objects.values_list("user__username", "pk"))
    Driver.objects.filter(name="d1").update(capacity=5, name="Dan")

    said = create("--count", "3", "--prefix", "d", "--password", "other words", "--capacity", "2")

    assert said == "d1 … d3: 1 created, 2 kept with a new password."
    after = dict(Driver.objects.values_list("user__username", "pk"))
    assert {name: after[name] for name in before} == before
    assert list(Driver.objects.order_by("pk").values_list("name", "capacity")) == [("Dan", 5), ("d2", 1), ("d3", 2)]
    assert may_sign_in("d1", "other words")
    assert not may_sign_in("d1", "first words")


def test_near_a_place_each_gets_a_position_there() -> None:
    said = create(
        "--count", "30", "--prefix", "d", "--password", "x", "--near", "-33.8688,151.2093", "--spread-km", "2"
    )

    assert said == "d1 … d30: 30 created, 0 kept with a new password, all within 2 km of -33.8688,151.2093."
    sydney = Point(151.2093, -33.8688, srid=4326)
    assert Presence.objects.filter(location__dwithin=(sydney, D(m=2010))).count() == 30
    assert len(set(map(str, Presence.objects.values_list("location", flat=True)))) == 30
    assert not Presence.objects.filter(is_online=True).exists()


def test_a_position_puts_nobody_on_duty_who_was_silent() -> None:
    create("--count", "2", "--prefix", "d", "--password", "x")
    Presence.objects.update(silent_since=ClockTimestamp())
    before = list(Presence.objects.order_by("pk").values_list("is_online", "silent_since"))

    create("--count", "2", "--prefix", "d", "--password", "x", "--near", "-33.8688,151.2093")

    assert list(Presence.objects.order_by("pk").values_list("is_online", "silent_since")) == before
    assert [is_online for is_online, _ in before] == [False, False]
    assert not Presence.objects.filter(location=None).exists()


def test_the_driver_ids_come_in_the_order_of_the_numbers() -> None:
    create_drivers(prefix="d", count=2, password="x")
    fleet = create_drivers(prefix="d", count=11, password="x")

    names = dict(Driver.objects.values_list("pk", "name"))
    assert [names[pk] for pk in fleet.driver_ids] == [f"d{number}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--count", "0"], "--count: Must be from 1 to 200000."),
        (["--count", "999999"], "--count: Must be from 1 to 200000."),
        (["--prefix", "a b"], "--prefix: May hold letters, digits and @ . + - _ only."),
        (["--prefix", ""], "--prefix: Must have from 1 to 99 characters."),
        (["--prefix", "x" * 100], "--prefix: Must have from 1 to 99 characters."),
        (["--password", ""], "--password: Must not be empty."),
        (["--capacity", "51"], "--capacity: Must be from 1 to 50."),
        (["--near", "1,2", "--spread-km", "501"], "--spread-km: Must be from 0 to 500 kilometres."),
        (["--near", "1,2", "--spread-km", "nan"], "--spread-km: Must be from 0 to 500 kilometres."),
        (
            ["--near", "91,2"],
            "Error: argument --near: '91,2' is not on the map: latitude -85 to 85, longitude -180 to 180",
        ),
        (["--near", "here"], "Error: argument --near: 'here' is not LAT,LNG, as in 37.7793,-122.4193"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_name_of_its_option(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError) as refusal:
        create("--count", "2", "--prefix", "d", "--password", "x", *arguments)

    assert str(refusal.value) == complaint
    assert not User.objects.exists()


def test_the_password_of_somebody_who_is_not_just_a_driver_is_never_touched() -> None:
    staff = cast.dispatcher("d2")
    before = staff.password

    with pytest.raises(CommandError, match=r"The user d2 exists and is not just a driver; choose another prefix\."):
        create("--count", "3", "--prefix", "d", "--password", "x")

    assert User.objects.get().password == before
