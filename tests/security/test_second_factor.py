"""The staff's second factor: setting it up, signing in with it, losing it; and that every door asks for it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from dispatch import services
from drivers import second_factor
from drivers.errors import Invalid, Throttled
from tests import cast, codes, staff

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plain_files")]


@pytest.fixture
def member() -> User:
    return staff.member("sam", "supervisor")


def error_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    (error,) = response.context["form"].errors["code"]
    return str(error)


# --- Setting it up ---


def test_the_page_shows_a_picture_and_a_key_and_believes_the_app_that_has_it(member: User) -> None:
    browser = staff.signed_in(member)
    page = browser.get(codes.PAGE)

    assert b"<svg" in page.content
    assert b"style=" not in page.content.split(b'class="qr"')[1].split(b"</svg>")[0]
    assert codes.key_on(browser.get(codes.PAGE)) == codes.key_on(page)
    backup = codes.set_up(browser)

    assert (len(backup), len(set(backup))) == (10, 10)
    assert TOTPDevice.objects.get().user == member
    assert staff.is_in(browser)
    assert "no-store" in browser.get(codes.PAGE).headers["Cache-Control"]
    assert list(LogEntry.objects.values_list("user__username", "object_repr", "change_message")) == [
        ("sam", "sam", "Set up a second factor.")
    ]


def test_an_app_that_shows_something_else_is_not_believed(member: User) -> None:
    browser = staff.signed_in(member)
    key = codes.key_on(browser.get(codes.PAGE))
    wrong = f"{(int(codes.code_of(key)) + 1) % 1_000_000:06d}"

    answer = browser.post(codes.PAGE, {"act": "enrol", "code": wrong})

    assert answer.status_code == 200
    assert b"That is not what the app should show now." in answer.content
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()
    assert codes.key_on(answer) == key


def test_a_second_one_is_not_set_up_beside_the_first(member: User) -> None:
    codes.enrolled(member)
    with pytest.raises(Invalid):
        services.enrol_second_factor(user_id=member.pk, key="00" * 20, code=codes.code_of(bytes(20)))
    assert TOTPDevice.objects.count() == 1


def test_nothing_that_is_stored_signs_anybody_in(member: User) -> None:
    backup = codes.enrolled(member)
    stored = set(StaticToken.objects.values_list("token", flat=True))

    assert len(stored) == 10
    assert not stored & {code.replace("-", "") for code in backup}
    for token in (next(iter(stored)), TOTPDevice.objects.get().key):
        StaticDevice.objects.update(throttling_failure_timestamp=None)
        assert error_of(codes.sign_in(Client(), member, token)) == "That code is wrong, or was used before."


# --- Signing in ---


def test_whoever_has_none_signs_in_as_before(member: User) -> None:
    browser = Client()
    assert codes.sign_in(browser, member).status_code == 302
    assert staff.is_in(browser)


def test_the_password_alone_is_not_enough(member: User) -> None:
    codes.enrolled(member)
    browser = Client()

    answer = codes.sign_in(browser, member)

    assert error_of(answer) == "This account has a second factor: enter the code of its app, or a backup code."
    assert "sessionid" not in browser.cookies
    assert not staff.is_in(browser)


def test_password_and_code_together_are(member: User) -> None:
    codes.enrolled(member)
    browser = Client()
    code = codes.shown(member)

    assert codes.sign_in(browser, member, f"{code[:3]} {code[3:]}").status_code == 302
    assert staff.is_in(browser)


def test_a_code_is_good_once(member: User) -> None:
    codes.enrolled(member)
    code = codes.shown(member)
    assert codes.sign_in(Client(), member, code).status_code == 302

    again = Client()
    assert error_of(codes.sign_in(again, member, code)) == "That code is wrong, or was used before."
    assert not staff.is_in(again)


def test_a_code_that_is_sent_twice_at_once_opens_one_session(member: User) -> None:
    codes.enrolled(member)
    code = codes.shown(member)

    def attempt(_: int) -> bool:
        try:
            return bool(second_factor.check_code(user_id=member.pk, code=code))
        except (Invalid, Throttled):
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(attempt, range(8))) == 1


def test_a_backup_code_signs_in_once(member: User) -> None:
    first, *_ = codes.enrolled(member)
    browser = Client()

    assert codes.sign_in(browser, member, first.upper()).status_code == 302
    assert staff.is_in(browser)
    assert StaticToken.objects.count() == 9
    assert error_of(codes.sign_in(Client(), member, first)) == "That code is wrong, or was used before."


def test_a_right_code_with_a_wrong_password_is_not_even_looked_at(member: User) -> None:
    codes.enrolled(member)
    code = codes.shown(member)

    assert codes.sign_in(Client(), member, code, password="wrong").status_code == 200
    assert codes.sign_in(Client(), member, code).status_code == 302


def test_after_a_wrong_code_even_the_right_one_waits_twice_as_long_each_time(member: User) -> None:
    codes.enrolled(member)
    for _ in range(4):
        with pytest.raises(Invalid):
            second_factor.check_code(user_id=member.pk, code="000000")
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
    with pytest.raises(Invalid):
        second_factor.check_code(user_id=member.pk, code="000000")

    with pytest.raises(Throttled) as refusal:
        second_factor.check_code(user_id=member.pk, code=codes.shown(member))
    assert 14 <= refusal.value.data["retry_after"] <= 16
    assert error_of(codes.sign_in(Client(), member, codes.shown(member))).startswith("Too many wrong codes. Wait 1")

    # Nobody is shut out for ever by somebody else who knows the password.
    TOTPDevice.objects.update(throttling_failure_count=40, throttling_failure_timestamp=None)
    with pytest.raises(Invalid):
        second_factor.check_code(user_id=member.pk, code="000000")
    assert TOTPDevice.objects.get().throttling_failure_count == second_factor.COUNTED_FAILURES


def test_wrong_codes_lock_name_and_address_out_like_wrong_passwords(member: User, settings: Any) -> None:
    codes.enrolled(member)
    answers = []
    for _ in range(settings.AXES_FAILURE_LIMIT):
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        answers.append(codes.sign_in(Client(), member, "000000").status_code)

    assert answers == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert codes.sign_in(Client(), member, codes.shown(member)).status_code == 429
    assert AccessAttempt.objects.get().failures_since_start == settings.AXES_FAILURE_LIMIT + 1
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    assert codes.sign_in(elsewhere, member, codes.shown(member)).status_code == 302


def test_sessions_from_before_must_show_it_too(member: User) -> None:
    here, there = staff.signed_in(member), staff.signed_in(member)
    codes.set_up(here)

    assert (staff.is_in(here), staff.is_in(there)) == (True, False)
    assert there.get(codes.PAGE).headers["Location"].startswith("/admin/login/?next=")


# --- Losing it ---


def test_its_owner_removes_it_or_makes_new_codes_with_a_code(member: User) -> None:
    browser = staff.signed_in(member)
    old = codes.set_up(browser)

    refused = browser.post(codes.PAGE, {"act": "remove", "code": "000000"})
    assert refused.context["error"] == "That code is wrong, or was used before."
    assert TOTPDevice.objects.count() == 1
    codes.much_later(member)
    answer = browser.post(codes.PAGE, {"act": "renew", "code": codes.shown(member)})
    assert answer.status_code == 200
    assert error_of(codes.sign_in(Client(), member, old[0])) == "That code is wrong, or was used before."
    codes.much_later(member)
    assert browser.post(codes.PAGE, {"act": "remove", "code": codes.shown(member)}).status_code == 302

    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()
    assert codes.sign_in(Client(), member).status_code == 302
    assert sorted(LogEntry.objects.values_list("change_message", flat=True)) == [
        "Made new backup codes.",
        "Removed the second factor.",
        "Set up a second factor.",
    ]


LIST = "/admin/otp_totp/totpdevice/"


def act(browser: Client, action: str, user: User) -> list[str]:
    posted = {"action": action, "_selected_action": [TOTPDevice.objects.get(user=user).pk]}
    return staff.lines(browser.post(LIST, posted, follow=True))


def test_a_supervisor_removes_a_lost_one_and_it_is_on_record(member: User) -> None:
    dora = staff.member("dora", "dispatcher")
    codes.enrolled(dora)
    sam = staff.signed_in(member)

    assert "Remove: the phone is lost" in staff.page_text(sam.get(LIST))
    assert act(sam, "remove", dora) == ["dora: removed the second factor."]

    assert not TOTPDevice.objects.exists()
    assert codes.sign_in(Client(), dora).status_code == 302
    last = LogEntry.objects.latest("pk")
    assert (str(last.user), last.object_repr, last.change_message) == ("sam", "dora", "Removed the second factor.")


def test_nobody_removes_their_own_in_the_list_or_a_superusers_who_is_none(member: User) -> None:
    root = User.objects.create_superuser("root", password=cast.PASSWORD)
    codes.enrolled(root)
    browser = staff.signed_in(member)
    codes.set_up(browser)

    assert act(browser, "remove", root) == ["root: not done: only a superuser may do that for a superuser."]
    assert act(browser, "remove", member) == ["sam: not done: your own is on the page “Second factor”, with a code."]
    assert TOTPDevice.objects.count() == 2


def test_staff_can_unlock_one_and_never_see_its_key(member: User) -> None:
    dora = staff.member("dora", "dispatcher")
    codes.enrolled(dora)
    TOTPDevice.objects.update(throttling_failure_count=9)
    with pytest.raises(Invalid):
        second_factor.check_code(user_id=dora.pk, code="000000")
    sam = staff.signed_in(member)
    page = sam.get(LIST)
    assert "locked: 10 wrong codes" in staff.page_text(page)

    assert act(sam, "unlock", dora) == ["dora: unlocked the second factor."]

    assert codes.sign_in(Client(), dora, codes.shown(dora)).status_code == 302
    device = TOTPDevice.objects.get()
    detail = sam.get(f"{LIST}{device.pk}/change/")
    for shown in (page, detail):
        assert device.key.encode() not in shown.content


def test_a_dispatcher_neither_sees_nor_removes_any(member: User) -> None:
    codes.enrolled(member)
    dora = staff.signed_in(staff.member("dora", "dispatcher"))

    assert dora.get(LIST).status_code == 403
    assert dora.post(LIST, {"action": "remove", "_selected_action": ["1"]}).status_code == 403
    assert TOTPDevice.objects.count() == 1
