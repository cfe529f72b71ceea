"""What dispatchers wrote to drivers, to be looked up. They write from the console."""

from django.contrib import admin
from django.http import HttpRequest

from dispatch.models import Message
from drivers.backoffice import ReadOnlyAdmin


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin[Message]):
    list_display = ["at", "driver", "text", "actor_name", "read_at"]
    list_select_related = ["driver"]
    ordering = ["-id"]
    sortable_by = ()
    search_fields = ["driver__name"]
    search_help_text = "A driver's name."

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "driver__id__exact"
