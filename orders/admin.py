"""Integrators and their API keys."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import widgets
from django.contrib.admin.utils import unquote
from django.contrib.gis.geos import Point
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from drivers.backoffice import BatonAdmin
from drivers.errors import DomainError
from orders import services
from orders.models import ApiKey, Integrator, SavedPlace, Scope


@admin.register(Integrator)
class IntegratorAdmin(BatonAdmin[Integrator]):
    list_display = ["name", "created_at"]
    search_fields = ["name"]
    fields = ["name"]


class PlaceForm(forms.ModelForm):  # type: ignore[type-arg]  # only the stubs' ModelForm takes a type
    """A saved place by its coordinates: degrees, WGS 84."""

    lat = forms.FloatField(min_value=-90, max_value=90, label="Latitude")
    lng = forms.FloatField(min_value=-180, max_value=180, label="Longitude")

    class Meta:
        model = SavedPlace
        fields = ["name", "address"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        place = kwargs.get("instance")
        if place is not None and place.point is not None:
            kwargs["initial"] = {"lat": place.point.y, "lng": place.point.x, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def save(self, commit: bool = True) -> Any:  # Django's own signature
        self.instance.point = Point(self.cleaned_data["lng"], self.cleaned_data["lat"], srid=4326)
        return super().save(commit)


@admin.register(SavedPlace)
class SavedPlaceAdmin(BatonAdmin[SavedPlace]):
    """Places for the form of a new order. Nothing refers to them, so they may also be deleted."""

    form = PlaceForm
    list_display = ["name", "address", "where"]
    search_fields = ["name", "address"]
    fields = ["name", "address", "lat", "lng"]

    @admin.display(description="latitude, longitude")
    def where(self, place: SavedPlace) -> str:
        return f"{place.point.y:.5f}, {place.point.x:.5f}"

    def has_delete_permission(self, request: HttpRequest, obj: SavedPlace | None = None) -> bool:
        return request.user.has_perm("orders.delete_savedplace")


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        label="Integrator",
        help_text="A known one gets another key; a new name becomes a new integrator.",
        widget=widgets.AdminTextInputWidget(),
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=[Scope.ORDERS_READ, Scope.ORDERS_WRITE], widget=forms.CheckboxSelectMultiple
    )


@admin.register(ApiKey)
class ApiKeyAdmin(BatonAdmin[ApiKey]):
    """Made by the service, shown once, then only revoked. The digest is nobody's business."""

    list_display = ["start", "integrator", "may", "created_at", "last_used_at", "revoked_at"]
    list_select_related = ["integrator"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    ordering = ["-created_at", "-id"]
    search_fields = ["prefix", "integrator__name"]
    sortable_by = ()
    fields = ["start", "integrator", "may", "created_at", "last_used_at", "revoked_at"]
    readonly_fields = ["start", "may"]
    change_form_template = "admin/orders/apikey/page.html"
    add_form_template = "admin/change_form.html"

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    @admin.display(description="key")
    def start(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="may")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def get_urls(self) -> list[URLPattern]:
        revoke = path(
            "<path:object_id>/revoke/", self.admin_site.admin_view(self.revoke_view), name="orders_apikey_revoke"
        )
        return [revoke, *super().get_urls()]

    def _may_revoke(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.change_apikey")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {**(extra_context or {}), "may_revoke": self._may_revoke(request)}
        return super().change_view(request, object_id, form_url, extra)

    @method_decorator(csrf_protect)
    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_view_permission(request) and self._may_revoke(request)):
            raise PermissionDenied
        key = self.get_object(request, unquote(object_id))
        if key is None:
            return self.missing(request, object_id)
        services.revoke_api_key(key_id=key.pk)
        self.log_change(request, key, "Revoked.")
        messages.success(request, f"{key.prefix}…: revoked.")
        return HttpResponseRedirect(reverse("admin:orders_apikey_changelist"))

    @method_decorator([csrf_protect, never_cache])
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewKeyForm(request.POST or None)
        if form.is_valid():
            try:
                key, secret = services.create_api_key(**form.cleaned_data)
            except DomainError as error:
                for field, texts in error.data.get("errors", {"name": [str(error)]}).items():
                    form.add_error(field if field in form.fields else None, texts)
            else:
                self.log_addition(request, key, "Created.")
                # Straight into this one answer: a message or a redirect would have to store the secret somewhere.
                created = {
                    **self.admin_site.each_context(request),
                    "opts": self.opts,
                    "title": "A new API key",
                    "key": key,
                    "secret": secret,
                }
                return render(request, "admin/orders/apikey/created.html", created)
        context = {
            **self.form_page(request, form, [(None, {"fields": ["name", "scopes"]})], title="Create an API key"),
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
        }
        return self.render_change_form(request, context, add=True, form_url=form_url)
