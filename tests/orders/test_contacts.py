from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from dispatch import services
from drivers.models import Driver
from orders import actors
from orders.contacts import erase_contacts, look_at_contact
from orders.models import ContactAccess, Order, OrderContact, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def finished(driver: Driver, *, days_ago: float) -> Order:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=driver.pk)
    services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
    services.deliver_order(order_id=order.pk, driver_id=driver.pk)
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(version=6, delivered_at=cast.now() - timedelta(days=days_ago))
        OrderEvent.objects.create(order=order, version=6, kind="order.corrected", actor_type="system")
    return order


def test_a_contact_is_erased_when_its_order_has_been_final_for_the_retention_time(alice: Driver) -> None:
    old, recent, cancelled, open_order = (
        finished(alice, days_ago=30.01),
        finished(alice, days_ago=29.99),
        cast.order(),
        cast.order(),
    )
    services.cancel_order(order_id=cancelled.pk, actor=cast.DISPATCHER)

    assert erase_contacts() == 1
    assert erase_contacts() == 0

    assert set(OrderContact.objects.values_list("pk", flat=True)) == {recent.pk, cancelled.pk, open_order.pk}
    assert Order.objects.get(pk=old.pk).status == "delivered"


def test_a_look_at_a_contact_is_on_record(alice: Driver) -> None:
    order = cast.order()

    contact = look_at_contact(order_id=order.pk, actor=actors.dispatcher(7, "dora"), via="admin")

    assert contact is not None
    assert contact.name == "Carol Customer"
    assert list(ContactAccess.objects.values_list("order_id", "actor_type", "actor_id", "actor_name", "via")) == [
        (order.pk, "dispatcher", "7", "dora", "admin")
    ]


def test_the_record_of_looks_is_append_only(alice: Driver) -> None:
    look_at_contact(order_id=cast.order().pk, actor=cast.DISPATCHER, via="api")

    for statement in ("DELETE FROM orders_contactaccess", "UPDATE orders_contactaccess SET actor_name='nobody'"):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    assert ContactAccess.objects.count() == 1


def test_an_erased_contact_is_not_there_and_leaves_no_record(alice: Driver) -> None:
    order = finished(alice, days_ago=31)
    erase_contacts()

    assert look_at_contact(order_id=order.pk, actor=cast.DISPATCHER, via="admin") is None
    assert ContactAccess.objects.count() == 0
