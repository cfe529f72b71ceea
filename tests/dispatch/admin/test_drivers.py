"""Drivers in the back office: registering, correcting, duty, suspension and devices."""

from typing import Any

import pytest
from django.test import Client

from dispatch import services
from drivers.models import DeviceToken, Driver, Presence
from tests import cast, staff

pytestmark = pytest.mark.django_db
LIST = "/admin/drivers/driver/"


def url(driver: Driver, verb: str = "") -> str:
    return f"{LIST}{driver.pk}/act/{verb}/" if verb else f"{LIST}{driver.pk}/change/"


def press(client: Client, driver: Driver, verb: str, **data: Any) -> list[str]:
    return staff.lines(client.post(url(driver, verb), data, follow=True))


def act(client: Client, action: str, *drivers: Driver) -> list[str]:
    posted = {"action": action, "index": 0, "_selected_action": [driver.pk for driver in drivers]}
    return staff.lines(client.post(LIST, posted, follow=True))


def typed(**changes: Any) -> dict[str, Any]:
    given = {"name": "Eve", "phone": "1", "vehicle": "van", "capacity": 2, "username": "eve", "password": cast.PASSWORD}
    return {**given, **changes}


def test_a_supervisor_registers_a_driver_who_can_sign_in(supervisor: Client) -> None:
    response = supervisor.post(f"{LIST}add/", typed(), follow=True)

    driver = Driver.objects.get()
    assert staff.lines(response) == ["Eve: registered."]
    assert (driver.name, driver.phone, driver.vehicle, driver.capacity) == ("Eve", "1", "van", 2)
    assert driver.user.check_password(cast.PASSWORD)
    assert not driver.user.is_staff
    assert Presence.objects.get(pk=driver.pk).is_online is False


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"username": "alice"}, "username", "Somebody else signs in by that name."),
        ({"password": "12345678"}, "password", "This password is too common."),
        ({"capacity": 0}, "capacity", "Ensure this value is greater than or equal to 1."),
        ({"vehicle": "rocket"}, "vehicle", "Select a valid choice. rocket is not one of the available choices."),
        ({"name": ""}, "name", "This field is required."),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_nobody_is_registered(
    supervisor: Client, alice: Driver, wrong: dict[str, Any], field: str, text: str
) -> None:
    response = supervisor.post(f"{LIST}add/", typed(**wrong))

    assert response.context["adminform"].form.errors == {field: [text]}
    assert Driver.objects.count() == 1


def test_details_are_corrected(supervisor: Client, alice: Driver) -> None:
    given = {"name": "Alice B.", "phone": "2", "vehicle": "bicycle", "capacity": 3}

    supervisor.post(url(alice), given)

    alice.refresh_from_db()
    assert (alice.name, alice.phone, alice.vehicle, alice.capacity) == ("Alice B.", "2", "bicycle", 3)


def test_a_capacity_below_the_load_is_an_error_of_that_field(supervisor: Client) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    for _ in range(2):
        services.assign_order(order_id=cast.order().pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    given = {"name": "Other", "phone": "", "vehicle": "car", "capacity": 1}

    response = supervisor.post(url(alice), given)

    assert response.context["adminform"].form.errors == {
        "capacity": ["They hold 2 orders now; unassign some first, or choose 2."]
    }
    alice.refresh_from_db()
    assert (alice.name, alice.capacity) == ("Alice", 2)


def test_duty_is_the_dispatchers_and_told_per_row(dispatcher: Client, alice: Driver, bob: Driver) -> None:
    services.suspend_driver(driver_id=bob.pk)
    order = cast.order()

    assert act(dispatcher, "go_off_duty", alice, bob) == ["Take off duty: 2 done.", "Alice: off duty", "Bob: off duty"]
    assert cast.offers(order) == {"alice": "lapsed"}
    assert act(dispatcher, "go_on_duty", alice, bob) == [
        "Put on duty: 1 done, 1 not done.",
        "Bob: not done: this driver is suspended",
        "Alice: on duty",
    ]
    assert list(Presence.objects.order_by("pk").values_list("is_online", flat=True)) == [True, False]


def test_suspending_is_the_supervisors(dispatcher: Client, supervisor: Client, alice: Driver) -> None:
    assert act(dispatcher, "suspend", alice) == ["No action selected."]
    assert dispatcher.post(url(alice, "suspend")).status_code == 403
    assert Driver.objects.get(pk=alice.pk).suspended is False

    assert press(supervisor, alice, "suspend") == ["Alice: suspended, off duty and signed out"]
    assert Driver.objects.get(pk=alice.pk).suspended is True
    assert press(supervisor, alice, "reinstate") == ["Alice: reinstated"]
    assert Driver.objects.get(pk=alice.pk).suspended is False


def test_one_device_is_signed_out_and_the_others_stay(supervisor: Client, alice: Driver) -> None:
    phone, _ = DeviceToken.objects.create(user=alice.user, device="Phone")
    tablet, _ = DeviceToken.objects.create(user=alice.user, device="Tablet")

    page = staff.page_text(supervisor.get(url(alice)))
    assert "Phone" in page
    assert "Tablet" in page
    assert press(supervisor, alice, "sign-out-device", digest=phone.digest) == [
        "Alice: that device is signed out, off duty"
    ]

    assert list(DeviceToken.objects.values_list("device", flat=True)) == ["Tablet"]
    assert Presence.objects.get(pk=alice.pk).is_online is False
    assert press(supervisor, alice, "sign-out") == ["Alice: 1 device signed out, off duty"]
    assert press(supervisor, alice, "sign-out") == ["Alice: no device was signed in, off duty"]
    assert DeviceToken.objects.count() == 0
    assert tablet.device == "Tablet"


def test_nobody_signs_a_device_of_somebody_else_out_by_this_drivers_page(
    supervisor: Client, alice: Driver, bob: Driver
) -> None:
    bobs, _ = DeviceToken.objects.create(user=bob.user)

    press(supervisor, alice, "sign-out-device", digest=bobs.digest)

    assert DeviceToken.objects.count() == 1


def test_a_new_password_signs_all_devices_out(supervisor: Client, alice: Driver) -> None:
    DeviceToken.objects.create(user=alice.user)

    assert press(supervisor, alice, "set-password", password="short") == [
        "Alice: not done: This password is too short. It must contain at least 8 characters."
    ]
    assert DeviceToken.objects.count() == 1
    assert press(supervisor, alice, "set-password", password="a fine new password") == [
        "Alice: new password set; 1 device signed out, off duty"
    ]
    alice.user.refresh_from_db()
    assert alice.user.check_password("a fine new password")
    assert DeviceToken.objects.count() == 0


def test_a_dispatcher_sees_drivers_but_neither_devices_nor_a_form(dispatcher: Client, alice: Driver) -> None:
    DeviceToken.objects.create(user=alice.user, device="Phone")

    page = dispatcher.get(url(alice))

    assert page.context["devices"] is None
    assert page.context["may_correct"] is False
    assert page.context["verbs"] == {"off-duty"}
    assert dispatcher.post(url(alice), {"name": "X"}).status_code == 403
    assert dispatcher.get(f"{LIST}add/").status_code == 403
    for verb in ("sign-out", "sign-out-device", "set-password", "reinstate"):
        assert dispatcher.post(url(alice, verb), {"digest": "x", "password": cast.PASSWORD}).status_code == 403
    assert DeviceToken.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Alice", "Bob", "Carl"]),
        ("?duty=live", ["Alice"]),
        ("?duty=silent", ["Bob"]),
        ("?duty=off", ["Carl"]),
        ("?vehicle__exact=bicycle", ["Carl"]),
        ("?suspended__exact=1", []),
        ("?q=ali", ["Alice"]),
    ],
)
def test_the_list_filters_by_duty(
    dispatcher: Client, alice: Driver, bob: Driver, query: str, expected: list[str]
) -> None:
    from drivers.models import Vehicle

    cast.driver("carl", is_online=False, vehicle=Vehicle.BICYCLE)
    Presence.objects.filter(pk=bob.pk).update(last_seen="2020-01-01T00:00:00Z")

    rows = dispatcher.get(f"{LIST}{query}").context["cl"].result_list

    assert [driver.name for driver in rows] == expected


def test_a_driver_whom_the_sweep_took_off_duty_is_silent_not_off(dispatcher: Client, alice: Driver) -> None:
    Presence.objects.filter(pk=alice.pk).update(last_seen="2020-01-01T00:00:00Z")
    services.mark_silent_drivers_offline()

    assert [driver.name for driver in dispatcher.get(f"{LIST}?duty=silent").context["cl"].result_list] == ["Alice"]
    assert "silent" in staff.page_text(dispatcher.get(url(alice)))


def test_the_list_takes_the_same_few_queries_however_long_it_is(
    dispatcher: Client, alice: Driver, django_assert_num_queries: Any
) -> None:
    for number in range(8):
        cast.driver(f"driver{number}")
    with django_assert_num_queries(7):
        dispatcher.get(LIST)


def test_finding_a_driver_to_assign_never_lists_them_all(dispatcher: Client, alice: Driver) -> None:
    for number in range(25):
        cast.driver(f"driver{number}")

    answer = dispatcher.get("/admin/autocomplete/?app_label=orders&model_name=order&field_name=driver&term=").json()

    assert len(answer["results"]) == 20
    assert answer["pagination"] == {"more": True}


def test_what_is_no_driver_is_refused_clearly(dispatcher: Client) -> None:
    posted = {"action": "go_on_duty", "index": 0, "_selected_action": ["x"]}

    assert staff.lines(dispatcher.post(LIST, posted, follow=True)) == [
        "Something that was selected is no driver. Nothing was done."
    ]
