"""The back office: doors for dispatchers and supervisors. An act calls one service per row and says what came of it."""

from dispatch.admin import background, driver_messages, drivers, history, offers, orders, second_factors, sign_ins

__all__ = [
    "background",
    "driver_messages",
    "drivers",
    "history",
    "offers",
    "orders",
    "second_factors",
    "sign_ins",
]
