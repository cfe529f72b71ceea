"""The filters beside the lists."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.admin import ListFilter, SimpleListFilter
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dispatch.overview import held_in_silence
from drivers.models import Vehicle
from orders.lifecycle import FINAL, STATUS_CHOICES, Status
from orders.models import Order

OPEN = sorted(set(Status) - FINAL)


class StatusFilter(SimpleListFilter):
    """Open orders, unless asked otherwise; a search looks everywhere."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self.is_search = bool(request.GET.get(SEARCH_VAR))
        return [("open", "Open"), *((value, text.capitalize()) for value, text in STATUS_CHOICES), ("all", "All")]

    def value(self) -> str:
        return super().value() or ("all" if self.is_search else "open")

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for value, text in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": text,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() == "open":
            return queryset.filter(status__in=OPEN)
        return queryset.filter(status=self.value()) if self.value() in set(Status) else queryset


class AttentionFilter(SimpleListFilter):
    title = "attention"
    parameter_name = "expired"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Expired, needs a decision"), ("no", "Not expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        match self.value():
            case "yes":
                # Only a pending order can be expired; saying so lets the index on the status answer.
                return queryset.filter(status=Status.PENDING, expired=True)
            case "no":
                return queryset.filter(expired=False)
        return queryset


class HolderFilter(SimpleListFilter):
    title = "holder"
    parameter_name = "holder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("silent", "Silent or off duty")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return held_in_silence(queryset) if self.value() == "silent" else queryset


class VehicleFilter(SimpleListFilter):
    title = "vehicle"
    parameter_name = "vehicle"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "Any will do"), *Vehicle.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() is None:
            return queryset
        return queryset.filter(vehicle="" if self.value() == "any" else self.value())


class CreatedFilter(ListFilter):
    """From one day to another, both included, by the server's time zone."""

    title = "created"
    template = "admin/filter_days.html"
    FROM, TO = "created_from", "created_to"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in (self.FROM, self.TO):
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def expected_parameters(self) -> list[str | None]:
        return [self.FROM, self.TO]

    def has_output(self) -> bool:
        return True

    def _day(self, name: str) -> date | None:
        try:
            day = date.fromisoformat(str(self.used_parameters.get(name, "")))
        except ValueError:
            return None
        # The neighbouring days must exist too.
        return day if date(1900, 1, 1) <= day <= date(2200, 1, 1) else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if first := self._day(self.FROM):
            queryset = queryset.filter(created_at__gte=_midnight(first))
        if last := self._day(self.TO):
            queryset = queryset.filter(created_at__lt=_midnight(last + timedelta(days=1)))
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        today = timezone.localdate()
        spans = {"Any time": None, "Today": today, "Last 7 days": today - timedelta(days=6)}
        chosen = (self._day(self.FROM), self._day(self.TO))
        for text, first in spans.items():
            yield {
                "selected": chosen == (first, None),
                "query_string": changelist.get_query_string(
                    {self.FROM: first.isoformat() if first else None, self.TO: None}
                ),
                "display": text,
                # For the two date fields of the template.
                "from": chosen[0].isoformat() if chosen[0] else "",
                "to": chosen[1].isoformat() if chosen[1] else "",
                "others": [
                    (name, value)
                    for name, values in changelist.filter_params.items()
                    if name not in (self.FROM, self.TO)
                    for value in values
                ],
            }


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


class LatestOnlyFilter(SimpleListFilter):
    """Picks by a column that has no index, and therefore only among the latest WINDOW rows: quick whatever the size."""

    WINDOW = 100_000
    column: str
    options: list[tuple[str, str]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return self.options

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        picked = queryset.filter(**{self.column: self.value()})
        if request.GET.get(SEARCH_VAR):
            # The search has narrowed it already.
            return picked
        newest: int = queryset.model._default_manager.aggregate(n=Max("pk"))["n"] or 0
        return picked.filter(pk__gt=newest - self.WINDOW)
