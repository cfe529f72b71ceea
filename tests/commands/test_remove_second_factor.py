from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django_otp.plugins.otp_totp.models import TOTPDevice

from dispatch import services
from tests import codes

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_last_superuser_gets_in_again(dora: User) -> None:
    services.enrol_second_factor(user_id=dora.pk, key="00" * 20, code=codes.code_of(bytes(20)))
    out = StringIO()

    call_command("remove_second_factor", "dora", stdout=out)

    assert out.getvalue() == "The second factor of dora is removed.\n"
    assert not TOTPDevice.objects.exists()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("nobody", "USER: There is no user nobody."), ("dora", "USER: dora has no second factor.")],
)
def test_nothing_to_remove_is_said(dora: User, name: str, complaint: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("remove_second_factor", name)
    assert str(refusal.value) == complaint
