"""The shift report: what happened in a stretch of time, as charts, as tables and as CSV."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from datetime import datetime, timedelta
from io import StringIO
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone

from dispatch.admin.shown import span
from dispatch.selectors_report import LONGEST, ORDERS_OF_DRIVERS, Bin, Period, driver_hours, each_driver, report_bins

#: Drivers on the page; the CSV has all of them.
DRIVERS_SHOWN: Final = 100
#: State → how the tables and charts call it, in the order in which bars are stacked.
STATES: Final = {
    "delivered": "Delivered",
    "picked_up": "Picked up",
    "assigned": "Assigned",
    "waiting": "Waiting",
    "expired": "Expired",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
SORTS: Final = {"working": "Work", "idle": "Idle", "on_duty": "On duty", "delivered": "Delivered", "name": "Name"}
#: What browsers' time inputs send.
MOMENTS: Final = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


def _moment_input() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local", "step": 60}, format="%Y-%m-%dT%H:%M")


class PeriodForm(forms.Form):
    """What a report covers, as local times: validated under the time zone that was asked for."""

    start = forms.DateTimeField(label="From", input_formats=MOMENTS, widget=_moment_input())
    end = forms.DateTimeField(label="To", input_formats=MOMENTS, widget=_moment_input())
    zone = forms.CharField(
        label="Time zone", max_length=64, widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"})
    )
    by = forms.ChoiceField(choices=list(SORTS.items()), required=False, widget=forms.HiddenInput())

    def clean_zone(self) -> ZoneInfo:
        found = zone_called(self.cleaned_data["zone"])
        if found is None:
            raise forms.ValidationError("There is no such time zone.")
        return found

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("start"), given.get("end")
        if start is None or end is None:
            return given
        if end <= start:
            self.add_error("end", "Must be later than the beginning.")
        elif end - start > LONGEST:
            self.add_error("end", f"A report covers at most {LONGEST.days} days.")
        return given


def zone_called(name: str) -> ZoneInfo | None:
    """The time zone of that name, e.g. `America/New_York`."""
    return ZoneInfo(name) if name in available_timezones() else None


def page(request: HttpRequest) -> HttpResponseBase:
    """`/admin/report/?start=&end=&zone=&by=`; without parameters today, in the installation's time zone."""
    _check(request)
    zone = zone_called(request.GET.get("zone", "")) or ZoneInfo(settings.TIME_ZONE)
    with timezone.override(zone):
        presets = _presets(timezone.localtime())
        form = PeriodForm({**_given(*presets["Today"], zone), **request.GET.dict()})
        context: dict[str, Any] = {
            **admin.site.each_context(request),
            "title": "Shift report",
            "form": form,
            "zones": sorted(available_timezones()),
            "presets": [(name, _query(*times, zone)) for name, times in presets.items()],
            "days": LONGEST.days,
        }
        if form.is_valid():
            context |= _report(form.cleaned_data)
        return TemplateResponse(request, "admin/report.html", context, status=200 if form.is_valid() else 400)


def _check(request: HttpRequest) -> None:
    if not request.user.has_perm("dispatch.view_reportquarter"):
        raise PermissionDenied


def _presets(now: datetime) -> dict[str, tuple[datetime, datetime]]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = midnight + timedelta(days=1)
    next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return {
        "Last 8 hours": (next_hour - timedelta(hours=8), next_hour),
        "Today": (midnight, tomorrow),
        "Yesterday": (midnight - timedelta(days=1), midnight),
        "Last 7 days": (midnight - timedelta(days=6), tomorrow),
        "Last 30 days": (midnight - timedelta(days=29), tomorrow),
    }


def _given(start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, str]:
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}", "zone": str(zone)}


def _query(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    return urlencode(_given(start, end, zone))


def _report(asked: dict[str, Any]) -> dict[str, Any]:
    period = Period(start=asked["start"], end=asked["end"], zone=asked["zone"])
    by = asked["by"] or "working"
    total, bins = report_bins(period)
    drivers, number = driver_hours(period, by=by, limit=DRIVERS_SHOWN)
    query = _query(period.start, period.end, period.zone)
    return {
        "period": period,
        # Pages are rendered after the zone is no longer in force.
        "covers": f"{period.start:%a %d %b %Y, %H:%M} to {period.end:%a %d %b %Y, %H:%M}, {period.zone}",
        "tiles": _tiles(total),
        "total": _row(total, period),
        "rows": [_row(bin_, period) for bin_ in bins],
        "states": STATES.values(),
        "drivers": [
            {"of": row, "hours": [hours(row.on_duty), hours(row.working), hours(row.idle)], "share": _share(row)}
            for row in drivers
        ],
        "drivers_number": f"{number:,}",
        "drivers_cut": number > len(drivers),
        "sorts": [(label, f"{query}&by={name}#drivers", name == by) for name, label in SORTS.items()],
        "query": query,
        "charts": {
            "bin": period.bin,
            "zone": str(period.zone),
            "states": [[name, label] for name, label in STATES.items()],
            "bins": [
                {
                    "at": int(bin_.starts_at.timestamp()),
                    "states": [getattr(bin_, name) for name in STATES],
                    "assign": [bin_.to_assign.p50, bin_.to_assign.p90],
                    "deliver": [bin_.to_deliver.p50, bin_.to_deliver.p90],
                }
                for bin_ in _without_gaps(bins, period)
                if bin_.starts_at is not None
            ],
        },
    }


def _without_gaps(bins: list[Bin], period: Period) -> Iterator[Bin]:
    """Hours and days without an order are a gap in the chart, not missing from it."""
    known = {bin_.starts_at: bin_ for bin_ in bins}
    start = period.start.astimezone(period.zone).replace(minute=0, second=0, microsecond=0)
    local = start if period.bin == "hour" else start.replace(hour=0)
    while local < period.end:
        moment = local.astimezone(ZoneInfo("UTC"))
        yield known.get(moment) or Bin(moment)
        # Hours by the clock of the world, days by that of the zone: across a change of clocks as well.
        local = (
            (moment + timedelta(hours=1)).astimezone(period.zone) if period.bin == "hour" else local + timedelta(days=1)
        )


def _tiles(total: Bin) -> list[tuple[str, str, str]]:
    return [
        ("Orders", f"{total.orders:,}", "released in this time"),
        ("Delivered", f"{total.delivered:,}", f"{rate(_part(total.delivered, total.orders))} of them"),
        ("To assignment", seconds(total.to_assign.p50), f"half of them; 9 of 10 within {seconds(total.to_assign.p90)}"),
        ("To delivery", seconds(total.to_deliver.p50), f"half of them; 9 of 10 within {seconds(total.to_deliver.p90)}"),
        ("Expiry rate", rate(total.expiry_rate), f"{total.ran_out:,} ran out of time at least once"),
        (
            "Decline rate",
            rate(total.decline_rate),
            f"{total.offers_declined:,} of {total.offers_declined + total.offers_accepted:,} answers to offers",
        ),
    ]


def _part(count: int, of: int) -> float | None:
    return count / of if of else None


def _row(bin_: Bin, period: Period) -> dict[str, Any]:
    local = bin_.starts_at.astimezone(period.zone) if bin_.starts_at else None
    return {
        "label": "Total"
        if local is None
        else f"{local:%a %d %b %H:%M}"
        if period.bin == "hour"
        else f"{local:%a %d %b}",
        "iso": local.isoformat() if local else "",
        "orders": f"{bin_.orders:,}",
        "counts": [f"{getattr(bin_, name):,}" for name in STATES],
        "times": [seconds(value) for times in (bin_.to_assign, bin_.to_deliver) for value in astuple(times)],
        "rates": [rate(bin_.expiry_rate), rate(bin_.decline_rate)],
    }


def seconds(value: int | None) -> str:
    return "–" if value is None else span(value)


def hours(value: int) -> str:
    """Hours and minutes, for a column: `7:05`."""
    minutes = round(value / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def rate(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.1f} %"


def _share(row: Any) -> str:
    return rate(_part(row.on_duty - row.idle, row.on_duty))


# --- CSV --------------------------------------------------------------------------------------------------------------


def orders_csv(request: HttpRequest) -> HttpResponseBase:
    """`/admin/report/orders.csv`: a line per hour or day."""
    return _csv(request, "orders", _order_lines)


def drivers_csv(request: HttpRequest) -> HttpResponseBase:
    """`/admin/report/drivers.csv`: a line per driver, all of them."""
    return _csv(request, "drivers", _driver_lines)


def _csv(request: HttpRequest, what: str, lines: Callable[[Period], Iterable[list[Any]]]) -> HttpResponseBase:
    _check(request)
    zone = zone_called(request.GET.get("zone", "")) or ZoneInfo(settings.TIME_ZONE)
    with timezone.override(zone):
        form = PeriodForm(request.GET)
        if not form.is_valid():
            texts = "; ".join(f"{name}: {' '.join(map(str, said))}" for name, said in form.errors.items())
            return HttpResponse(texts, status=400, content_type="text/plain; charset=utf-8")
    period = Period(start=form.cleaned_data["start"], end=form.cleaned_data["end"], zone=form.cleaned_data["zone"])
    response = StreamingHttpResponse(_written(lines(period)), content_type="text/csv; charset=utf-8")
    name = f"baton-{what}-{period.start:%Y%m%d-%H%M}-{period.end:%Y%m%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _written(lines: Iterable[list[Any]]) -> Iterator[str]:
    buffer = StringIO()
    writer = csv.writer(buffer)
    for number, line in enumerate(lines, start=1):
        writer.writerow([harmless(cell) for cell in line])
        if number % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def harmless(cell: Any) -> Any:
    """Text as a spreadsheet shows it and never computes it: what would begin a formula gets an apostrophe in front."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")):
        return f"'{cell}"
    return "" if cell is None else cell


def _order_lines(period: Period) -> Iterator[list[Any]]:
    yield [
        period.bin,
        "orders",
        *STATES,
        "to_assignment_p50_s",
        "to_assignment_p90_s",
        "to_delivery_p50_s",
        "to_delivery_p90_s",
        "ran_out",
        "offers",
        "offers_seen",
        "offers_accepted",
        "offers_declined",
    ]
    for bin_ in report_bins(period)[1]:
        if bin_.starts_at is not None:
            yield [
                bin_.starts_at.astimezone(period.zone).isoformat(),
                bin_.orders,
                *(getattr(bin_, name) for name in STATES),
                *astuple(bin_.to_assign),
                *astuple(bin_.to_deliver),
                bin_.ran_out,
                bin_.offers,
                bin_.offers_seen,
                bin_.offers_accepted,
                bin_.offers_declined,
            ]


def _driver_lines(period: Period) -> Iterator[list[Any]]:
    yield ["driver", "name", "vehicle", "on_duty_s", "work_s", "idle_s", "delivered", "failed"]
    for row in each_driver(period):
        yield list(astuple(row))


assert set(SORTS) == set(ORDERS_OF_DRIVERS)  # noqa: S101 (two lists of the same names)
