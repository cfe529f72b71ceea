"""Drivers: who carries, whether they are on duty and heard of, what they hold, and their signed-in devices."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter, helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from dispatch import services
from dispatch.admin import report
from dispatch.admin.driver_forms import DeviceForm, DriverForm, NothingForm, PasswordForm, RegisterDriverForm
from dispatch.admin.shown import badge, change_url, count, metres, since, status_badges
from dispatch.selectors import with_load
from drivers.backoffice import BatonAdmin
from drivers.clock import ClockTimestamp
from drivers.errors import DomainError
from drivers.models import DeviceToken, Driver, Presence
from orders.lifecycle import HELD
from orders.models import Order

BULK_ORDER = ("name", "id")


# --- What can be done to a driver: one service each, and a few words -------------------------------------------------


def go_online(*, driver_id: int) -> str:
    services.go_online(driver_id=driver_id)
    return "on duty"


def go_offline(*, driver_id: int) -> str:
    services.go_offline(driver_id=driver_id)
    return "off duty"


def suspend(*, driver_id: int) -> str:
    services.suspend_driver(driver_id=driver_id)
    return "suspended, off duty and signed out"


def reinstate(*, driver_id: int) -> str:
    services.reinstate_driver(driver_id=driver_id)
    return "reinstated"


def sign_out(*, driver_id: int) -> str:
    return _signed_out(services.sign_out_driver(driver_id=driver_id))


def sign_out_device(*, driver_id: int, digest: str) -> str:
    services.sign_out(driver_id=driver_id, token_digest=digest)
    return "that device is signed out, off duty"


def set_password(*, driver_id: int, password: str) -> str:
    return f"new password set; {_signed_out(services.set_driver_password(driver_id=driver_id, password=password))}"


def _signed_out(devices: int) -> str:
    return f"{count(devices, 'device')} signed out, off duty" if devices else "no device was signed in, off duty"


@dataclass(frozen=True, slots=True)
class Verb:
    """One button: what it calls, what it sends, and the permission that it needs."""

    act: Callable[..., str]
    form: type[forms.Form]
    permission: str


VERBS = {
    "on-duty": Verb(go_online, NothingForm, "drivers.duty_driver"),
    "off-duty": Verb(go_offline, NothingForm, "drivers.duty_driver"),
    "suspend": Verb(suspend, NothingForm, "drivers.change_driver"),
    "reinstate": Verb(reinstate, NothingForm, "drivers.change_driver"),
    "sign-out": Verb(sign_out, NothingForm, "drivers.delete_devicetoken"),
    "sign-out-device": Verb(sign_out_device, DeviceForm, "drivers.delete_devicetoken"),
    "set-password": Verb(set_password, PasswordForm, "drivers.change_driver"),
}


def duty(presence: Presence) -> str:
    """`live`: on duty and heard of; `silent`: on duty but not heard of for LIVE_SECONDS; else `off`."""
    if not presence.is_online:
        return "silent" if presence.silent_since else "off"
    heard = presence.last_seen and timezone.now() - presence.last_seen < timedelta(seconds=settings.LIVE_SECONDS)
    return "live" if heard else "silent"


DUTY_TEXT = {"live": "live", "silent": "silent", "off": "off duty"}


class DutyFilter(SimpleListFilter):
    title = "duty"
    parameter_name = "duty"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("silent", "Silent"), ("off", "Off duty")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Driver]) -> QuerySet[Driver]:
        heard = Q(presence__last_seen__gt=ClockTimestamp() - timedelta(seconds=settings.LIVE_SECONDS))
        match self.value():
            case "live":
                return queryset.filter(heard, presence__is_online=True)
            case "silent":
                on_duty = Q(presence__is_online=True) | Q(presence__silent_since__isnull=False)
                return queryset.filter(on_duty).exclude(heard, presence__is_online=True)
            case "off":
                return queryset.filter(presence__is_online=False, presence__silent_since=None)
        return queryset


@admin.register(Driver)
class DriverAdmin(BatonAdmin[Driver]):
    list_display = ["name", "state", "seen", "load", "vehicle", "phone", "signs_in_as"]
    list_filter = [DutyFilter, "vehicle", "suspended"]
    list_select_related = ["presence", "user"]
    list_per_page = 100
    ordering = ["name", "id"]
    sortable_by = ["name"]
    search_fields = ["name", "phone", "user__username"]
    search_help_text = "A part of the name, phone number or user name."
    actions = ["go_on_duty", "go_off_duty", "suspend", "reinstate", "sign_out"]
    change_form_template = "admin/drivers/driver/page.html"
    add_form_template = "admin/change_form.html"

    # --- Who may what -----------------------------------------------------------------------------------------------

    def has_duty_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("drivers.duty_driver")

    def has_devices_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("drivers.delete_devicetoken")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in {"duty", "vehicle__exact", "suspended__exact", "suspended__isnull", "vehicle__isnull"}

    # --- The list ---------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Driver]:
        return with_load(super().get_queryset(request))

    @admin.display(description="duty")
    def state(self, driver: Driver) -> SafeString:
        return badges_of(driver)

    @admin.display(description="last heard of")
    def seen(self, driver: Driver) -> SafeString | str:
        return since(driver.presence.last_seen, suffix=" ago")

    @admin.display(description="holds")
    def load(self, driver: Driver) -> str:
        return f"{getattr(driver, 'load', 0)} of {driver.capacity}"

    @admin.display(description="user name")
    def signs_in_as(self, driver: Driver) -> str:
        return driver.user.get_username()

    # --- Actions on many --------------------------------------------------------------------------------------------

    def response_action(  # type: ignore[override]  # the stubs are of Django 6
        self, request: HttpRequest, queryset: QuerySet[Driver]
    ) -> HttpResponse | None:
        chosen = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        if not all(value.isascii() and value.isdigit() and len(value) < 19 for value in chosen):
            messages.error(request, "Something that was selected is no driver. Nothing was done.")
            return None
        return super().response_action(request, queryset)

    def _for_each(self, request: HttpRequest, queryset: QuerySet[Driver], title: str, act: Callable[..., str]) -> None:
        if request.POST.get("select_across") != "1":
            # Also those who have left the filtered list since.
            queryset = Driver.objects.filter(pk__in=request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))
        chosen = list(queryset.order_by(*BULK_ORDER).only("pk", "name")[: report.BULK_LIMIT + 1])
        if len(chosen) > report.BULK_LIMIT:
            messages.error(
                request, f"At most {report.BULK_LIMIT} drivers at once. Nothing was done; choose fewer, or filter."
            )
            return
        rows = [report.Row(driver.pk, driver.name, change_url(driver)) for driver in chosen]
        lines = [report.attempt(row, lambda key: act(driver_id=key)) for row in rows]
        for driver, line in zip(chosen, lines, strict=True):
            if line.done:
                self.log_change(request, driver, f"{title}: {line.text}.")
        report.tell(request, title, lines)

    @admin.action(description="Put on duty", permissions=["duty"])
    def go_on_duty(self, request: HttpRequest, queryset: QuerySet[Driver]) -> None:
        self._for_each(request, queryset, "Put on duty", go_online)

    @admin.action(description="Take off duty", permissions=["duty"])
    def go_off_duty(self, request: HttpRequest, queryset: QuerySet[Driver]) -> None:
        self._for_each(request, queryset, "Take off duty", go_offline)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Driver]) -> None:
        self._for_each(request, queryset, "Suspend", suspend)

    @admin.action(description="Reinstate", permissions=["change"])
    def reinstate(self, request: HttpRequest, queryset: QuerySet[Driver]) -> None:
        self._for_each(request, queryset, "Reinstate", reinstate)

    @admin.action(description="Sign out all devices", permissions=["devices"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Driver]) -> None:
        self._for_each(request, queryset, "Sign out all devices", sign_out)

    # --- One driver -------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        act = path(
            "<path:object_id>/act/<slug:verb>/", self.admin_site.admin_view(self.act_view), name="drivers_driver_act"
        )
        return [act, *super().get_urls()]

    @method_decorator([sensitive_post_parameters("password"), csrf_protect])
    def act_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if verb not in VERBS:
            raise Http404
        button = VERBS[verb]
        if not (self.has_view_permission(request) and request.user.has_perm(button.permission)):
            raise PermissionDenied
        driver = self.get_object(request, unquote(object_id))
        if driver is None:
            return self.missing(request, object_id)
        form = button.form(request.POST)
        row = report.Row(driver.pk, driver.name, change_url(driver))
        if form.is_valid():
            run = partial(button.act, **form.cleaned_data)
            line = report.attempt(row, lambda key: run(driver_id=key))
            if line.done:
                self.log_change(request, driver, line.text)
        else:
            wrong = " ".join(f"{name}: {text}" for name, texts in form.errors.items() for text in texts)
            line = report.Line(row.label, row.url, f"not done: {wrong}", done=False)
        report.tell_one(request, line)
        return HttpResponseRedirect(change_url(driver))

    @method_decorator([sensitive_post_parameters("password"), csrf_protect])
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            return self._register(request, form_url)
        if not self.has_view_permission(request):
            raise PermissionDenied
        driver = self.get_object(request, unquote(object_id))
        if driver is None:
            return self.missing(request, object_id)
        return self._correct(request, driver, form_url)

    def _register(self, request: HttpRequest, form_url: str) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = RegisterDriverForm(request.POST or None)
        if form.is_valid():
            try:
                driver = services.register_driver(**form.cleaned_data)
            except DomainError as error:
                report.explain(form, error)
            else:
                self.log_addition(request, driver, "Registered.")
                messages.success(request, f"{driver.name}: registered.")
                again = "_addanother" in request.POST
                return HttpResponseRedirect(reverse("admin:drivers_driver_add") if again else change_url(driver))
        return self._render(request, form, form_url, driver=None, extra={"show_save_and_continue": False})

    def _correct(self, request: HttpRequest, driver: Driver, form_url: str) -> HttpResponse:
        may_correct = self.has_change_permission(request, driver)
        data = request.POST if request.method == "POST" else None
        if data is not None and not may_correct:
            raise PermissionDenied
        form = DriverForm.of(driver, data)
        if form.is_valid():
            given = {name: form.cleaned_data[name] for name in form.changed_data}
            try:
                services.correct_driver(driver_id=driver.pk, **given)
            except DomainError as error:
                report.explain(form, error)
            else:
                if given:
                    self.log_change(request, driver, f"Corrected {', '.join(given)}.")
                messages.success(request, f"{form.cleaned_data['name']}: saved.")
                return HttpResponseRedirect(change_url(driver))
        verbs = {name for name, verb in VERBS.items() if request.user.has_perm(verb.permission)}
        verbs -= {"suspend", "on-duty"} if driver.suspended else {"reinstate"}
        verbs -= {"on-duty"} if driver.presence.is_online else {"off-duty"} if duty(driver.presence) == "off" else set()
        extra = {
            **page(driver, with_devices=request.user.has_perm("drivers.view_devicetoken")),
            "verbs": verbs,
            "may_correct": may_correct,
            "show_save_and_add_another": False,
            "password_form": PasswordForm(),
        }
        return self._render(request, form, form_url, driver=driver, extra=extra)

    def _render(
        self, request: HttpRequest, form: DriverForm, form_url: str, *, driver: Driver | None, extra: dict[str, Any]
    ) -> HttpResponse:
        title = driver.name if driver else "Register a driver"
        context = {**self.form_page(request, form, form.fieldsets, title=title, original=driver), **extra}
        return self.render_change_form(
            request, context, add=driver is None, change=driver is not None, obj=driver, form_url=form_url
        )


def badges_of(driver: Driver) -> SafeString:
    state = duty(driver.presence)
    suspended = badge("attention", "suspended") if driver.suspended else ""
    return format_html("{} {}", badge(f"duty-{state}", DUTY_TEXT[state]), suspended)


def page(driver: Driver, *, with_devices: bool) -> dict[str, Any]:
    """Everything beside the form, as the template's variables."""
    presence = driver.presence
    place = presence.location
    held = Order.objects.filter(driver=driver, status__in=sorted(HELD)).order_by("assigned_at", "id")
    return {
        "driver": driver,
        "badges": badges_of(driver),
        "presence": [
            ("Last heard of", since(presence.last_seen, suffix=" ago")),
            ("Position", f"{place.y:.5f}, {place.x:.5f}" if place else "–"),
            ("Position taken", since(presence.recorded_at, suffix=" ago")),
            ("Accuracy", metres(presence.accuracy_m) if presence.accuracy_m is not None else "–"),
            ("Heading", f"{presence.heading:.0f}°" if presence.heading is not None else "–"),
            ("Speed", f"{presence.speed_mps * 3.6:.0f} km/h" if presence.speed_mps is not None else "–"),
            ("Signs in as", driver.user.get_username()),
            ("Driver since", timezone.localdate(driver.created_at)),
        ],
        "held": [(order, status_badges(order), since(order.assigned_at, suffix=" ago")) for order in held],
        "devices": devices_of(driver) if with_devices else None,
    }


def devices_of(driver: Driver) -> list[tuple[DeviceToken, bool]]:
    """The signed-in devices, newest first, and whether each token still holds."""
    now = timezone.now()
    tokens = DeviceToken.objects.filter(user_id=driver.user_id).order_by("-created")[:50]
    return [(token, token.expiry is None or token.expiry > now) for token in tokens]
