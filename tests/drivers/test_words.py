"""The driver app's words: the same sentences in every language, each with the plurals of its own."""

import re
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "drivers" / "static" / "driver"
FORMS = {"en": {"one", "other"}, "ar": {"zero", "one", "two", "few", "many", "other"}}
ENTRY = re.compile(r'^  (?:"([^"]+)"|(\w+)):(.*?)(?=^  (?:"[^"]+"|\w+):|^\};)', re.MULTILINE | re.DOTALL)
FORM = re.compile(r"\b(zero|one|two|few|many|other):\s")


def words(language: str) -> dict[str, str]:
    found = ENTRY.findall((APP / "words" / f"{language}.js").read_text(encoding="utf-8"))
    return {quoted or bare: text for quoted, bare, text in found}


def test_both_languages_say_the_same_things() -> None:
    assert set(words("ar")) == set(words("en"))
    assert len(words("en")) > 300


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_sentence_with_a_count_has_every_plural_of_its_language(language: str) -> None:
    wrong = {
        key: sorted(FORMS[language] ^ set(FORM.findall(text)))
        for key, text in words(language).items()
        if text.strip().startswith("{") and set(FORM.findall(text)) != FORMS[language]
    }
    assert wrong == {}


def test_no_sentence_has_a_gap_that_the_other_language_has_not() -> None:
    english, arabic = words("en"), words("ar")

    def gaps(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    assert {key for key in english if gaps(english[key]) != gaps(arabic[key])} == set()
