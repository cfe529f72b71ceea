"""The people of the demo city."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.db import transaction

from drivers.fleet import Area, create_drivers
from drivers.models import Driver, Vehicle
from drivers.services import create_driver
from orders.models import ApiKey, Scope
from orders.services import create_api_key, digest_of

CITY = Area(lat=37.7793, lng=-122.4193, radius_km=4.0)
FLEET_PREFIX = "demo"
FLEET = 40
SHOP = "Demo shop"
#: Marks the accounts that are the demo's own: only their passwords may be set anew.
MARK = "@demo.invalid"

FIRST_NAMES = ("Ana", "Bilal", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas")
#: Vehicle and capacity, in turn.
VEHICLES = (
    (Vehicle.CAR, 1),
    (Vehicle.BICYCLE, 1),
    (Vehicle.CAR, 2),
    (Vehicle.MOTORBIKE, 1),
    (Vehicle.CAR, 1),
    (Vehicle.BICYCLE, 1),
    (Vehicle.MOTORBIKE, 2),
    (Vehicle.VAN, 3),
)


@dataclass(frozen=True, slots=True)
class SignIn:
    role: str
    username: str
    #: None: not known here, because it was changed or it is not the demo's account.
    password: str | None


@dataclass(frozen=True, slots=True)
class DemoCity:
    sign_ins: list[SignIn]
    #: None: there is one, and it was shown earlier.
    api_key: str | None
    #: What is to be kept for the next time: user name → password, and `api_key`.
    secrets: dict[str, str]


def load_demo(*, known: Mapping[str, str], renew: bool = False) -> DemoCity:
    """Make what is missing of the demo city; nothing that is there is changed. `known` are the secrets that an earlier call
    returned. `renew`: accounts of the demo whose secrets are not among them get new ones. An account of such a name that
    is not the demo's is always left alone."""
    staff = (
        ("Administrator", "admin", None),
        ("Supervisor", "sam", "supervisor"),
        ("Dispatcher", "dora", "dispatcher"),
    )
    with transaction.atomic(durable=True):
        sign_ins = [_staff(role, username, group, known.get(username), renew) for role, username, group in staff]
        sign_ins.append(_driver("dan", known.get("dan"), renew))
        api_key = _api_key(known.get("api_key", ""), renew)
    _fleet()
    kept = {sign_in.username: sign_in.password for sign_in in sign_ins if sign_in.password is not None}
    if api_key is not None:
        kept["api_key"] = api_key
    return DemoCity(sign_ins, api_key, {**known, **kept})


def _staff(role: str, username: str, group: str | None, password: str | None, renew: bool) -> SignIn:
    user = User.objects.filter(username=username).first()
    if user is None:
        user = User(username=username, email=username + MARK, is_staff=True, is_superuser=group is None)
        user.set_password(password := password or new_password())
        user.save()
        if group is not None:
            user.groups.set(Group.objects.filter(name=group))
        return SignIn(role, username, password)
    return SignIn(role, username, _password_of(user, password, renew))


def _driver(username: str, password: str | None, renew: bool) -> SignIn:
    user = User.objects.filter(username=username).first()
    if user is None:
        password = password or new_password()
        driver = create_driver(username=username, password=password, name="Dan", phone="+1 415 555 0101")
        User.objects.filter(pk=driver.user_id).update(email=username + MARK)
        return SignIn("Driver", username, password)
    return SignIn("Driver", username, _password_of(user, password, renew))


def _password_of(user: User, password: str | None, renew: bool) -> str | None:
    if password is not None:
        return password if user.check_password(password) else None
    if not renew or not user.email.endswith(MARK):
        return None
    user.set_password(password := new_password())
    user.save(update_fields=["password"])
    return password


def new_password() -> str:
    """Three groups that can be read out and typed: about 60 bits."""
    letters = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("l1o0i")))
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


def _api_key(known: str, renew: bool) -> str | None:
    keys = ApiKey.objects.filter(integrator__name=SHOP, revoked_at=None)
    if known and keys.filter(digest=digest_of(known)).exists():
        return known
    if not renew and keys.exists():
        return None
    _, secret = create_api_key(name=SHOP, scopes=[Scope.ORDERS_READ, Scope.ORDERS_WRITE])
    return secret


def _fleet() -> None:
    """Drivers whom `manage.py demo` moves; nobody else needs their password."""
    names = [f"{FLEET_PREFIX}{number}" for number in range(1, FLEET + 1)]
    if Driver.objects.filter(user__username__in=names).count() == FLEET:
        return
    fleet = create_drivers(prefix=FLEET_PREFIX, count=FLEET, password=secrets.token_urlsafe(24), area=CITY, seed=1)
    for number, driver_id in enumerate(fleet.driver_ids):
        vehicle, capacity = VEHICLES[number % len(VEHICLES)]
        name = f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {string.ascii_uppercase[number // len(FIRST_NAMES) + 11]}."
        # Only those who are as they were created.
        Driver.objects.filter(pk=driver_id, name=names[number]).update(name=name, vehicle=vehicle, capacity=capacity)
