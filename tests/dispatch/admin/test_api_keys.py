"""API keys: made by the service, shown once, revoked."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import formats, timezone

from orders import services
from orders.models import ApiKey, Integrator
from tests import staff
from tests.dispatch.api import callers

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/apikey/"


def test_the_secret_is_shown_once_and_only_once(supervisor: Client) -> None:
    response = supervisor.post(f"{LIST}add/", {"name": "Corner Shop", "scopes": ["orders:read", "orders:write"]})

    secret = response.context["secret"]
    key = ApiKey.objects.get()
    assert secret in staff.page_text(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert key.digest == services.digest_of(secret)
    assert (key.integrator.name, key.scopes) == ("Corner Shop", ["orders:read", "orders:write"])
    for page in (LIST, f"{LIST}{key.pk}/change/", "/admin/", f"{LIST}{key.pk}/history/"):
        html = supervisor.get(page).content.decode()
        assert secret not in html
        assert key.digest not in html


def test_a_second_key_is_the_same_integrators(supervisor: Client) -> None:
    for _ in range(2):
        supervisor.post(f"{LIST}add/", {"name": "Corner Shop", "scopes": ["orders:read"]})

    assert (Integrator.objects.count(), ApiKey.objects.count()) == (1, 2)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": "Shop", "scopes": ["world"]}, "scopes"),
        ({"name": "Shop"}, "scopes"),
        ({"scopes": ["dispatch"]}, "name"),
    ],
)
def test_a_mistake_is_shown_at_its_field(supervisor: Client, typed: dict[str, object], field: str) -> None:
    response = supervisor.post(f"{LIST}add/", typed)

    assert list(response.context["adminform"].form.errors) == [field]
    assert ApiKey.objects.count() == 0


def test_the_list_shows_a_keys_beginning_and_when_it_was_last_used(supervisor: Client) -> None:
    key, secret = services.create_api_key(name="Shop", scopes=["orders:read"])
    assert key.prefix in staff.page_text(supervisor.get(LIST))

    def use() -> datetime | None:
        assert callers.bearer(secret).get("orders/").status_code == 200
        return ApiKey.objects.get().last_used_at

    assert ApiKey.objects.get().last_used_at is None
    first = use()
    assert first is not None
    # Not worth a write per request: once a minute.
    assert use() == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    again = use()
    assert again is not None
    assert again >= first
    shown = supervisor.get(LIST).content.decode()
    assert formats.date_format(timezone.localtime(again), "DATETIME_FORMAT") in shown


def test_a_key_is_revoked_for_good(supervisor: Client) -> None:
    key, _ = services.create_api_key(name="Shop", scopes=["orders:read"])

    supervisor.post(f"{LIST}{key.pk}/revoke/")
    first = ApiKey.objects.get().revoked_at
    supervisor.post(f"{LIST}{key.pk}/revoke/")

    assert first is not None
    assert ApiKey.objects.get().revoked_at == first
    assert "Revoke" not in staff.page_text(supervisor.get(f"{LIST}{key.pk}/change/")).replace("Revoked", "")


def test_a_dispatcher_has_nothing_to_do_with_keys(dispatcher: Client) -> None:
    key, _ = services.create_api_key(name="Shop", scopes=["orders:read"])

    assert dispatcher.post(f"{LIST}{key.pk}/revoke/").status_code == 403
    assert dispatcher.post(f"{LIST}add/", {"name": "Shop", "scopes": ["dispatch"]}).status_code == 403
    assert (ApiKey.objects.get().revoked_at, ApiKey.objects.count()) == (None, 1)


def test_a_key_is_neither_edited_nor_deleted(supervisor: Client) -> None:
    key, _ = services.create_api_key(name="Shop", scopes=["orders:read"])

    assert supervisor.post(f"{LIST}{key.pk}/change/", {"scopes": "dispatch"}).status_code == 403
    assert supervisor.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert ApiKey.objects.get().scopes == ["orders:read"]
