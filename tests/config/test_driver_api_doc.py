"""docs/driver-api.md says what is so: its calls, codes, statuses and numbers are those of the code."""

import re
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from config.api_docs import openapi_document
from config.problems import FRAMEWORK_CODES, STATUS
from dispatch.api.base import REQUESTS_PER_DRIVER
from dispatch.api.proofs import PROOFS_PER_DRIVER
from dispatch.consumers import base, places
from dispatch.consumers.frames import Close
from dispatch.services import carry, proofs, push
from orders.proofs import LONGEST_SIDE, MOST_PIXELS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "driver-api.md").read_text()
PLACEHOLDER = re.compile(r"\{\w+\}")
STATUS_OF = {code: status for status, code in FRAMEWORK_CODES.items()} | STATUS


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table after a heading."""
    rows = TEXT.split(heading, 1)[1].split("\n|", 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_call_that_is_named_is_there() -> None:
    paths = {PLACEHOLDER.sub("{id}", path): calls for path, calls in openapi_document()["paths"].items()}
    named = re.findall(r"\b(GET|POST|PATCH|DELETE)\s+([a-z][a-z/-]*/(?:\{id\}/[a-z-]+/)?)", TEXT)

    assert len(set(named)) > 15
    for method, path in named:
        assert method.lower() in paths["/api/v1/" + path], f"{method} {path}"


def test_every_call_of_a_driver_is_named() -> None:
    for path, calls in openapi_document()["paths"].items():
        for call in calls.values():
            if call.get("security") == [{"driverToken": []}]:
                assert PLACEHOLDER.sub("{id}", path).removeprefix("/api/v1/") in TEXT, path


def test_every_code_has_its_status_and_all_that_a_driver_can_hear_are_listed() -> None:
    listed = {
        code: {int(status) for status in re.findall(r"\d{3}", cells[0])}
        for cells in table("## Codes")
        for code in re.findall(r"`(\w+)`", cells[1])
        if code in STATUS_OF
    }
    heard = {
        code
        for calls in openapi_document()["paths"].values()
        for call in calls.values()
        if "driverToken" in str(call.get("security"))
        for answer in call["responses"].values()
        for code in re.findall(r"^- `(\w+)`", answer["description"], re.MULTILINE)
    }

    for code, statuses in listed.items():
        assert STATUS_OF[code] in statuses, code
    # Only dispatchers and senders hear of versions.
    assert heard - {"version_conflict"} <= listed.keys()
    for status, code in re.findall(r"\b(\d{3}) `(\w+)`", TEXT):
        if code in STATUS_OF:
            assert STATUS_OF[code] == int(status), code


def test_the_numbers_are_those_of_the_code() -> None:
    for code in Close:
        assert str(int(code)) in TEXT
    assert f"expires_in: {settings.TICKET_SECONDS}" in TEXT
    assert settings.LIVE_SECONDS == 60
    assert settings.REST_KNOX["TOKEN_TTL"] == timedelta(days=30)
    assert (settings.AXES_FAILURE_LIMIT, settings.AXES_COOLOFF_TIME.total_seconds()) == (10, 900)
    assert places.SOCKETS_PER_DRIVER == 5
    assert (base.FRAMES_PER_SECOND, proofs.LATE_DAYS, LONGEST_SIDE, MOST_PIXELS) == (20, 7, 2000, 25_000_000)
    assert settings.MAX_PROOF_BYTES == 5 * 1024 * 1024
    assert (REQUESTS_PER_DRIVER.interval, PROOFS_PER_DRIVER.interval) == (33_333, 5_000_000)
    assert carry.PIN_TRIES.interval == 12_000_000
    assert (push.GRACE_SECONDS, push.PUSHES_PER_DRIVER.interval) == (2.0, 10_000_000)


def test_the_other_pages_that_it_leads_to_are_there() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (Path(__file__).resolve().parents[2] / "docs" / link).exists(), link
