"""The two groups, exactly, and that whoever lacks a permission is refused by the server."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests import staff

pytestmark = pytest.mark.django_db

DISPATCHER = {
    "orders.view_order",
    "orders.add_order",
    "orders.change_order",
    "orders.dispatch_order",
    "orders.view_ordercontact",
    "orders.view_orderevent",
    "drivers.view_driver",
    "drivers.duty_driver",
    "drivers.view_presence",
    "dispatch.view_offer",
    "dispatch.view_message",
    "dispatch.add_message",
    "orders.view_savedplace",
}
SUPERVISOR = DISPATCHER | {
    "drivers.add_driver",
    "drivers.change_driver",
    "drivers.view_devicetoken",
    "drivers.delete_devicetoken",
    "orders.view_integrator",
    "orders.add_integrator",
    "orders.change_integrator",
    "orders.view_apikey",
    "orders.add_apikey",
    "orders.change_apikey",
    "orders.view_contactaccess",
    "orders.add_savedplace",
    "orders.change_savedplace",
    "orders.delete_savedplace",
    "dispatch.view_reportquarter",
    "dispatch.view_auditverdict",
    "dispatch.view_sweepheartbeat",
    "django_q.view_schedule",
    "django_q.view_success",
    "django_q.view_failure",
    "django_q.view_ormq",
    "axes.view_accessattempt",
    "axes.delete_accessattempt",
    "otp_totp.view_totpdevice",
    "otp_totp.delete_totpdevice",
}
PAGES = {
    "": DISPATCHER,
    "board/": {"orders.view_order", "drivers.view_driver"},
    "report/": {"dispatch.view_reportquarter"},
    "orders/savedplace/": {"orders.view_savedplace"},
    "orders/savedplace/add/": {"orders.add_savedplace"},
    "dispatch/message/": {"dispatch.view_message"},
    "orders/order/": {"orders.view_order"},
    "orders/order/add/": {"orders.add_order"},
    "orders/orderevent/": {"orders.view_orderevent"},
    "dispatch/offer/": {"dispatch.view_offer"},
    "drivers/driver/": {"drivers.view_driver"},
    "drivers/driver/add/": {"drivers.add_driver"},
    "orders/integrator/": {"orders.view_integrator"},
    "orders/integrator/add/": {"orders.add_integrator"},
    "orders/apikey/": {"orders.view_apikey"},
    "orders/apikey/add/": {"orders.add_apikey"},
    "django_q/schedule/": {"django_q.view_schedule"},
    "django_q/success/": {"django_q.view_success"},
    "django_q/failure/": {"django_q.view_failure"},
    "django_q/ormq/": {"django_q.view_ormq"},
    "dispatch/auditverdict/": {"dispatch.view_auditverdict"},
    "dispatch/sweepheartbeat/": {"dispatch.view_sweepheartbeat"},
    "axes/accessattempt/": {"axes.view_accessattempt"},
    "otp_totp/totpdevice/": {"otp_totp.view_totpdevice"},
    "orders/contactaccess/": {"orders.view_contactaccess"},
    "auth/user/": {"auth.view_user"},
    "auth/group/": {"auth.view_group"},
}


@pytest.mark.parametrize(("group", "expected"), [("dispatcher", DISPATCHER), ("supervisor", SUPERVISOR)])
def test_a_group_has_exactly_the_permissions_that_it_needs(group: str, expected: set[str]) -> None:
    permissions = Group.objects.get(name=group).permissions.values_list("content_type__app_label", "codename")

    assert {f"{app}.{codename}" for app, codename in permissions} == expected


def test_the_migration_run_again_doubles_nothing() -> None:
    before = Permission.objects.count()

    staff.make_groups()

    assert (Group.objects.count(), Permission.objects.count()) == (2, before)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_for_those_who_may_see_it(dispatcher: Client, supervisor: Client, page: str) -> None:
    stranger = staff.signed_in(User.objects.create_user("stan", is_staff=True))
    driver = staff.signed_in(User.objects.create_user("drew"))

    assert dispatcher.get(f"/admin/{page}").status_code == (200 if PAGES[page] <= DISPATCHER else 403)
    assert supervisor.get(f"/admin/{page}").status_code == (200 if PAGES[page] <= SUPERVISOR else 403)
    assert stranger.get(f"/admin/{page}").status_code == (200 if page == "" else 403)
    assert driver.get(f"/admin/{page}").status_code == 302
    assert Client().get(f"/admin/{page}").status_code == 302


def test_the_menu_leads_only_to_what_one_may_see(dispatcher: Client, supervisor: Client) -> None:
    def menu(client: Client) -> dict[str, list[str]]:
        apps = client.get("/admin/").context["available_apps"]
        return {app["name"]: [model["name"] for model in app["models"]] for app in apps}

    assert menu(dispatcher) == {
        "Orders": ["Console", "Orders", "Offers", "History", "Saved places"],
        "Drivers": ["Drivers", "Messages"],
    }
    assert menu(supervisor) == {
        "Orders": ["Console", "Orders", "Offers", "History", "Saved places"],
        "Drivers": ["Drivers", "Messages"],
        "Reports": ["Shift report"],
        "Integrations": ["Integrators", "API keys"],
        "Background": ["Sweeps", "Audit", "Schedules", "Queue", "Failed tasks", "Successful tasks"],
        "Access": ["Second factors", "Failed sign-ins", "Looks at customers"],
    }


def test_a_stranger_on_the_front_page_is_told_no_counts() -> None:
    stranger = staff.signed_in(User.objects.create_user("stan", is_staff=True))

    assert stranger.get("/admin/").context["tiles"] == []


def test_nothing_inline_that_the_content_security_policy_would_block(supervisor: Client) -> None:
    for page in PAGES:
        response = supervisor.get(f"/admin/{page}")
        html = response.content.decode()
        assert "default-src 'self'" in response.headers["Content-Security-Policy"], page
        assert "unsafe" not in response.headers["Content-Security-Policy"], page
        assert re.findall(r"<style|<script>|\sstyle=|\son[a-z]+=|javascript:", html) == [], page
