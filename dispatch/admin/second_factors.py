"""Who signs in with a second factor, and removing one whose phone is lost."""

from importlib import import_module
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from dispatch import services
from dispatch.admin.shown import badge
from drivers.backoffice import ReadOnlyAdmin

# Their own pages come first, to be replaced here.
for name in ("otp_totp", "otp_static"):
    import_module(f"django_otp.plugins.{name}.admin")
for model in (TOTPDevice, StaticDevice):
    admin.site.unregister(model)


@admin.register(TOTPDevice)
class SecondFactorAdmin(ReadOnlyAdmin[Any]):
    """Never the key: whoever sees it has the second factor too."""

    list_display = ["user", "created_at", "last_used_at", "state"]
    list_display_links = None
    list_select_related = ["user"]
    search_fields = ["user__username"]
    search_help_text = "A user name."
    ordering = ["user__username"]
    actions = ["remove", "unlock"]
    fields = ["user", "created_at", "last_used_at"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Second factors", **(extra_context or {})})

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("otp_totp.delete_totpdevice")

    @admin.display(description="state")
    def state(self, device: Any) -> str:
        allowed, _ = device.verify_is_allowed()
        if not allowed:
            return badge("attention", f"locked: {device.throttling_failure_count} wrong codes")
        return badge("duty-live", "on")

    @admin.action(description="Remove: the phone is lost", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for user in self._users(request, queryset):
            services.remove_second_factor(user_id=user.pk)
            self._done(request, user, "Removed the second factor.")

    @admin.action(description="Unlock: forget the wrong codes", permissions=["remove"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for user in self._users(request, queryset):
            services.unlock_second_factor(user_id=user.pk)
            self._done(request, user, "Unlocked the second factor.")

    def _users(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[User]:
        """Those of the chosen whom this user may touch; a message for each of the others."""
        chosen = User.objects.filter(pk__in=queryset.values("user")).order_by("username")
        touched = []
        for user in chosen:
            if user == request.user:
                messages.error(request, f"{user}: not done: your own is on the page “Second factor”, with a code.")
            elif user.is_superuser and not request.user.is_superuser:
                messages.error(request, f"{user}: not done: only a superuser may do that for a superuser.")
            else:
                touched.append(user)
        return touched

    def _done(self, request: HttpRequest, user: User, sentence: str) -> None:
        LogEntry.objects.log_actions(int(request.user.pk or 0), [user], CHANGE, sentence, single_object=True)
        messages.success(request, f"{user}: {sentence[0].lower()}{sentence[1:]}")
