"""The list of stored forms, against the documentation and SECURITY.md."""

from __future__ import annotations

import re

import pytest

from gatepost_core.stored_forms import FORMS, PLAIN
from support.checkout import CHECKOUT
from support.stored_values import listed

PAGE = CHECKOUT / "docs" / "reference" / "stored-forms.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")


def test_the_page_lists_every_form_with_its_number() -> None:
    """A form that changes must change on the page too."""
    rows = re.findall(r"^\| (?!what|---)(.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    forms = [
        (form.name, str(form.number), " ".join(f"`{key}`" for key in form.keys), form.mark, form.newer)
        for form in FORMS
    ]

    assert [tuple(row.split(" | ")) for row in rows] == forms


def test_every_stored_key_has_a_form_or_needs_none() -> None:
    """A test compares SECURITY.md with what is stored, so a new key fails here until somebody decides about its form."""
    with_form = {key for form in FORMS for key in form.keys}

    assert with_form | PLAIN == {line.key for line in listed()}
    assert not with_form & PLAIN


def test_the_page_names_every_key_without_a_form() -> None:
    """Nobody has to guess whether a key was forgotten."""
    section = PAGE.read_text(encoding="utf-8").partition("## Keys without a form")[2]

    assert set(re.findall(r"`([^`]+)`", section)) == PLAIN
