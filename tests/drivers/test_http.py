"""The strict parser, the shared fields and the pages, by themselves."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from drivers.errors import Invalid
from drivers.http import (
    MAX_DEPTH,
    DeviceTime,
    Number,
    PlaceSerializer,
    StrictSerializer,
    Text,
    Time,
    Whole,
    YesNo,
    checked,
    parse_object,
    rfc3339,
)


def refusal(content: bytes | str) -> str:
    with pytest.raises(Invalid) as refused:
        parse_object(content)
    (sentence,) = refused.value.data["errors"]["body"]
    return str(sentence)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


# --- The parser ------------------------------------------------------------------------------------------------------


def test_an_object_is_read_as_it_is() -> None:
    assert parse_object('{"a": [1, 2.5, "é", null, true], "b": {"c": -0.0}}'.encode()) == {
        "a": [1, 2.5, "é", None, True],
        "b": {"c": -0.0},
    }


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_refused(name: str) -> None:
    assert refusal(f'{{"lat": {name}}}') == f"{name} is not valid JSON."


@pytest.mark.parametrize("digits", ["1e999", "-1e999", "1" * 400 + ".5"])
def test_a_number_that_would_become_infinite_is_refused(digits: str) -> None:
    assert refusal(f'{{"a": {digits}}}') == "A number is too large."


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert refusal('{"a": ' + "1" * 5000 + "}") == "A number is too long."


@pytest.mark.parametrize(
    "text", [r'{"a": "x\u0000"}', r'{"a": "\ud800"}', r'{"\u0000": 1}', r'{"a": [{"\udc00": 1}]}', r'{"a": ["\ud83d"]}']
)
def test_text_that_postgresql_cannot_store_is_refused(text: str) -> None:
    assert refusal(text) == "Text must not contain the NUL character or half of a surrogate pair."


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_object(r'{"a": "\ud83d\ude80"}') == {"a": "🚀"}


@pytest.mark.parametrize("content", [nested(MAX_DEPTH + 1), nested(100_000), "[" * 100_000, '{"a":' + "[" * 50_000])
def test_deep_nesting_is_refused_and_breaks_nothing(content: str) -> None:
    assert refusal(content) == "Nested too deeply."


def test_nesting_up_to_the_limit_is_fine() -> None:
    assert parse_object(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))


@pytest.mark.parametrize("content", ["[]", '"text"', "1", "null", "true"])
def test_anything_but_an_object_is_refused(content: str) -> None:
    assert refusal(content) == "Must be a JSON object."


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    assert refusal(b'{"a": "\xff"}') == "Not valid UTF-8."
    assert refusal('{"a": 1}'.encode("utf-16")) == "Not valid UTF-8."


def test_a_name_given_twice_is_refused() -> None:
    assert refusal('{"a": {"b": 1, "b": 2}}') == "A name is given twice in one object."


@pytest.mark.parametrize("content", ["", "{", '{"a": }', '{"a": 1}}', "{'a': 1}", "\ufeff{}"])
def test_broken_json_is_refused_with_the_place(content: str) -> None:
    assert refusal(content).startswith("Not valid JSON: ")
    assert "at line 1, column" in refusal(content)


# --- The fields ------------------------------------------------------------------------------------------------------


class Everything(StrictSerializer):
    number = Number(min_value=-1, max_value=1, required=False)
    whole = Whole(min_value=0, max_value=9, required=False)
    yes = YesNo(required=False)
    text = Text(max_length=5, required=False)
    time = Time(required=False)
    device_time = DeviceTime(required=False)
    place = PlaceSerializer(required=False)


def errors(**data: Any) -> Any:
    with pytest.raises(ValidationError) as refused:
        checked(Everything, data)
    return refused.value.detail


def test_unknown_fields_are_each_named_together_with_what_else_is_wrong() -> None:
    found = errors(bogus=1, other=2, number=5, place={"lat": 1, "lng": 2, "height": 3})

    assert sorted(found) == ["bogus", "number", "other", "place"]
    assert found["bogus"] == ["There is no such field."]
    assert found["place"] == {"height": ["There is no such field."]}


@pytest.mark.parametrize("wrong", [True, "0.5", None, [], {}, 10**400, float("nan"), float("inf"), 1.01])
def test_a_number_is_a_finite_json_number_in_range(wrong: Any) -> None:
    assert list(errors(number=wrong)) == ["number"]


@pytest.mark.parametrize("wrong", [True, "3", None, 3.0, 10, -1, 10**400])
def test_a_whole_number_is_nothing_else(wrong: Any) -> None:
    assert list(errors(whole=wrong)) == ["whole"]


@pytest.mark.parametrize("wrong", ["true", 1, 0, None, "yes", []])
def test_yes_and_no_have_one_spelling(wrong: Any) -> None:
    assert list(errors(yes=wrong)) == ["yes"]


@pytest.mark.parametrize("wrong", [1, True, None, ["a"], "", "toolong", "a\x00", "a\ud800"])
def test_text_is_text(wrong: Any) -> None:
    assert list(errors(text=wrong)) == ["text"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("2026-01-31T12:00:00", "The time needs a zone: Z or an offset like +02:00."),
        ("2026-01-31", "The time needs a zone: Z or an offset like +02:00."),
        ("1999-12-31T23:59:59Z", "The year must be between 2000 and 2100."),
        ("9999-12-31T23:59:59-14:00", "The year must be between 2000 and 2100."),
        ("0001-01-01T00:00:00+14:00", "The year must be between 2000 and 2100."),
        ("2026-02-30T00:00:00Z", "Must be a time like 2026-01-31T12:00:00Z."),
        ("tomorrow", "Must be a time like 2026-01-31T12:00:00Z."),
        (1700000000, "Must be a time like 2026-01-31T12:00:00Z."),
        (True, "Must be a time like 2026-01-31T12:00:00Z."),
    ],
)
def test_a_time_has_a_zone_and_a_sensible_year(wrong: Any, sentence: str) -> None:
    assert errors(time=wrong) == {"time": [sentence]}


def test_a_time_is_kept_as_utc_and_shown_with_a_z() -> None:
    time = checked(Everything, {"time": "2026-01-31T12:00:00.25+02:00"})["time"]

    assert time == datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)
    assert rfc3339(time) == "2026-01-31T10:00:00.250000Z"
    assert rfc3339(None) is None


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("0001-01-01T00:00:00+14:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", datetime(2100, 1, 1, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_an_absurd_device_clock_is_taken_as_the_nearest_sensible_time(said: str, taken: datetime) -> None:
    assert checked(Everything, {"device_time": said})["device_time"] == taken


@pytest.mark.parametrize("place", [{"lat": 90.1, "lng": 0}, {"lat": 0, "lng": -180.5}, {"lat": 1}, [1, 2], "1,2", None])
def test_a_place_is_on_this_earth(place: Any) -> None:
    assert list(errors(place=place)) == ["place"]


def test_the_ends_of_the_earth_are_places() -> None:
    assert checked(PlaceSerializer, {"lat": -90, "lng": 180}) == {"lat": -90.0, "lng": 180.0, "address": ""}
