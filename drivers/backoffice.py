"""What every list of the back office shares: it never counts a whole table, and nothing is deleted or edited past a
service."""

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.text import capfirst

_M = TypeVar("_M", bound=Model)

if TYPE_CHECKING:
    from django.core.paginator import _SupportsPagination

    _Rows = _SupportsPagination[Any]

    class _ModelAdmin(admin.ModelAdmin[_M]):
        pass

    class _Paginator(Paginator[Any]):
        pass
else:

    class _ModelAdmin(Generic[_M], admin.ModelAdmin):
        """Only the stubs' ModelAdmin takes a type."""

    _Paginator = Paginator


class BoundedPaginator(_Paginator):
    """Counts up to LIMIT rows and no further: a list of millions opens as quickly as a short one. What lies beyond is
    reached by filter or search, not by paging."""

    LIMIT: ClassVar[int] = 10_000

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by()[: self.LIMIT + 1].count()
        return len(rows)

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.LIMIT)

    @property
    def is_cut(self) -> bool:
        """There are more rows than pages lead to."""
        return self._counted > self.LIMIT


class BoundedChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.result_count == 0:
            # Known to be empty: do not look a second time.
            self.result_list = self.queryset.none()


class BatonAdmin(_ModelAdmin[_M]):
    """A page of the back office: changes go through services, so nothing can be deleted and lists count boundedly."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # Counts beside every choice of every filter would be a count of the table each.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Somebody asked for a page of something that does not exist."""
        messages.warning(request, f"There is no {self.opts.verbose_name} “{object_id[:50]}”.")
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def form_page(
        self, request: HttpRequest, form: forms.Form, fieldsets: list[Any], *, title: str, original: Any = None
    ) -> dict[str, Any]:
        """The variables of Django's change_form.html for a form that is not a ModelForm."""
        # The stubs ask for a ModelForm; Django's own UserAdmin does without.
        plain = cast(Any, form)
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": None,
            "adminform": helpers.AdminForm(plain, fieldsets, {}),
            "errors": helpers.AdminErrorList(plain, []),
            "inline_admin_formsets": [],
            "original": original,
            "is_popup": False,
            "to_field": None,
            "media": self.media + form.media,
            "preserved_filters": self.get_preserved_filters(request),
        }

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(BatonAdmin[_M]):
    """May look, not touch."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
