"""Who is locked out after too many wrong passwords, and letting them in again."""

from importlib import import_module
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from axes.utils import reset
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from dispatch.admin.shown import badge
from drivers.backoffice import ReadOnlyAdmin

# Its own pages come first, to be replaced here.
import_module("axes.admin")
for model in (AccessAttempt, AccessFailureLog, AccessLog):
    admin.site.unregister(model)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin[Any]):
    list_display = ["username", "ip_address", "failures_since_start", "state", "attempt_time", "path_info"]
    search_fields = ["username", "ip_address"]
    search_help_text = "A user name or an address."
    ordering = ["-attempt_time"]
    actions = ["unlock"]
    fields = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info", "user_agent"]

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.display(description="state")
    def state(self, attempt: Any) -> str:
        if attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT:
            return badge("attention", "locked out")
        return f"{settings.AXES_FAILURE_LIMIT - attempt.failures_since_start} tries left"

    @admin.action(description="Unlock: forget the failed sign-ins", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        pairs = sorted(set(queryset.values_list("username", "ip_address")), key=str)
        for username, address in pairs:
            reset(username=username, ip=address)
        names = ", ".join(f"{username} from {address}" for username, address in pairs)
        messages.success(request, f"Unlocked: {names}.")
