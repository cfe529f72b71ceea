"""Offers by Web Push, through the job as a worker runs it, to a push service that checks and decrypts everything."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from dispatch import services, tasks
from dispatch.models import Offer
from dispatch.services import push as push_services
from drivers import push, webpush
from drivers.models import DeviceToken, Driver, Presence, PushSubscription
from orders.models import Order
from tests import cast
from tests.pushservice import PushService, push_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(settings: Any) -> Iterator[PushService]:
    with push_service() as running:
        settings.PUSH_PRIVATE_KEY, _ = push.create_keys()
        settings.PUSH_CONTACT = "mailto:ops@example.com"
        settings.PUSH_TEST_ORIGIN = running.origin
        yield running


def subscribed(service: PushService, driver: Driver, name: str) -> DeviceToken:
    """A device of the driver's, signed in and to be woken."""
    token: DeviceToken
    token, _ = DeviceToken.objects.create(user=driver.user)
    given = service.subscription(name)
    push.subscribe(driver_id=driver.pk, token_digest=token.pk, endpoint=given["endpoint"], **given["keys"])
    return token


def queued() -> list[dict[str, Any]]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.filter(key="jobs").order_by("pk")]


def run_jobs() -> list[dict[str, int]]:
    """Every push that is queued, as a worker would once its time has come."""
    jobs = queued()
    OrmQ.objects.all().delete()
    assert {job["func"] for job in jobs} <= {"dispatch.tasks.push_offers"}
    return [tasks.push_offers(*job["args"]) for job in jobs]


def devices() -> set[str]:
    return {endpoint.rsplit("/", 1)[1] for endpoint in PushSubscription.objects.values_list("endpoint", flat=True)}


def test_a_closed_app_is_told_that_there_is_an_order_and_nothing_about_anybody(
    service: PushService, alice: Driver, settings: Any
) -> None:
    subscribed(service, alice, "phone")

    order = cast.order(reference="REF-8841")
    assert run_jobs() == [{"sent": 1, "gone": 0, "failed": 0}]

    assert service.faults == []
    (delivery,) = service.deliveries
    expires_at = f"{Order.objects.get(pk=order.pk).expires_at:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert delivery.payload == {
        "type": "offer",
        "title": "A new order near you",
        "order": str(order.pk),
        "expires_at": expires_at,
    }
    assert delivery.signed_by == push.public_key()
    assert delivery.claims["sub"] == "mailto:ops@example.com"
    assert 110 <= int(delivery.headers["ttl"]) <= 120
    assert delivery.headers["urgency"] == "high"
    assert delivery.headers["topic"] == order.pk.hex
    assert b"phone" not in delivery.raw


def test_the_job_commits_with_the_offers_and_is_due_after_a_moment(service: PushService, alice: Driver) -> None:
    subscribed(service, alice, "phone")

    order = cast.order()

    (job,) = queued()
    assert (job["func"], job["args"]) == ("dispatch.tasks.push_offers", ([str(order.pk)],))
    due_in = (OrmQ.objects.get().lock - timezone.now()).total_seconds()
    assert 0.5 < due_in <= push_services.GRACE_SECONDS


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_pushed(service: PushService, alice: Driver, monkeypatch: Any) -> None:
    subscribed(service, alice, "phone")

    def trouble(*_: Any, **__: Any) -> None:
        raise RuntimeError("after the offers were made")

    monkeypatch.setattr("dispatch.services.intake.offer_to_nearby", _then(trouble))
    with pytest.raises(RuntimeError):
        cast.order()

    assert (Order.objects.count(), Offer.objects.count(), queued()) == (0, 0, [])


def _then(trouble: Any) -> Any:
    from dispatch.services.offers import offer_to_nearby

    def both(order: Order) -> int:
        assert offer_to_nearby(order) == 1
        assert len(queued()) == 1
        trouble()
        return 0

    return both


def test_without_a_key_nothing_is_looked_up_or_queued(
    service: PushService, alice: Driver, settings: Any, django_assert_num_queries: Any
) -> None:
    subscribed(service, alice, "phone")
    settings.PUSH_PRIVATE_KEY = ""

    with django_assert_num_queries(0):
        push_services.push_later({UUID(int=1): {alice.pk: 1.0}})
    cast.order()

    assert queued() == []
    assert push.public_key() is None


def test_nobody_to_wake_is_no_job(service: PushService, alice: Driver, bob: Driver) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    subscribed(service, far, "elsewhere")

    cast.order()

    assert queued() == []


def test_whose_socket_took_the_offer_is_not_woken(service: PushService, alice: Driver, bob: Driver) -> None:
    subscribed(service, alice, "alices")
    subscribed(service, bob, "bobs")
    order = cast.order()

    services.mark_offers_delivered(cards={(alice.pk, order.pk)})
    run_jobs()

    assert (service.of("alices"), len(service.of("bobs"))) == ([], 1)


def accepted(order: Order, bob: Driver) -> None:
    services.accept_order(order_id=order.pk, driver_id=bob.pk)


def cancelled(order: Order, bob: Driver) -> None:
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)


def expired(order: Order, bob: Driver) -> None:
    cast.let_time_pass(order, seconds=130)


@pytest.mark.parametrize("end", [accepted, cancelled, expired], ids=lambda end: end.__name__)
def test_an_offer_that_is_over_by_then_wakes_nobody(service: PushService, alice: Driver, bob: Driver, end: Any) -> None:
    subscribed(service, alice, "phone")
    order = cast.order()

    end(order, bob)

    assert run_jobs() == [{"sent": 0, "gone": 0, "failed": 0}]
    assert service.asked == {}


def test_of_many_orders_at_once_a_device_hears_of_the_nearest(service: PushService, alice: Driver) -> None:
    from orders.services import Place

    subscribed(service, alice, "phone")
    subscribed(service, alice, "tablet")
    far = cast.order(pickup=Place(*cast.UNION_SQUARE))
    near = cast.order()

    tasks.push_offers([str(far.pk), str(near.pk)])

    for device in ("phone", "tablet"):
        assert [payload["order"] for payload in service.of(device)] == [str(near.pk)]


def test_a_busy_street_is_no_rattle(service: PushService, alice: Driver) -> None:
    subscribed(service, alice, "phone")
    order = cast.order()

    sent = [tasks.push_offers([str(order.pk)])["sent"] for _ in range(6)]

    assert sent == [1, 1, 1, 1, 0, 0]


# --- Push services -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_no_more_is_forgotten(service: PushService, alice: Driver, status: int) -> None:
    subscribed(service, alice, "dead")
    subscribed(service, alice, "alive")
    service.answers["dead"] = [(status, {})]

    cast.order()

    assert run_jobs() == [{"sent": 1, "gone": 1, "failed": 0}]
    assert devices() == {"alive"}
    assert service.asked == {"dead": 1, "alive": 1}


@pytest.mark.parametrize(
    ("answers", "outcome", "asked"),
    [
        ([(503, {}), (201, {})], "sent", 2),
        ([(429, {"Retry-After": "1"}), (201, {})], "sent", 2),
        ([(500, {})], "failed", 2),
        ([(429, {"Retry-After": "600"})], "failed", 1),
        ([(503, {}), (410, {})], "gone", 2),
        ([(400, {})], "failed", 1),
        ([(403, {})], "failed", 1),
        ([(413, {})], "failed", 1),
    ],
)
def test_a_push_is_tried_twice_where_that_can_help(
    service: PushService, alice: Driver, answers: list[Any], outcome: str, asked: int
) -> None:
    subscribed(service, alice, "phone")
    service.answers["phone"] = answers
    cast.order()

    (result,) = run_jobs()

    assert result == {"sent": 0, "gone": 0, "failed": 0, outcome: 1}
    assert service.asked["phone"] == asked
    assert devices() == (set() if outcome == "gone" else {"phone"})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_led_elsewhere(service: PushService, alice: Driver, status: int) -> None:
    subscribed(service, alice, "phone")
    service.devices["secret"] = service.devices["phone"]
    service.answers["phone"] = [(status, {"Location": f"{service.origin}/push/secret"})]
    cast.order()

    assert run_jobs() == [{"sent": 0, "gone": 0, "failed": 1}]
    assert service.asked == {"phone": 1}


def test_a_push_service_that_is_away_is_not_waited_for(service: PushService, alice: Driver, settings: Any) -> None:
    subscribed(service, alice, "phone")
    settings.PUSH_TEST_ORIGIN = "http://127.0.0.1:1"
    PushSubscription.objects.update(endpoint="http://127.0.0.1:1/push/phone")
    cast.order()

    assert run_jobs() == [{"sent": 0, "gone": 0, "failed": 1}]
    assert PushSubscription.objects.count() == 1


def test_two_hundred_are_told_at_once_and_one_that_dawdles_keeps_nobody_waiting(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webpush, "TRY_SECONDS", 1)
    monkeypatch.setattr(webpush, "TRIES", 1)
    released = threading.Event()
    names = [f"phone{number}" for number in range(200)]
    pushes = []
    for number, name in enumerate(names):
        given = service.subscription(name)
        pushes.append(
            webpush.Push(number, given["endpoint"], **given["keys"], payload={"n": number}, ttl=60, topic="t")
        )
    for name in names[:10]:
        service.before[name] = lambda: released.wait(10)

    started = time.monotonic()
    outcomes = webpush.send_all(pushes)
    took = time.monotonic() - started
    released.set()

    assert service.faults == []
    assert [outcomes[number] for number in range(10)] == [webpush.Outcome.FAILED] * 10
    assert {outcomes[number] for number in range(10, 200)} == {webpush.Outcome.SENT}
    assert {service.of(name)[0]["n"] for name in names[10:]} == set(range(10, 200))
    assert 1 < service.most_busy <= webpush.AT_ONCE
    assert took < 8


def test_the_whole_job_ends_in_time(service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webpush, "ALL_SECONDS", 0.5)
    released = threading.Event()
    given = service.subscription("phone")
    service.before["phone"] = lambda: released.wait(10)

    started = time.monotonic()
    outcomes = webpush.send_all([webpush.Push(7, given["endpoint"], **given["keys"], payload={}, ttl=60, topic="t")])
    took = time.monotonic() - started
    released.set()

    assert outcomes == {7: webpush.Outcome.FAILED}
    assert took < 2


# --- A subscription ends with its device -----------------------------------------------------------------------------


def signed_out(driver: Driver, token: DeviceToken) -> None:
    services.sign_out(driver_id=driver.pk, token_digest=token.pk)


def signed_out_everywhere(driver: Driver, token: DeviceToken) -> None:
    assert services.sign_out_driver(driver_id=driver.pk) == 1


def new_password(driver: Driver, token: DeviceToken) -> None:
    assert services.set_driver_password(driver_id=driver.pk, password="a quite different horse") == 1


def suspended(driver: Driver, token: DeviceToken) -> None:
    services.suspend_driver(driver_id=driver.pk)


def token_revoked(driver: Driver, token: DeviceToken) -> None:
    DeviceToken.objects.filter(pk=token.pk).delete()


def token_revoked_in_sql(driver: Driver, token: DeviceToken) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM drivers_devicetoken WHERE digest = %s", [token.pk])


def cleaned_up(driver: Driver, token: DeviceToken) -> None:
    DeviceToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    assert services.clean_up()["device tokens"] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "end",
    [
        signed_out,
        signed_out_everywhere,
        new_password,
        suspended,
        token_revoked,
        token_revoked_in_sql,
        cleaned_up,
    ],
    ids=lambda end: end.__name__,
)
def test_it_ends_with_the_device(service: PushService, alice: Driver, bob: Driver, end: Any) -> None:
    token = subscribed(service, alice, "alices")
    subscribed(service, bob, "bobs")

    end(alice, token)

    assert devices() == {"bobs"}


@pytest.mark.parametrize("lack", ["expired", "suspended", "inactive"])
def test_who_may_not_be_signed_in_is_not_woken(service: PushService, alice: Driver, lack: str) -> None:
    token = subscribed(service, alice, "phone")
    order = cast.order()
    if lack == "expired":
        DeviceToken.objects.filter(pk=token.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    elif lack == "suspended":
        Driver.objects.update(suspended=True)
    else:
        type(alice.user).objects.filter(pk=alice.user_id).update(is_active=False)

    assert tasks.push_offers([str(order.pk)]) == {"sent": 0, "gone": 0, "failed": 0}


def test_a_device_that_signs_out_at_that_moment_does_not_subscribe(service: PushService, alice: Driver) -> None:
    from drivers.errors import NotFound

    given = service.subscription("phone")

    with pytest.raises(NotFound):
        push.subscribe(driver_id=alice.pk, token_digest="gone", endpoint=given["endpoint"], **given["keys"])

    assert devices() == set()


def test_whoever_went_off_duty_is_not_woken_by_an_offer_that_was_left_over(service: PushService, alice: Driver) -> None:
    subscribed(service, alice, "phone")
    order = cast.order()
    Presence.objects.filter(pk=alice.pk).update(is_online=False)
    assert cast.offers(order) == {"alice": "open"}

    assert run_jobs() == [{"sent": 0, "gone": 0, "failed": 0}]

    assert service.deliveries == []
