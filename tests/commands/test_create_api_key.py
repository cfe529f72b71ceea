from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from orders.models import ApiKey, Integrator
from orders.services import digest_of

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("create_api_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_secret_is_alone_on_standard_output_and_only_its_digest_is_kept() -> None:
    out, err = create("Corner shop")

    secret = out.removesuffix("\n")
    assert secret.startswith("bk_")
    assert len(secret.split()) == 1
    key = ApiKey.objects.get()
    assert (key.digest, key.prefix, key.integrator.name) == (digest_of(secret), secret[:11], "Corner shop")
    assert key.scopes == ["orders:read", "orders:write"]
    assert err == f"API key {secret[:11]}… of Corner shop (orders:read, orders:write). This is shown only once:\n"


def test_the_scopes_are_those_asked_for() -> None:
    create("Console scripts", "--scopes", "dispatch, orders:read")

    assert ApiKey.objects.get().scopes == ["dispatch", "orders:read"]


def test_another_key_of_the_same_integrator_leaves_the_first_valid() -> None:
    first, second = create("Corner shop")[0], create("Corner shop")[0]

    assert first != second
    assert Integrator.objects.count() == 1
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["Shop", "--scopes", "orders:read,admin"],
            "--scopes: Unknown scope admin; choose from orders:read, orders:write, dispatch.",
        ),
        (["Shop", "--scopes", ""], "--scopes: Unknown scope (none); choose from orders:read, orders:write, dispatch."),
        (["  "], "--name: Must have from 1 to 100 characters."),
        (["x" * 101], "--name: Must have from 1 to 100 characters."),
    ],
)
def test_nonsense_is_refused_and_creates_nothing(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError) as refusal:
        create(*arguments)

    assert str(refusal.value) == complaint
    assert not Integrator.objects.exists()
