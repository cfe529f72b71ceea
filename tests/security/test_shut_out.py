"""A new password or a closed account ends every device and socket at once, by whatever door it came."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from dispatch import services
from drivers import signin
from drivers.errors import SignInRefused
from drivers.models import DeviceToken, Driver, Presence
from tests import cast, staff
from tests.dispatch.live.rig import Client, Server, token_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plain_files")]

Connect = Callable[..., Client]
NEW = "a quite different horse"


def root() -> Browser:
    return staff.signed_in(User.objects.create_superuser("root", password=None))


def posted(browser: Browser, url: str, **form: Any) -> None:
    response = browser.post(url, form)
    assert response.status_code == 302, response.content


def drivers_page(user: User) -> None:
    act = reverse("admin:drivers_driver_act", args=[user.driver.pk, "set-password"])
    posted(root(), act, password=NEW)


def users_password_page(user: User) -> None:
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    posted(root(), page, password1=NEW, password2=NEW, usable_password="true")


def no_password_at_all(user: User) -> None:
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    posted(root(), page, **{"usable_password": "false", "unset-password": "1"})


def users_page_deactivates(user: User) -> None:
    joined = user.date_joined
    posted(
        root(),
        reverse("admin:auth_user_change", args=[user.pk]),
        username=user.username,
        date_joined_0=joined.strftime("%Y-%m-%d"),
        date_joined_1=joined.strftime("%H:%M:%S"),
    )
    assert User.objects.get(pk=user.pk).is_active is False


def own_password_page(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    posted(
        staff.signed_in(User.objects.get(pk=user.pk)),
        reverse("admin:password_change"),
        old_password=cast.PASSWORD,
        new_password1=NEW,
        new_password2=NEW,
    )


def changepassword(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: NEW)
    call_command("changepassword", user.username, verbosity=0)


def in_python(user: User) -> None:
    user.set_password(NEW)
    user.save()


def the_service(user: User) -> None:
    assert services.set_driver_password(driver_id=user.driver.pk, password=NEW) == 1


DOORS: list[Callable[[User], None]] = [
    drivers_page,
    users_password_page,
    no_password_at_all,
    users_page_deactivates,
    own_password_page,
    in_python,
    the_service,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_the_drivers_devices_and_sockets_are_gone_within_two_seconds(
    connect_driver: Connect, alice: Driver, bob: Driver, door: Callable[[User], None]
) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    door(User.objects.get(pk=alice.user_id))

    assert at_alice.close_code(within=2) == 4001
    assert not DeviceToken.objects.filter(user=alice.user_id).exists()
    assert not Presence.objects.get(pk=alice.pk).is_online
    assert at_bob.is_served()
    assert DeviceToken.objects.filter(user=bob.user_id).count() == 1


def test_the_command_that_changes_passwords_does_the_same(
    connect_driver: Connect, alice: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_alice = connect_driver(alice)

    changepassword(alice.user, monkeypatch)

    assert at_alice.close_code(within=2) == 4001
    assert not DeviceToken.objects.exists()


def a_new_password(user: User) -> None:
    user.set_password(NEW)
    user.save()


def deactivated(user: User) -> None:
    user.is_active = False
    user.save()


def off_the_staff(user: User) -> None:
    user.is_staff = user.is_superuser = False
    user.save()


def out_of_the_group(user: User) -> None:
    user.is_superuser = False
    user.save()
    user.groups.clear()


def the_group_may_no_longer(user: User) -> None:
    Group.objects.get(name="dispatcher").permissions.clear()


def the_group_is_gone(user: User) -> None:
    Group.objects.get(name="dispatcher").delete()


def moved_from_the_groups_side(user: User) -> None:
    Group.objects.get(name="dispatcher").user_set.remove(user)


def in_the_admin(user: User) -> None:
    page = reverse("admin:auth_user_change", args=[user.pk])
    joined = user.date_joined
    date, time = joined.strftime("%Y-%m-%d"), joined.strftime("%H:%M:%S")
    form = {
        "username": user.username,
        "date_joined_0": date,
        "date_joined_1": time,
        "is_active": "on",
        "is_staff": "on",
    }
    posted(root(), page, **form)


def deleted(user: User) -> None:
    user.delete()


REGROUPED: list[Callable[[User], None]] = [
    out_of_the_group,
    the_group_may_no_longer,
    the_group_is_gone,
    moved_from_the_groups_side,
    in_the_admin,
    deleted,
]


@pytest.mark.parametrize("change", REGROUPED, ids=lambda change: change.__name__)
def test_the_board_closes_when_its_permission_goes(connect_board: Connect, change: Callable[[User], None]) -> None:
    dora = staff.member("dora", "dispatcher")
    at_dora, at_boss = connect_board(dora), connect_board(cast.dispatcher("boss"))

    change(User.objects.get(pk=dora.pk))

    assert at_dora.close_code(within=2) == 4001
    at_boss.send(type="sync")
    assert at_boss.get("snapshot")


def test_a_permission_that_comes_closes_nothing(connect_board: Connect) -> None:
    dora = staff.member("dora", "dispatcher")
    at_dora = connect_board(dora)

    dora.groups.add(Group.objects.get(name="supervisor"))

    at_dora.send(type="sync")
    assert at_dora.get("snapshot")


def test_signing_out_closes_the_board_of_that_session_and_no_other(server: Server, clients: list[Client]) -> None:
    dora = staff.member("dora", "dispatcher")
    here, there = staff.signed_in(dora), staff.signed_in(dora)
    at_here, at_there = (
        Client(
            server.url("/ws/dispatch/"), additional_headers={"Cookie": f"sessionid={window.cookies['sessionid'].value}"}
        )
        for window in (here, there)
    )
    clients += [at_here, at_there]
    for board in (at_here, at_there):
        board.get("snapshot")

    assert here.post(reverse("admin:logout")).status_code in {200, 302}

    assert at_here.close_code(within=2) == 4001
    at_there.send(type="sync")
    assert at_there.get("snapshot")


@pytest.mark.parametrize("change", [a_new_password, deactivated, off_the_staff], ids=lambda change: change.__name__)
def test_the_board_of_a_dispatcher_closes_too(
    connect_board: Connect, dora: User, change: Callable[[User], None]
) -> None:
    at_dora, at_root = connect_board(dora), connect_board(cast.dispatcher("root"))

    change(dora)

    assert at_dora.close_code(within=2) == 4001
    at_root.send(type="sync")
    assert at_root.get("snapshot")


def test_what_does_not_concern_signing_in_signs_nobody_out(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    user = User.objects.get(pk=alice.user_id)

    user.first_name = "Alice"
    user.save()
    # A sign-in, which hashes the password anew because the test's iterations are not the stored ones.
    User.objects.filter(pk=user.pk).update(password="")
    User.objects.filter(pk=user.pk).update(password=_old_hash())
    assert User.objects.get(pk=user.pk).check_password(cast.PASSWORD)
    assert User.objects.get(pk=user.pk).password != _old_hash()

    assert at_alice.is_served()
    assert DeviceToken.objects.filter(user=user).count() == 1


def _old_hash() -> str:
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    return PBKDF2PasswordHasher().encode(cast.PASSWORD, "tests", iterations=500)


def test_a_password_that_changes_while_somebody_signs_in_with_the_old_one_wins(
    alice: Driver, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right when it was checked, and is not when the device would be registered."""
    check = authenticate

    def checked_and_then_changed(**given: Any) -> Any:
        user = check(**given)
        services.set_driver_password(driver_id=alice.pk, password=NEW)
        return user

    monkeypatch.setattr("drivers.signin.authenticate", checked_and_then_changed)

    with pytest.raises(SignInRefused):
        signin.sign_in(request=rf.post("/"), username="alice", password=cast.PASSWORD)

    assert not DeviceToken.objects.exists()
    assert token_of(alice)
