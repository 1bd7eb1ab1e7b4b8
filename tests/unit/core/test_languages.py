"""The languages that Auth0 supports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.commands import SendEmail, build
from gatepost_core.errors import InvalidCommand
from gatepost_core.languages import AUTH0_LANGUAGES, language_problem, normalise_language


@pytest.mark.parametrize("tag", AUTH0_LANGUAGES)
def test_every_language_of_the_list_is_taken_as_it_is(tag: str) -> None:
    """The form of the list is the usual form of tags."""
    assert normalise_language(tag) == tag
    assert normalise_language(tag.lower().replace("-", "_")) == tag


@pytest.mark.parametrize("text", ["deu", "slk", "xx", "q", "", "x" * 5000, "en;q=0.9", "*", "a\nb", "klingonese"])
def test_without_a_near_language_nothing_is_suggested(text: str) -> None:
    """A code of three letters may be near the tag of another language."""
    assert "Did you mean" not in language_problem(text)


@given(st.text(max_size=12))
def test_a_problem_never_repeats_the_text(text: str) -> None:
    """It may have come from the wrong column. The suggestion is one of the known tags."""
    problem, _, tag = language_problem(f"guest-017{text}").partition(" Did you mean ")

    assert "017" not in problem
    assert tag == "" or normalise_language(tag.rstrip("?"))


def test_a_command_refuses_another_language_with_the_nearest() -> None:
    """A single send and a campaign have the same check as a file."""
    with pytest.raises(InvalidCommand, match=r"language: .*Did you mean de"):
        build(SendEmail, {"email": "guest@example.com", "language": "German"})
