"""What django-q2 calls, by these names. Each is thin, takes ids only and may run twice."""

from typing import Any
from uuid import UUID

from dispatch import audit, services, sweeps
from drivers import garbage
from orders import contacts, proofs


def run_sweeps() -> str:
    garbage.settle()
    return str(sweeps.run_sweeps())


def clean_up() -> dict[str, int]:
    return services.clean_up()


def sign_of_life() -> None:
    """Nothing to do: that it was taken from the queue and finished shows the watchdog that the cluster works."""


def push_offers(order_ids: list[str]) -> dict[str, int]:
    return services.push_offers(order_ids=[UUID(order_id) for order_id in order_ids])


def erase_contacts() -> None:
    """Customers and the pictures from their doors."""
    contacts.erase_contacts()
    proofs.erase_proofs()
    proofs.sweep_files()


def audit_history() -> str:
    return audit.audit_now_and_then()


def turn_months() -> dict[str, Any]:
    return services.turn_months()


def settle_quarters() -> int:
    return services.settle_quarters()
