"""The console's page: whom it is for, and what its scripts are told."""

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from config import admin_site
from dispatch.selectors_access import BOARD_PERMISSIONS
from tests import staff

pytestmark = pytest.mark.django_db


def settings_of(client: Client) -> Any:
    html = client.get("/admin/board/").content.decode()
    (document,) = re.findall(r'<script id="board-settings" type="application/json">(.*?)</script>', html)
    return json.loads(document)


def policy(client: Client) -> dict[str, str]:
    header = client.get("/admin/board/").headers["Content-Security-Policy"]
    return dict(part.split(" ", 1) for part in header.split("; "))


def test_the_page_tells_its_scripts_who_asks_and_where_things_are(dispatcher: Client) -> None:
    told = settings_of(dispatcher)

    assert told["user"] == {"id": User.objects.get(username="dora").pk, "name": "dora"}
    assert told["urls"] == {
        "api": "/api/v1/",
        "socket": "/ws/dispatch/",
        "order": "/admin/orders/order/ID/change/",
    }
    assert (told["live_seconds"], told["radius_km"], told["center"]) == (60, 5, None)
    assert told["map"] == {
        "style": None,
        "tiles": None,
        "attribution": "",
        "worker": "/static/node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs",
        "styles": "/static/node_modules/maplibre-gl/dist/maplibre-gl.css",
    }


def test_a_member_of_staff_is_told_only_of_what_they_may_do(dispatcher: Client) -> None:
    onlooker = User.objects.create_user("otto", is_staff=True)
    onlooker.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "view_driver"]))

    assert set(settings_of(staff.signed_in(onlooker))["can"].values()) == {False}
    assert settings_of(dispatcher)["can"] == {
        "assign": True,
        "cancel": True,
        "offer": True,
        "duty": True,
        "message": True,
        "place": True,
        "contacts": True,
    }


def test_without_configured_tiles_the_page_may_fetch_from_nowhere_else(dispatcher: Client) -> None:
    assert policy(dispatcher)["connect-src"] == policy(dispatcher)["worker-src"] == "'self'"
    assert policy(dispatcher)["img-src"] == "'self' data: blob:"


def test_configured_tiles_open_the_policy_for_their_origin_alone(dispatcher: Client, settings: Any) -> None:
    settings.MAP_TILES = "https://{s}.tiles.example/osm/{z}/{x}/{y}.png?key=secret"
    settings.MAP_CENTER = [37.79, -122.39]

    assert policy(dispatcher)["connect-src"] == "'self' https://*.tiles.example"
    assert policy(dispatcher)["img-src"] == "'self' data: blob: https://*.tiles.example"
    assert policy(dispatcher)["worker-src"] == "'self'"
    assert settings_of(dispatcher)["center"] == [-122.39, 37.79]


@pytest.mark.parametrize("only", ["view_order", "view_driver"])
def test_whoever_may_not_see_both_orders_and_drivers_has_no_console(only: str) -> None:
    eric = User.objects.create_user("eric", is_staff=True)
    eric.user_permissions.set([Permission.objects.get(codename=only)])
    client = staff.signed_in(eric)

    assert admin_site.CONSOLE == BOARD_PERMISSIONS
    assert client.get("/admin/board/").status_code == 403
    assert "/admin/board/" not in client.get("/admin/").content.decode()


def test_the_front_page_leads_to_the_console(dispatcher: Client) -> None:
    stranger = staff.signed_in(User.objects.create_user("stan", is_staff=True))

    assert 'href="/admin/board/">Open the console' in dispatcher.get("/admin/").content.decode()
    assert "/admin/board/" not in stranger.get("/admin/").content.decode()
