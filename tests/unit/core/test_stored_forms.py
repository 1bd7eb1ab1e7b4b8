"""The list of stored forms, against the documentation and SECURITY.md."""

from __future__ import annotations

import re

import pytest

from gatepost_core.stored_forms import FORMS
from support.checkout import CHECKOUT
from support.stored_values import listed

PAGE = CHECKOUT / "docs" / "reference" / "stored-forms.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")


def rows() -> list[list[str]]:
    found = re.findall(r"^\| (?!what|---)(.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [row.split(" | ") for row in found]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_the_page_lists_every_form_with_its_number() -> None:
    """A form that changes must change on the page too."""
    page = [(name, number, mark, newer) for name, number, _keys, mark, newer in rows()]

    assert page == [(form.name, str(form.number), form.mark, form.newer) for form in FORMS]


def test_no_two_forms_are_of_the_same_values() -> None:
    """`gatepost doctor` would count the values twice, under two names."""
    places = [(keys, re.findall(r"`([^`]+)`", mark)) for _, _, keys, mark, _ in rows()]

    assert all(places.count(place) == 1 for place in places)


def test_every_stored_key_has_a_form_or_needs_none() -> None:
    """A test compares SECURITY.md with the stored keys, so a new key fails here until its form is decided."""
    with_form = words(" ".join(keys for _, _, keys, _, _ in rows()))
    without = words(PAGE.read_text(encoding="utf-8").partition("## Keys without a form")[2])

    assert with_form | without == {line.key for line in listed()}
    assert not with_form & without
