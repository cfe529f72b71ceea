"""Every verb of Baton, by the name that doors, tests and documents use."""

from dispatch.selectors import nearby_drivers
from dispatch.services.accept import accept_order, decline_order
from dispatch.services.assign import (
    assign_order,
    assign_order_to_nearest,
    pin_order,
    reassign_order,
    unassign_order,
    unpin_order,
)
from dispatch.services.auto_assign import auto_assign
from dispatch.services.carry import deliver_order, fail_order, pick_up_order, release_order
from dispatch.services.cleaning import clean_up
from dispatch.services.closing import withdraw_left_over_offers
from dispatch.services.crew import (
    correct_driver,
    register_driver,
    set_driver_password,
    sign_out_driver,
)
from dispatch.services.duty import (
    go_offline,
    go_online,
    mark_silent_drivers_offline,
    record_heartbeats,
    reinstate_driver,
    sign_out,
    suspend_driver,
)
from dispatch.services.expire import expire_orders
from dispatch.services.feed import mark_offers_delivered, mark_offers_seen
from dispatch.services.follow import follow_holders
from dispatch.services.intake import cancel_order, correct_order, extend_order, place_order
from dispatch.services.messages import mark_message_read, send_message
from dispatch.services.months import turn_months
from dispatch.services.offers import offer_orders, reoffer_order
from dispatch.services.proofs import keep_proof
from dispatch.services.push import push_offers
from dispatch.services.quarters import settle_quarters
from dispatch.services.receipts import Done, Tap
from dispatch.services.second_factor import (
    backup_codes_left,
    enrol_second_factor,
    give_up_second_factor,
    remove_second_factor,
    renew_backup_codes,
    unlock_second_factor,
)
from dispatch.services.undo import order_of_undo, undo_act, undo_of
from drivers.services import Position, record_positions

__all__ = [
    "Done",
    "Position",
    "Tap",
    "accept_order",
    "assign_order",
    "assign_order_to_nearest",
    "auto_assign",
    "backup_codes_left",
    "cancel_order",
    "clean_up",
    "correct_driver",
    "correct_order",
    "decline_order",
    "deliver_order",
    "enrol_second_factor",
    "expire_orders",
    "extend_order",
    "fail_order",
    "follow_holders",
    "give_up_second_factor",
    "go_offline",
    "go_online",
    "keep_proof",
    "mark_message_read",
    "mark_offers_delivered",
    "mark_offers_seen",
    "mark_silent_drivers_offline",
    "nearby_drivers",
    "offer_orders",
    "order_of_undo",
    "pick_up_order",
    "pin_order",
    "place_order",
    "push_offers",
    "reassign_order",
    "record_heartbeats",
    "record_positions",
    "register_driver",
    "reinstate_driver",
    "release_order",
    "remove_second_factor",
    "renew_backup_codes",
    "reoffer_order",
    "send_message",
    "set_driver_password",
    "settle_quarters",
    "sign_out",
    "sign_out_driver",
    "suspend_driver",
    "turn_months",
    "unassign_order",
    "undo_act",
    "undo_of",
    "unlock_second_factor",
    "unpin_order",
    "withdraw_left_over_offers",
]
