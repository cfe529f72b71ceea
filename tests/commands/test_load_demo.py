import json
import os
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from drivers.models import Driver, Presence
from orders.models import ApiKey
from orders.services import digest_of
from tests import cast

pytestmark = pytest.mark.django_db


def load(*arguments: str) -> list[str]:
    said = StringIO()
    call_command("load_demo", *arguments, "--url", "http://localhost:8000", stdout=said)
    return said.getvalue().splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.json"


def test_the_city_is_made_and_everybody_can_sign_in_as_is_said(file: Path) -> None:
    lines = load("--yes", "--secrets", str(file))

    rows = {
        line.split()[1]: line.split()
        for line in lines
        if line.endswith(("/admin/", "/driver/")) and len(line.split()) == 4
    }
    assert {name: (row[0], row[3]) for name, row in rows.items()} == {
        "dora": ("Dispatcher", "http://localhost:8000/admin/"),
        "sam": ("Supervisor", "http://localhost:8000/admin/"),
        "admin": ("Administrator", "http://localhost:8000/admin/"),
        "dan": ("Driver", "http://localhost:8000/driver/"),
    }
    for name, row in rows.items():
        assert User.objects.get(username=name).check_password(row[2])
    staff = User.objects.filter(is_staff=True).order_by("username")
    assert [(user.username, user.is_superuser, [group.name for group in user.groups.all()]) for user in staff] == [
        ("admin", True, []),
        ("dora", False, ["dispatcher"]),
        ("sam", False, ["supervisor"]),
    ]
    (key_line,) = [line for line in lines if line.strip().startswith("API key")]
    assert ApiKey.objects.get().digest == digest_of(key_line.split()[-1])


def test_forty_drivers_of_all_kinds_are_placed_around_the_city(file: Path) -> None:
    load("--yes", "--secrets", str(file))

    fleet = Driver.objects.filter(user__username__startswith="demo")
    assert fleet.count() == 40
    assert set(fleet.values_list("vehicle", flat=True)) == {"bicycle", "motorbike", "car", "van"}
    assert len(set(fleet.values_list("name", flat=True))) == 40
    assert Presence.objects.filter(driver__in=fleet, location=None).count() == 0


def test_again_changes_nothing_and_says_the_same(file: Path) -> None:
    first = load("--yes", "--secrets", str(file))
    passwords = list(User.objects.order_by("pk").values_list("pk", "password"))
    Driver.objects.filter(user__username="demo1").update(name="Renamed")

    assert load("--yes", "--secrets", str(file)) == first
    assert list(User.objects.order_by("pk").values_list("pk", "password")) == passwords
    assert ApiKey.objects.count() == 1
    assert Driver.objects.get(user__username="demo1").name == "Renamed"


def test_the_secrets_are_for_their_owner_only(file: Path) -> None:
    old = os.umask(0)
    try:
        load("--yes", "--secrets", str(file))
    finally:
        os.umask(old)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"admin", "dora", "sam", "dan", "api_key"}


def test_without_a_file_what_is_not_known_any_more_is_left_alone(file: Path) -> None:
    load("--yes")
    passwords = list(User.objects.order_by("pk").values_list("password", flat=True))

    again = load("--yes")

    assert sum("(not known here)" in line for line in again) == 5
    assert list(User.objects.order_by("pk").values_list("password", flat=True)) == passwords


def test_when_the_file_is_lost_the_demos_own_accounts_get_new_secrets(file: Path) -> None:
    load("--yes", "--secrets", str(file))
    file.unlink()

    again = load("--yes", "--secrets", str(file))

    assert not any("(not known here)" in line for line in again)
    assert User.objects.get(username="dora").check_password(json.loads(file.read_text())["dora"])
    assert User.objects.filter(is_staff=True).count() == 3


def test_an_account_of_that_name_that_is_not_the_demos_is_never_touched(file: Path) -> None:
    mine = cast.dispatcher("admin")

    lines = load("--yes", "--secrets", str(file))

    assert User.objects.get(username="admin").password == mine.password
    assert any("admin" in line and "(not known here)" in line for line in lines)
    assert "admin" not in json.loads(file.read_text())


def test_a_password_that_somebody_changed_is_not_shown_and_stays(file: Path) -> None:
    load("--yes", "--secrets", str(file))
    dora = User.objects.get(username="dora")
    dora.set_password("my own words")
    dora.save()

    lines = load("--yes", "--secrets", str(file))

    assert any("dora" in line and "(not known here)" in line for line in lines)
    assert User.objects.get(username="dora").check_password("my own words")


def test_nothing_is_made_unless_it_is_said_to_be_a_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATON_DEMO", raising=False)
    with pytest.raises(CommandError, match="say --yes or set BATON_DEMO=1"):
        load()
    assert not User.objects.exists()

    monkeypatch.setenv("BATON_DEMO", "1")
    load()
    assert User.objects.filter(username="dora").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"dora": 5}'])
def test_a_file_that_is_something_else_is_not_overwritten(file: Path, text: str) -> None:
    file.write_text(text)

    with pytest.raises(CommandError, match="Delete it"):
        load("--yes", "--secrets", str(file))

    assert file.read_text() == text
    assert not User.objects.exists()
