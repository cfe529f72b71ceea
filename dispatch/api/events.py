"""What happened: the history of one order, and the feed of all of them for whoever must miss nothing."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from dispatch import representations
from dispatch.api.principals import Door, Grant, Principal
from dispatch.api.queries import check_names, cursor_of, cursor_param, page_by_number
from drivers.http import MAX_PAGE_SIZE, whole_param
from orders.models import OrderEvent
from orders.selectors import FEED_START, FeedPosition, events_of, read_feed


class OrderEventsDoor(Door):
    needs: ClassVar = {"GET": Grant.READ}

    def get(self, request: Request, order_id: UUID) -> Response:
        """The history of one order, oldest first."""
        check_names(request, "cursor", "limit")
        events = events_of(order_id=order_id, integrator_id=self.principal.only_of)
        return Response(page_by_number(events, "version", request, shown_to(self.principal)))


class FeedDoor(Door):
    needs: ClassVar = {"GET": Grant.READ}

    def get(self, request: Request) -> Response:
        """Every event of every order, once and in order; an integrator's own, everybody's for dispatchers. Ask with `after`
        set to the last answer's `next` for ever: an event that is committed late is never passed over."""
        check_names(request, "after", "limit")
        limit = whole_param(request, "limit", MAX_PAGE_SIZE, minimum=1, maximum=MAX_PAGE_SIZE)
        after = cursor_param(request, "after", 2)
        page = read_feed(
            after=FeedPosition(*after) if after is not None else FEED_START,
            limit=limit,
            integrator_id=self.principal.only_of,
        )
        show = shown_to(self.principal)
        return Response(
            {
                "results": [show(event) for event in page.events],
                "next": cursor_of(page.next.txid, page.next.event_id),
                # It is a list like all others, but one that is only read forwards.
                "previous": None,
            }
        )


def shown_to(principal: Principal) -> Callable[[OrderEvent], dict[str, Any]]:
    return representations.event if principal.only_of is None else representations.event_for_integrator
