"""The tree of errors is complete, its causes differ, and it prints no secret."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost_worker import authentication
from gatepost_worker.authentication import (
    AnswerLost,
    AnswerTimedOut,
    AnswerUnreadable,
    AuthenticationError,
    Cause,
    ClientRejected,
    Delivery,
    NotAttempted,
    NotReached,
    RateLimited,
    Refusal,
    Remedy,
    RequiredError,
    ServerFailed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# A base class shares its cause with its most general subclass.
GROUPS = {AuthenticationError, NotAttempted, NotReached, AnswerLost, authentication.LoginUnusable}


def tree(root: type[AuthenticationError] = AuthenticationError) -> Iterator[type[AuthenticationError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


CLASSES = sorted(set(tree()), key=lambda found: found.__name__)


def test_every_cause_has_exactly_one_error_class() -> None:
    """The policy can match on the cause alone."""
    by_cause: dict[Cause, list[str]] = {cause: [] for cause in Cause}
    for found in CLASSES:
        if found not in GROUPS:
            by_cause[found.cause].append(found.__name__)

    assert {cause: names for cause, names in by_cause.items() if len(names) != 1} == {}


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_every_error_class_is_public_and_says_what_to_do(found: type[AuthenticationError]) -> None:
    """A class's docstring is its message, in one sentence."""
    message = (found.__doc__ or "").partition("\n\n")[0]
    inherited = {base.__doc__ for base in found.__mro__[1:]}

    assert getattr(authentication, found.__name__) is found
    assert message.endswith(".")
    assert found.__doc__ not in inherited


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_delivery_follows_the_branch_of_the_tree(found: type[AuthenticationError]) -> None:
    """How far a request got is a matter of the branch."""
    expected: dict[type, Delivery] = {
        NotAttempted: Delivery.NOT_SENT,
        NotReached: Delivery.NOT_SENT,
        AnswerLost: Delivery.MAYBE_SENT,
        Refusal: Delivery.ANSWERED,
        AnswerUnreadable: Delivery.ANSWERED,
        authentication.LoginUnusable: Delivery.ANSWERED,
    }
    branches = [delivery for base, delivery in expected.items() if issubclass(found, base)]

    assert found.delivery is (branches or [Delivery.MAYBE_SENT])[0]


def test_only_what_was_surely_not_carried_out_may_go_again() -> None:
    """`after_wait` is never a remedy for what may have arrived."""
    waiting = {found for found in CLASSES if found.remedy is Remedy.AFTER_WAIT}

    assert all(issubclass(found, (NotReached, RateLimited)) for found in waiting)
    assert not any(found().may_have_taken_effect for found in waiting)


def test_what_may_have_taken_effect_says_so() -> None:
    """After a server error the request may have been carried out."""
    assert ServerFailed().may_have_taken_effect
    assert AnswerTimedOut().may_have_taken_effect
    assert not ClientRejected().may_have_taken_effect
    assert authentication.IdTokenInvalid("iss").may_have_taken_effect


def test_an_error_prints_its_facts_and_not_auth0s_text() -> None:
    """Auth0's text can hold the address."""
    error = ClientRejected(status=401, code="invalid_client", description=SecretStr("someone@example.com is not known"))

    assert str(error).endswith("(HTTP 401, invalid_client)")
    assert "someone" not in repr(error) + str(error) + repr(vars(error))
    assert error.description is not None
    assert error.description.get_secret_value() == "someone@example.com is not known"


def test_a_required_error_names_its_field() -> None:
    """The field is there for programs, the message for people."""
    error = RequiredError("email")

    assert error.field == "email"
    assert "email" in str(error)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_every_error_survives_pickling(found: type[AuthenticationError]) -> None:
    """An error may cross a process."""
    error = found()
    error.status, error.code = 400, "bad.email"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - pickled two lines above

    assert type(copy) is found
    assert (copy.status, copy.code, copy.delivery) == (400, "bad.email", found.delivery)
    assert copy.args == error.args
