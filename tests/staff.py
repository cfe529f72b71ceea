"""The people of the back office, as the migration makes them, and how to read what it tells them."""

import importlib
import re
from html import unescape
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from tests import cast


def make_groups() -> None:
    """The groups again, for tests that empty the tables."""
    importlib.import_module("dispatch.migrations.0003_staff_groups").make_groups(apps, None)
    importlib.import_module("dispatch.migrations.0010_second_factors").allow(apps, None)
    importlib.import_module("dispatch.migrations.0007_console_permissions").widen_groups(apps, None)
    importlib.import_module("dispatch.migrations.0008_shift_report").let_supervisors_read(apps, None)
    importlib.import_module("dispatch.migrations.0013_audit_verdict").let_supervisors_read(apps, None)


def member(name: str, group: str) -> User:
    if not Group.objects.filter(name=group).exists():
        make_groups()
    user = User.objects.create_user(name, password=cast.PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def lines(response: Any) -> list[str]:
    """What the page's messages say, one entry per message or per row of a report, as text."""
    found: list[str] = []
    for message in response.context["messages"]:
        rows = re.findall(r"<li[^>]*>(.*?)</li>", str(message))
        title = re.findall(r"<strong[^>]*>(.*?)</strong>", str(message))
        found += [_text(part) for part in (title + rows if title else [str(message)])]
    return found


def page_text(response: Any) -> str:
    return _text(response.content.decode())


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split()).replace(" :", ":").replace(" ,", ",")


def is_in(client: Client) -> bool:
    """Whether the back office lets this session in."""
    return bool(client.get("/admin/").status_code == 200)
