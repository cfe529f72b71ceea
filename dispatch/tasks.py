"""What django-q2 calls, by these names. Each is thin, takes ids only and may run twice."""

from dispatch import services, sweeps
from orders import contacts


def run_sweeps() -> str:
    return str(sweeps.run_sweeps())


def clean_up() -> dict[str, int]:
    return services.clean_up()


def sign_of_life() -> None:
    """Nothing to do: that it was taken from the queue and finished shows the watchdog that the cluster works."""


def erase_contacts() -> None:
    contacts.erase_contacts()


def settle_quarters() -> int:
    return services.settle_quarters()
