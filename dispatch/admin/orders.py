"""Orders: the dispatcher's list, each order's page, and what can be done from both."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.csrf import csrf_protect

from dispatch import services
from dispatch.admin import acts, order_page, report
from dispatch.admin.filters import AttentionFilter, CreatedFilter, HolderFilter, StatusFilter, VehicleFilter
from dispatch.admin.order_forms import CorrectOrderForm, OrderForm, PlaceOrderForm
from dispatch.admin.search import HELP, find_orders
from dispatch.admin.shown import change_url, deadlines, label_of, link, since, status_badges
from drivers.backoffice import BatonAdmin
from drivers.errors import DomainError
from orders import actors
from orders.contacts import look_at_contact
from orders.lifecycle import Status
from orders.models import Order
from orders.proofs import look_at_proof

#: How much "extend" in the list gives; an order's own page lets one choose.
EXTEND_MINUTES = 5


def actor_of(request: HttpRequest) -> actors.Actor:
    # Nobody gets here without having signed in, so there is a key.
    return actors.dispatcher(int(request.user.pk or 0), request.user.get_username())


@admin.register(Order)
class OrderAdmin(BatonAdmin[Order]):
    list_display = ["label", "state", "journey", "held_by", "age", "next"]
    list_filter = [StatusFilter, AttentionFilter, HolderFilter, VehicleFilter, CreatedFilter]
    list_select_related = ["driver"]
    list_per_page = 100
    ordering = ["-created_at", "-id"]
    sortable_by = ["age"]
    search_fields = ["reference"]
    search_help_text = HELP
    actions = ["assign_to_nearest", "release", "reoffer", "extend", "pin", "unpin", "cancel"]
    change_form_template = "admin/orders/order/page.html"
    add_form_template = "admin/change_form.html"

    # --- Who may what -----------------------------------------------------------------------------------------------

    def has_dispatch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.dispatch_order")

    def has_change_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        """Details can be corrected while nobody holds the order."""
        return super().has_change_permission(request, obj) and (obj is None or obj.status == Status.PENDING)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in {
            *(StatusFilter.parameter_name, AttentionFilter.parameter_name, HolderFilter.parameter_name),
            *(VehicleFilter.parameter_name, CreatedFilter.FROM, CreatedFilter.TO, "driver__id__exact"),
        }

    # --- The list ---------------------------------------------------------------------------------------------------

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        term = search_term.strip()
        return (find_orders(queryset, term) if term else queryset), False

    @admin.display(description="order")
    def label(self, order: Order) -> str:
        return label_of(order.pk, order.reference)

    @admin.display(description="status")
    def state(self, order: Order) -> SafeString:
        return status_badges(order)

    @admin.display(description="from → to")
    def journey(self, order: Order) -> SafeString:
        ends = (order.pickup_address or "no address", order.dropoff_address or "no address")
        return format_html('<span class="end">{}</span> <span class="end to">→ {}</span>', *ends)

    @admin.display(description="driver")
    def held_by(self, order: Order) -> SafeString | str:
        return link(order.driver, order.driver.name) if order.driver is not None else "–"

    @admin.display(description="age", ordering="created_at")
    def age(self, order: Order) -> SafeString | str:
        return since(order.created_at)

    @admin.display(description="next")
    def next(self, order: Order) -> SafeString | str:
        if order.status == Status.ASSIGNED:
            return format_html("assigned {}", since(order.assigned_at, suffix=" ago"))
        if order.status == Status.PICKED_UP:
            return format_html("picked up {}", since(order.picked_up_at, suffix=" ago"))
        return format_html_join(", ", '<span class="nowrap">{} {}</span>', deadlines(order)) or "–"

    # --- Actions on many --------------------------------------------------------------------------------------------

    def response_action(  # type: ignore[override]  # the stubs are of Django 6
        self, request: HttpRequest, queryset: QuerySet[Order]
    ) -> HttpResponse | None:
        try:
            [UUID(value) for value in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)]
        except ValueError:
            messages.error(request, "Something that was selected is no order. Nothing was done.")
            return None
        return super().response_action(request, queryset)

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Order]) -> list[UUID]:
        """What was ticked, also what has left the list since; [] with a message when that is too much at once."""
        if request.POST.get("select_across") == "1":
            chosen = list(queryset.values_list("pk", flat=True)[: report.BULK_LIMIT + 1])
        else:
            chosen = [UUID(value) for value in dict.fromkeys(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))]
        if len(chosen) > report.BULK_LIMIT:
            messages.error(
                request, f"At most {report.BULK_LIMIT} orders at once. Nothing was done; choose fewer, or filter."
            )
            return []
        return chosen

    def _for_each(self, request: HttpRequest, queryset: QuerySet[Order], title: str, act: Any) -> None:
        if chosen := self._chosen(request, queryset):
            bound = partial(act, actor=actor_of(request))
            lines = [report.attempt(row, lambda key: bound(order_id=key)) for row in report.order_rows(chosen)]
            report.tell(request, title, lines)

    @admin.action(description="Assign to nearest driver", permissions=["dispatch"])
    def assign_to_nearest(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Assign to nearest", acts.assign_to_nearest)

    @admin.action(description="Release (take back from the driver)", permissions=["dispatch"])
    def release(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Release", acts.release)

    @admin.action(description="Re-offer", permissions=["dispatch"])
    def reoffer(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Re-offer", acts.reoffer)

    @admin.action(description=f"Extend by {EXTEND_MINUTES} minutes", permissions=["dispatch"])
    def extend(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Extend", partial(acts.extend, minutes=EXTEND_MINUTES))

    @admin.action(description="Pin (hold out of auto-assignment)", permissions=["dispatch"])
    def pin(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Pin", acts.pin)

    @admin.action(description="Unpin", permissions=["dispatch"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        self._for_each(request, queryset, "Unpin", acts.unpin)

    @admin.action(description="Cancel…", permissions=["dispatch"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse | None:
        """Asks for the reason first, and cancels each order only as it was shown there."""
        chosen = self._chosen(request, queryset)
        if not chosen:
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"Cancel {len(chosen)} order{'s' if len(chosen) != 1 else ''}?",
                "orders": Order.objects.filter(pk__in=chosen).select_related("driver").order_by("-created_at", "-id"),
                "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
                "badges": status_badges,
            }
            return render(request, "admin/orders/order/cancel.html", context)
        reason = request.POST.get("reason", "").replace("\0", "")[:300]
        # No version, or nonsense: the service refuses, as it would any other than the present one.
        seen = {key: _number(request.POST.get(f"version-{key}")) for key in chosen}

        def cancel_as_seen(*, order_id: UUID, actor: actors.Actor) -> str:
            return acts.cancel(order_id=order_id, actor=actor, reason=reason, version=seen[order_id])

        self._for_each(request, queryset, "Cancel", cancel_as_seen)
        return None

    # --- One order --------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        act = path(
            "<path:object_id>/act/<slug:verb>/", self.admin_site.admin_view(self.act_view), name="orders_order_act"
        )
        proof = path(
            "<path:object_id>/proofs/<uuid:proof_id>/",
            self.admin_site.admin_view(self.proof_view),
            name="orders_order_proof",
        )
        return [act, proof, *super().get_urls()]

    def proof_view(self, request: HttpRequest, object_id: str, proof_id: UUID) -> HttpResponse:
        """A picture from the door, for whoever may see customers; that they looked goes on record."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not (self.has_view_permission(request) and request.user.has_perm("orders.view_ordercontact")):
            raise PermissionDenied
        order = self.get_object(request, unquote(object_id))
        looked = look_at_proof(order_id=order.pk, proof_id=proof_id, actor=actor_of(request)) if order else None
        if looked is None:
            raise Http404
        proof, content = looked
        return HttpResponse(
            content,
            content_type=proof.media_type,
            headers={
                "Content-Disposition": f'inline; filename="{proof.kind}-{proof.pk}.jpg"',
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
            },
        )

    @method_decorator(csrf_protect)
    def act_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """A button on an order's page: one act on one order, in the version that the dispatcher saw."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_view_permission(request) and self.has_dispatch_permission(request)):
            raise PermissionDenied
        if verb not in order_page.VERBS:
            raise Http404
        order = self.get_object(request, unquote(object_id))
        if order is None:
            return self.missing(request, object_id)
        button = order_page.VERBS[verb]
        form = button.form(request.POST)
        row = report.Row(order.pk, label_of(order.pk, order.reference), change_url(order))
        if form.is_valid():
            run = partial(button.act, actor=actor_of(request), **form.cleaned_data)
            report.tell_one(request, report.attempt(row, lambda key: run(order_id=key)))
        else:
            wrong = " ".join(f"{name}: {text}" for name, texts in form.errors.items() for text in texts)
            report.tell_one(request, report.Line(row.label, row.url, f"not done: {wrong}", done=False))
        return HttpResponseRedirect(self._back_to(request, order))

    def _back_to(self, request: HttpRequest, order: Order) -> str:
        filters = self.get_preserved_filters(request)
        return change_url(order) + (f"?{filters}" if filters else "")

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Placing and correcting. Django's own opens a transaction around everything; here the service does."""
        if object_id is None:
            return self._place(request, form_url)
        order = self._page_order(request, object_id)
        if order is None:
            return self.missing(request, object_id)
        return self._correct(request, order, form_url)

    def _page_order(self, request: HttpRequest, object_id: str) -> Order | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.get_object(request, unquote(object_id))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        # One query for an order's page: with its driver and sender.
        queryset = super().get_queryset(request)
        is_page = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return queryset.select_related("driver", "integrator") if is_page else queryset

    def _place(self, request: HttpRequest, form_url: str) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PlaceOrderForm(request.POST or None)
        if form.is_valid():
            try:
                order, is_new = services.place_order(
                    new=form.new_order(),
                    actor=actor_of(request),
                    idempotency_key=f"admin-{form.cleaned_data['key']}",
                    fingerprint=form.fingerprint(),
                )
            except DomainError as error:
                report.explain(form, error)
            else:
                if is_new:
                    self.log_addition(request, order, "Placed.")
                messages.success(request, f"{label_of(order.pk, order.reference)}: placed.")
                again = "_addanother" in request.POST
                return HttpResponseRedirect(reverse("admin:orders_order_add") if again else change_url(order))
        return self._render(request, form, form_url, order=None, extra={"show_save_and_continue": False})

    def _correct(self, request: HttpRequest, order: Order, form_url: str) -> HttpResponse:
        may_correct = self.has_change_permission(request, order)
        may_see_contact = request.user.has_perm("orders.view_ordercontact")
        # Asked for with a click, because who looked at a customer is on record.
        asked = may_see_contact and "customer" in request.GET
        contact = look_at_contact(order_id=order.pk, actor=actor_of(request), via="admin") if asked else None
        data = request.POST if request.method == "POST" else None
        if data is not None and not super().has_change_permission(request, order):
            raise PermissionDenied
        form = CorrectOrderForm(data, order=order, contact=contact)
        if form.is_valid():
            try:
                services.correct_order(
                    order_id=order.pk,
                    corrections=form.corrections(),
                    contact=form.contact(),
                    actor=actor_of(request),
                    version=form.cleaned_data["version"],
                )
            except DomainError as error:
                report.explain(form, error, key=order.pk)
            else:
                messages.success(request, f"{label_of(order.pk, order.reference)}: corrected.")
                return HttpResponseRedirect(self._back_to(request, order))
        shown = order_page.page(order, may_act=self.has_dispatch_permission(request), contact=contact)
        extra = {**shown, "may_correct": may_correct, "may_see_contact": may_see_contact, "asked": asked}
        extra["proofs"] = list(order.proofs.all()) if asked else []
        extra["media"] = self.media + form.media + shown["media"]
        return self._render(request, form, form_url, order=order, extra=extra)

    def _render(
        self, request: HttpRequest, form: OrderForm, form_url: str, *, order: Order | None, extra: dict[str, Any]
    ) -> HttpResponse:
        label = label_of(order.pk, order.reference) if order else None
        title = f"Order {label}" if label else "Place an order"
        context = {**self.form_page(request, form, form.fieldsets, title=title, original=label), **extra}
        return self.render_change_form(
            request, context, add=order is None, change=order is not None, obj=order, form_url=form_url
        )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
