"""The back office's site: Django's own, with a front page and a menu that lead to what matters."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from config.problems import throttled

#: The menu: section → its lists, as (app.model, what people call it). Whatever is not named here comes after.
MENU: dict[str, list[tuple[str, str]]] = {
    "Orders": [
        ("orders.Order", "Orders"),
        ("dispatch.Offer", "Offers"),
        ("orders.OrderEvent", "History"),
        ("orders.SavedPlace", "Saved places"),
    ],
    "Drivers": [("drivers.Driver", "Drivers"), ("dispatch.Message", "Messages")],
    "Reports": [],
    "Integrations": [("orders.Integrator", "Integrators"), ("orders.ApiKey", "API keys")],
    "Background": [
        ("dispatch.SweepHeartbeat", "Sweeps"),
        ("dispatch.AuditVerdict", "Audit"),
        ("django_q.Schedule", "Schedules"),
        ("django_q.OrmQ", "Queue"),
        ("django_q.Failure", "Failed tasks"),
        ("django_q.Success", "Successful tasks"),
    ],
    "Access": [
        ("auth.User", "Users"),
        ("auth.Group", "Groups"),
        ("otp_totp.TOTPDevice", "Second factors"),
        ("axes.AccessAttempt", "Failed sign-ins"),
        ("orders.ContactAccess", "Looks at customers"),
    ],
}

#: What the console takes; the same as dispatch.selectors_access.BOARD_PERMISSIONS, which is read after the models.
CONSOLE: tuple[str, ...] = ("orders.view_order", "drivers.view_driver")
#: Pages that are no list: section → (address by name, what people call it, the permissions that it takes); first of theirs.
PAGES: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {
    "Orders": [("board", "Console", CONSOLE)],
    "Reports": [("shift_report", "Shift report", ("dispatch.view_reportquarter",))],
}


class BatonAdminSite(AdminSite):
    site_header = "Baton"
    site_title = "Baton"
    index_title = "Back office"
    site_url = None
    empty_value_display = "–"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's own, and attempts from one address are counted together with the drivers'."""
        # Imported late: this module is read before the models are.
        from config.second_factor import SignInForm, set_up_address, standing_of
        from drivers import signin
        from drivers.errors import Throttled
        from drivers.second_factor import Standing

        self.login_form = SignInForm
        if request.method != "POST":
            if super().has_permission(request) and standing_of(request) is Standing.NOT_ENROLLED:
                return HttpResponseRedirect(set_up_address(request))
            return super().login(request, extra_context)
        try:
            signin.spend_attempt(request)
        except Throttled as refusal:
            return throttled(request, refusal.data["retry_after"])
        try:
            response = super().login(request, extra_context)
        except Exception:
            # Nobody was refused; the database was away.
            signin.give_attempt_back(request)
            raise
        if request.user.is_authenticated and response.status_code == 302:
            signin.give_attempt_back(request)
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff whose session has shown their second factor, if they have or need one."""
        from config.second_factor import standing_of
        from drivers.second_factor import Standing

        return super().has_permission(request) and standing_of(request) is Standing.GOOD

    def get_urls(self) -> list[Any]:
        return [path("second-factor/", never_cache(self.second_factor), name="second_factor"), *super().get_urls()]

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """Not behind `admin_view`: whoever must set one up may see nothing else yet."""
        from config.second_factor import page

        return page(request, self.each_context(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from drivers.second_factor import is_offered

        return {**super().each_context(request), "second_factor_offered": is_offered()}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        console = reverse("board") if request.user.has_perms(CONSOLE) else ""
        return super().index(request, {**(extra_context or {}), "tiles": _tiles(request), "console": console})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """What this user may see, by what people do instead of by Python package."""
        apps: list[Any] = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = {f"{app['app_label']}.{model['object_name']}": model for app in apps for model in app["models"]}
        sections = []
        for name, entries in MENU.items():
            listed = [_page(*page[:2]) for page in PAGES.get(name, ()) if request.user.has_perms(page[2])]
            listed += [{**models.pop(key), "name": called} for key, called in entries if key in models]
            if listed:
                # The section's own link is its first list.
                url = listed[0]["admin_url"]
                sections.append({"name": name, "app_label": name.lower(), "app_url": url, "models": listed})
        return sections + [
            {**app, "models": left}
            for app in apps
            if (left := [model for model in app["models"] if f"{app['app_label']}.{model['object_name']}" in models])
        ]


def _page(address: str, called: str) -> dict[str, Any]:
    """An entry of the menu, in the words of Django's own for a model."""
    url = reverse(address)
    return {"name": called, "object_name": address, "admin_url": url, "add_url": None, "view_only": True, "perms": {}}


def _tiles(request: HttpRequest) -> list[dict[str, Any]]:
    """The counts on the front page and the lists behind them; only what this user may see."""
    # Imported late: this module is read before the models are.
    from dispatch.overview import overview

    may_see_orders = request.user.has_perm("orders.view_order")
    may_see_drivers = request.user.has_perm("drivers.view_driver")
    if not (may_see_orders or may_see_drivers):
        return []
    counts = overview()
    orders, drivers = reverse("admin:orders_order_changelist"), reverse("admin:drivers_driver_changelist")
    of_orders = [
        ("Needs attention", counts.expired, "?expired=yes", "expired: re-offer, assign or cancel"),
        ("Held in silence", counts.held_by_silent, "?holder=silent", "the driver is not heard of"),
        ("Waiting", counts.waiting, "?status=pending&expired=no", "for a driver"),
        ("Assigned", counts.assigned, "?status=assigned", "on the way to the pickup"),
        ("Picked up", counts.picked_up, "?status=picked_up", "on the way to the customer"),
    ]
    of_drivers = [
        ("Live drivers", counts.live_drivers, "?duty=live", "on duty and heard of"),
        ("Silent drivers", counts.silent_drivers, "?duty=silent", "on duty, not heard of"),
    ]
    shown = [(orders, tile) for tile in of_orders if may_see_orders]
    shown += [(drivers, tile) for tile in of_drivers if may_see_drivers]
    if request.user.has_perm("dispatch.view_auditverdict"):
        shown.append((reverse("admin:dispatch_auditverdict_changelist"), _audit_tile()))
    alarming = {"Needs attention", "Held in silence", "Broken promises"}
    return [
        {"title": title, "count": count, "url": page + query, "text": text, "alarm": title in alarming and count > 0}
        for page, (title, count, query, text) in shown
    ]


def _audit_tile() -> tuple[str, int, str, str]:
    from dispatch.models import AuditVerdict

    verdict = AuditVerdict.objects.first()
    if verdict is None:
        return "Broken promises", 0, "", "no audit yet"
    return "Broken promises", len(verdict.broken), "", f"audit of {verdict.looked_at:%d %b %H:%M} UTC"
