from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from drivers.authentication import OTHER_MARK, driver_of_token
from drivers.errors import DriverSuspended
from drivers.models import DeviceToken, Driver
from orders.services import KEY_MARK
from tests import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(alice: Driver) -> str:
    _, token = DeviceToken.objects.create(user=alice.user, device="phone")
    return str(token)


def test_a_token_says_who_and_which_device_in_one_query(
    alice: Driver, token: str, django_assert_num_queries: object
) -> None:
    assert callable(django_assert_num_queries)
    with django_assert_num_queries(1):
        found = driver_of_token(token)
        assert found is not None
        driver, device_token = found
        shown = (driver.name, driver.vehicle, driver.capacity, driver.suspended, driver.user.username)
        same = (device_token.user.pk, driver.user.driver.pk, device_token.device)

    assert driver == alice
    assert shown == ("Alice", "car", 1, False, "alice")
    assert same == (alice.user_id, alice.pk, "phone")


def test_only_the_digest_is_stored(token: str) -> None:
    (row,) = DeviceToken.objects.all()

    assert token not in {row.digest, row.token_key, row.device}
    assert len(row.digest) == 128


def test_an_expired_token_is_nobodys(token: str) -> None:
    DeviceToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))

    assert driver_of_token(token) is None


def test_a_revoked_token_is_nobodys(token: str) -> None:
    DeviceToken.objects.all().delete()

    assert driver_of_token(token) is None


def test_a_deactivated_user_has_no_token(token: str) -> None:
    User.objects.update(is_active=False)

    assert driver_of_token(token) is None


def test_a_user_who_is_no_driver_has_no_token(dora: User) -> None:
    _, token = DeviceToken.objects.create(user=dora)

    assert driver_of_token(token) is None


def test_a_suspended_driver_is_told_so(alice: Driver, token: str) -> None:
    Driver.objects.filter(pk=alice.pk).update(suspended=True)

    with pytest.raises(DriverSuspended):
        driver_of_token(token)


@pytest.mark.parametrize("wrong", ["", "0" * 64, "é", "a\x00b", "' OR 1=1 --", "x" * 100_000])
def test_anything_else_is_nobodys(token: str, wrong: str) -> None:
    assert driver_of_token(wrong) is None
    assert driver_of_token(token + "0") is None
    assert driver_of_token(token[:-1]) is None


def test_the_two_kinds_of_bearer_tokens_cannot_be_confused() -> None:
    assert OTHER_MARK == KEY_MARK
    assert not DeviceToken.objects.create(user=cast.driver("zed").user)[1].startswith(OTHER_MARK)
