"""The integrator's and the dispatcher's calls, under /api/v1/."""

from django.urls import path

from dispatch.api import board, board_acts, dispatcher, events, orders

urlpatterns = [
    path("orders/", orders.OrdersDoor.as_view(), name="orders"),
    path("orders/<uuid:order_id>/", orders.OrderDoor.as_view(), name="order"),
    path("orders/<uuid:order_id>/cancel/", orders.CancelDoor.as_view(), name="order-cancel"),
    path("orders/<uuid:order_id>/events/", events.OrderEventsDoor.as_view(), name="order-events"),
    path("orders/<uuid:order_id>/nearby-drivers/", dispatcher.NearbyDriversDoor.as_view(), name="order-nearby-drivers"),
    path("orders/<uuid:order_id>/assign/", dispatcher.AssignDoor.as_view(), name="order-assign"),
    path("orders/<uuid:order_id>/unassign/", dispatcher.UnassignDoor.as_view(), name="order-unassign"),
    path("orders/<uuid:order_id>/reoffer/", dispatcher.ReofferDoor.as_view(), name="order-reoffer"),
    path("orders/<uuid:order_id>/extend/", dispatcher.ExtendDoor.as_view(), name="order-extend"),
    path("orders/<uuid:order_id>/story/", board.StoryDoor.as_view(), name="order-story"),
    path("board/acts/", board_acts.ActsDoor.as_view(), name="board-acts"),
    path("board/undo/", board_acts.UndoDoor.as_view(), name="board-undo"),
    path("board/candidates/", board.CandidatesDoor.as_view(), name="board-candidates"),
    path("board/places/", board.PlacesDoor.as_view(), name="board-places"),
    path("board/drivers/<int:driver_id>/", board.BoardDriverDoor.as_view(), name="board-driver"),
    path("events/", events.FeedDoor.as_view(), name="events"),
    path("drivers/", dispatcher.DriversDoor.as_view(), name="drivers"),
]
