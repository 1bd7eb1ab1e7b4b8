"""Tagged recipients: an address alone asks for a failure."""

from __future__ import annotations

import pytest

from gatepost_simulator.exchange import Drop, Shape
from gatepost_simulator.faults import Fault, TokenFault, When
from gatepost_simulator.tagged_recipients import MAGIC_PHONE_PREFIX, TaggedRecipients, phone_tags, tag_of, tags
from support.simulated_requests import START, TOKEN


@pytest.fixture
def tagged() -> TaggedRecipients:
    return TaggedRecipients(slow_s=2.0, gateway_timeout_s=30.0)


def fault(tagged: TaggedRecipients, tag: str, path: str = START) -> Fault | None:
    return tagged.find(path, f"ada+{tag}@example.com")


@pytest.mark.parametrize(
    ("recipient", "tag"),
    [
        ("ada+bad-email@example.com", "bad-email"),
        ("ada@example.com", ""),
        ("ada@ex+ample.com", ""),
        ("+15005550001", "invalid-number"),
        ("+15005559999", ""),
        ("+12015550001", ""),
    ],
)
def test_reads_the_tag_of_an_address_or_a_magic_number(recipient: str, tag: str) -> None:
    """Tags are in the local part, or the last four digits of a number with the magic prefix."""
    assert tag_of(recipient) == tag


def test_people_with_an_unknown_tag_are_just_people(tagged: TaggedRecipients) -> None:
    """A real plus address means nothing to the simulator."""
    assert fault(tagged, "newsletter") is None
    assert fault(tagged, "newsletter", TOKEN) is None
    assert tagged.find(START, "ada@example.com") is None


@pytest.mark.parametrize(
    ("tag", "status", "shape", "when"),
    [
        ("503-before", 503, Shape.A, When.BEFORE),
        ("503-after", 503, Shape.A, When.AFTER),
        ("429", 429, Shape.A, When.BEFORE),
        ("502-html-after", 502, Shape.HTML, When.AFTER),
        ("500-empty", 500, Shape.EMPTY, When.BEFORE),
        ("400-b", 400, Shape.B, When.BEFORE),
        ("400-c", 400, Shape.C, When.BEFORE),
        ("400-d", 400, Shape.D, When.BEFORE),
    ],
)
def test_any_status_can_be_asked_for(tagged: TaggedRecipients, tag: str, status: int, shape: Shape, when: When) -> None:
    """A tag may be a status, a shape and a moment."""
    found = fault(tagged, tag)

    assert found is not None
    assert (found.status, found.shape, found.when) == (status, shape, when)


@pytest.mark.parametrize(
    ("tag", "drop", "when"),
    [
        ("drop-before", Drop.CLOSE, When.BEFORE),
        ("drop-after", Drop.CLOSE, When.AFTER),
        ("reset-after", Drop.RESET, When.AFTER),
        ("truncate-after", Drop.TRUNCATE, When.AFTER),
        ("hang-before", Drop.HANG, When.BEFORE),
    ],
)
def test_connections_can_be_dropped(tagged: TaggedRecipients, tag: str, drop: Drop, when: When) -> None:
    """A tag names how a connection ends, and on which side of the send."""
    found = fault(tagged, tag)

    assert found is not None
    assert (found.drop, found.when) == (drop, when)


def test_once_strikes_only_the_first_time(tagged: TaggedRecipients) -> None:
    """With -once a retry goes through, for each recipient apart."""
    struck = [fault(tagged, "503-before-once") is not None for _ in range(3)]

    assert struck == [True, False, False]
    assert tagged.find(START, "bob+503-before-once@example.com") is not None


def test_start_tags_do_not_strike_the_login(tagged: TaggedRecipients) -> None:
    """A tag strikes at one endpoint; the prefix token- moves a general one to the login."""
    on_login = fault(tagged, "token-drop-after", TOKEN)

    assert fault(tagged, "503-after", TOKEN) is None
    assert fault(tagged, "mfa") is None
    assert on_login is not None
    assert on_login.drop is Drop.CLOSE
    assert fault(tagged, "token-drop-after") is None


def test_every_id_token_fault_has_a_tag(tagged: TaggedRecipients) -> None:
    """Each way a token response can be wrong is reachable by an address."""
    found = {fault.id_token for name in TokenFault if (fault := _token(tagged, f"idtoken-{name.value}")) is not None}

    assert found == set(TokenFault) - {TokenFault.NONE}


def _token(tagged: TaggedRecipients, tag: str) -> Fault | None:
    return fault(tagged, tag, TOKEN)


def test_slow_and_timeout_have_the_settings_delays(tagged: TaggedRecipients) -> None:
    """Delays are settings, not constants."""
    slow, timeout = fault(tagged, "slow"), fault(tagged, "gateway-timeout")

    assert slow is not None
    assert (slow.delay_s, slow.when, slow.status) == (2.0, When.AFTER, None)
    assert timeout is not None
    assert (timeout.delay_s, timeout.status) == (30.0, 400)


def test_every_magic_number_leads_to_a_known_tag(tagged: TaggedRecipients) -> None:
    """The phone table names only tags that do something at one of the endpoints."""
    idle = [
        digits
        for digits in phone_tags()
        if tagged.find(START, MAGIC_PHONE_PREFIX + digits) is None
        and tagged.find(TOKEN, MAGIC_PHONE_PREFIX + digits) is None
    ]

    assert idle == []


def test_every_named_tag_does_something(tagged: TaggedRecipients) -> None:
    """The list that the control API shows is true."""
    idle = [(path, name) for path, names in tags().items() for name in names if fault(tagged, name, path) is None]

    assert idle == []
