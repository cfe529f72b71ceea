"""Hears of whatever changes who may watch the board, by whatever door it came, and has the open boards looked at again.
New passwords and closed accounts: `crew.account_saved`."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from dispatch import live

#: Before anything is cleared nobody can say any more who had it.
LOOKED_AT = {"post_add", "post_remove", "pre_clear"}


def signed_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Django tells before it ends the session; the boards are to look after."""
    if hasattr(request, "session"):
        request.session.flush()
    if user is not None:
        live.staff_changed(user.pk)


def user_regrouped(instance: User | Group, action: str, *, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    _memberships(instance, action, reverse=reverse, pk_set=pk_set)


def user_permitted(instance: Any, action: str, *, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    _memberships(instance, action, reverse=reverse, pk_set=pk_set)


def group_permitted(instance: Any, action: str, *, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    if action in LOOKED_AT:
        groups = [instance.pk] if not reverse else pk_set or instance.group_set.values_list("pk", flat=True)
        _changed(User.objects.filter(groups__in=groups, is_staff=True).values_list("pk", flat=True).distinct())


def group_deleted(instance: Group, **_: Any) -> None:
    _changed(instance.user_set.filter(is_staff=True).values_list("pk", flat=True))


def user_deleted(instance: User, **_: Any) -> None:
    live.staff_changed(instance.pk)


def _memberships(instance: Any, action: str, *, reverse: bool, pk_set: set[int] | None) -> None:
    if action in LOOKED_AT:
        _changed([instance.pk] if not reverse else pk_set or instance.user_set.values_list("pk", flat=True))


def _changed(user_ids: Iterable[int]) -> None:
    for user_id in user_ids:
        live.staff_changed(user_id)
