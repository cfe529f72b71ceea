"""What a customer is called, and where they can be reached, is in no log and no error's text: not Baton's, not
PostgreSQL's, whatever goes wrong."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from drivers.models import Driver
from orders.models import OrderContact
from tests.config.rig import Served, ask, served
from tests.conftest import connected_as_owner
from tests.dispatch.api import callers
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "orders_ordercontact"


@pytest.fixture
def secret() -> str:
    return f"Carol{uuid4().hex}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def refused(secret: str) -> Iterator[str]:
    """A rule of the database that nobody expects, and that this customer breaks: its name."""
    with connected_as_owner(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT surprise CHECK (name <> %s) NOT VALID", [secret])
    yield "surprise"
    with connected_as_owner(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT surprise")


def carried(server: Served, secret: str, driver: Driver) -> list[Any]:
    """An order's whole way through the API, with everything wrong that can be; all answers but the holder's own."""
    shop: dict[str, Any] = callers.shop().headers
    phone: dict[str, Any] = callers.phone(driver).headers
    contact = {"name": secret, "phone": "+1 415 555 0199", "notes": f"{secret} rings"}
    answers = [
        ask(server, "/api/v1/orders/", method="POST", body=callers.body(contact={**contact, "phone": 5}), **shop),
        ask(server, "/api/v1/orders/", method="POST", body=callers.body(contact=contact, payout=secret), **shop),
        ask(
            server,
            "/api/v1/orders/",
            method="POST",
            body=callers.body(contact={**contact, "name": secret * 20}),
            **shop,
        ),
    ]
    placed = ask(server, "/api/v1/orders/", method="POST", body=callers.body(contact=contact), **shop)
    assert placed.status == 201, placed.content
    order = placed.document["id"]
    for act in ("accept", "pick-up"):
        assert (
            ask(server, f"/api/v1/orders/{order}/{act}/", method="POST", body={"action_id": act}, **phone).status == 200
        )
    proof = {"kind": "name", "note": secret * 40}
    answers.append(ask(server, f"/api/v1/orders/{order}/deliver/", method="POST", body={"proof": proof}, **phone))
    answers.append(ask(server, f"/api/v1/orders/{order}/cancel/", method="POST", body={"reason": "no"}, **phone))
    return answers


def test_nothing_that_happens_to_an_order_writes_its_customer_into_the_log(
    server: Served, secret: str, alice: Driver
) -> None:
    answers = carried(server, secret, alice)

    assert [answer.status for answer in answers] == [400, 400, 400, 400, 403]
    assert secret not in str([answer.content for answer in answers])
    assert secret not in server.output()
    assert OrderContact.objects.filter(name=secret).exists()


def test_a_fault_goes_on_record_without_the_row_that_it_is_about(server: Served, secret: str, refused: str) -> None:
    contact = {"name": secret, "phone": "+1 415 555 0199"}
    shop: dict[str, Any] = callers.shop().headers

    answer = ask(server, "/api/v1/orders/", method="POST", body=callers.body(contact=contact), **shop)

    answer.problem(500, "internal")
    assert secret not in str(answer.content)
    wait_until(lambda: refused in server.output(), seconds=10, what="the fault is on record")
    assert secret not in server.output()


#: What PostgreSQL would like to tell: the row, the statement, the value; slow ones, and those that wait.
TELLING = {
    "a row that is refused": f"INSERT INTO {TABLE} (order_id, name) VALUES (NULL, '{{secret}}')",
    "a statement that is wrong": "SELECT '{secret}' FROM {control}",
    "a statement that is slow": "SELECT pg_sleep(1.2), '{secret}'",
    "a statement that is cut off": "SET LOCAL statement_timeout = 50; SELECT pg_sleep(5), '{secret}'",
}


@pytest.mark.parametrize("statement", TELLING.values(), ids=TELLING)
def test_postgresql_keeps_statements_and_rows_to_itself(secret: str, statement: str, alice: Driver) -> None:
    log = Path(os.environ["BATON_STATE_DIR"]) / "pg" / "server.log"
    control = f"nothing_{uuid4().hex}"

    for sql in (statement.format(secret=secret, control=control), f"SELECT * FROM {control}"):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql)
        except DatabaseError:
            pass

    wait_until(lambda: control in log.read_text(errors="replace"), seconds=10, what="the log is being written")
    assert secret not in log.read_text(errors="replace")
