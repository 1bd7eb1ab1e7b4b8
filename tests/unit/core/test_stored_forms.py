"""The list of stored forms, against the documentation of the forms and of the stored keys."""

from __future__ import annotations

import re

import pytest

from gatepost_core.stored_forms import FORMS
from support.checkout import CHECKOUT
from support.stored_values import listed

PAGE = CHECKOUT / "docs" / "reference" / "stored-forms.md"
WITHOUT_FORM = {
    "ANY.celery.pidbox",
    "_kombu.binding.ANY",
    "_kombu.binding_deadlines",
    "_kombu.binding_permanent.ANY",
    "gatepost:api_keys",
    "gatepost:api_usage:ANY",
    "gatepost:campaign:ID:blocked",
    "gatepost:campaign:ID:held",
    "gatepost:campaign:ID:out",
    "gatepost:campaign:ID:waiting",
    "gatepost:campaigns",
    "gatepost:campaigns:active",
    "gatepost:campaigns:changes",
    "gatepost:campaigns:sweep:lock",
    "gatepost:campaigns:workers",
    "gatepost:ceiling:ID:ANY",
    "gatepost:console:session:ANY",
    "gatepost:console:sign_in:ANY",
    "gatepost:console:tries:ANY",
    "gatepost:dead_letters",
    "gatepost:key_checks",
    "gatepost:kids",
    "gatepost:operations:counts",
    "gatepost:operations:delivered",
    "gatepost:operations:due",
    "gatepost:probe:WORD:WORD",
    "gatepost:probe_lock:FINGERPRINT",
    "gatepost:recipient:PREFIX",
    "gatepost:reconciler:last",
    "gatepost:reconciler:lock",
    "gatepost:replication",
    "gatepost:webhooks",
    "gatepost:webhooks:attempts:ID",
    "gatepost:webhooks:due:ID",
    "gatepost:webhooks:source",
    "gatepost:webhooks:types",
    "unacked_index",
    "unacked_mutex",
}
"""If a later version needs another layout for one of these values, it uses a key with another name."""

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
    """Another test compares the page of stored data with the stored keys, so a new key fails here until its form is decided."""
    with_form = words(" ".join(keys for _, _, keys, _, _ in rows()))

    assert with_form | WITHOUT_FORM == {line.key for line in listed()}
    assert not with_form & WITHOUT_FORM
