"""Which of a driver's devices want to be woken by Web Push, and where their push service is. Sending: drivers/webpush."""

import base64
import binascii
import re
from functools import cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import transaction

from drivers.errors import Invalid, NotFound
from drivers.models import DeviceToken, PushSubscription

#: Of one driver: an old phone, a new one, a tablet. The latest stay.
MOST_SUBSCRIPTIONS: Final = 5
LONGEST_ENDPOINT: Final = 1000
#: A name with a dot, as DNS has it; so no address in digits, and nothing that only this network knows.
NAME = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def is_configured() -> bool:
    return bool(settings.PUSH_PRIVATE_KEY)


def public_key() -> str | None:
    """What a browser subscribes with (`applicationServerKey`, base64url); None while push is off."""
    return _public_key_of(settings.PUSH_PRIVATE_KEY) if is_configured() else None


@cache
def _public_key_of(private_key: str) -> str:
    number = int.from_bytes(from_base64url(private_key), "big")
    point = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return to_base64url(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def create_keys() -> tuple[str, str]:
    """A new private key and its public key, both base64url."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    private = to_base64url(number.to_bytes(32, "big"))
    return private, _public_key_of(private)


def subscribe(*, driver_id: int, token_digest: str, endpoint: str, p256dh: str, auth: str) -> None:
    """Wake this device from now on, until its token ends. The same endpoint again takes the place of the first, also that
    of another driver: it is the same phone. Raises Invalid (endpoint, keys.…), NotFound while push is off."""
    if not is_configured():
        raise NotFound
    check_endpoint(endpoint)
    check_keys(p256dh, auth)
    with transaction.atomic(durable=True):
        # Locked, so that a sign-out at the same moment does not leave a subscription behind.
        if (
            not DeviceToken.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk=token_digest)
            .values_list("pk")
        ):
            raise NotFound
        row = PushSubscription(driver_id=driver_id, token_id=token_digest, endpoint=endpoint, p256dh=p256dh, auth=auth)
        PushSubscription.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["endpoint"],
            update_fields=["driver", "token", "p256dh", "auth", "created_at"],
        )
        own = PushSubscription.objects.filter(driver_id=driver_id).order_by("-created_at", "-pk")
        PushSubscription.objects.filter(pk__in=list(own.values_list("pk", flat=True)[MOST_SUBSCRIPTIONS:])).delete()


def unsubscribe(*, driver_id: int, endpoint: str) -> None:
    """One's own; again, or one that is not there, changes nothing."""
    PushSubscription.objects.filter(driver_id=driver_id, endpoint=endpoint).delete()


def check_keys(p256dh: str, auth: str) -> None:
    """Raises Invalid: `p256dh` must be a point of P-256, `auth` 16 bytes, both base64url (RFC 8291)."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(p256dh))
    except ValueError:
        raise Invalid(**{"keys.p256dh": "Must be a point of the curve P-256, as base64url."}) from None
    try:
        length = len(from_base64url(auth))
    except ValueError:
        length = 0
    if length != 16:
        raise Invalid(**{"keys.auth": "Must be 16 bytes, as base64url."})


def check_endpoint(endpoint: str) -> SplitResult:
    """Whom this server may be sent to by somebody else's word: https, at the usual port, at a push service that is known
    (settings.PUSH_HOSTS). Where that name leads is looked at when something is sent. Raises Invalid naming `endpoint`."""
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise Invalid(endpoint="Must be an address.") from None
    if len(endpoint) > LONGEST_ENDPOINT or not re.fullmatch(r"[!-~]+", endpoint):
        raise Invalid(endpoint=f"Must be an address of at most {LONGEST_ENDPOINT} characters.")
    if settings.PUSH_TEST_ORIGIN and f"{url.scheme}://{url.netloc}" == settings.PUSH_TEST_ORIGIN:
        return url
    if url.scheme != "https" or port not in {None, 443} or url.username is not None or url.password is not None:
        raise Invalid(endpoint="Must be an https address.")
    if not NAME.fullmatch(host) or not _is_known(host):
        raise Invalid(endpoint="Must be at a push service that is known here.")
    return url


def _is_known(host: str) -> bool:
    """`*`: any; `.example.org`: everything below; `push.example.org`: exactly this one."""
    return any(
        known == "*" or host == known or (known.startswith(".") and host.endswith(known))
        for known in settings.PUSH_HOSTS
    )


def to_base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """With or without padding. Raises ValueError for what is not base64url."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare.encode("ascii") + b"=" * (-len(bare) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError(text) from error
