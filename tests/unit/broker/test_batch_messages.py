"""Which batch messages a worker accepts, and which go to the dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost_core.broker.message_validation import Malformed, check_message
from gatepost_core.broker.messages import SEND_BATCH, batch_message

CAMPAIGN = "11111111-1111-4111-8111-111111111111"


def check(args: list[Any], kwargs: dict[str, Any]) -> None:
    check_message({"id": CAMPAIGN, "task": SEND_BATCH}, lambda: [args, kwargs, {}])


def test_what_we_publish_is_taken() -> None:
    """The form of `gatepost_core.broker.publishing`."""
    check([], batch_message(CAMPAIGN, 7))


@pytest.mark.parametrize(
    "change",
    [
        {"campaign_id": None},
        {"campaign_id": 7},
        {"campaign_id": "no uuid"},
        {"batch": "7"},
        {"batch": True},
        {"batch": 1.0},
        {"batch": -1},
        {"batch": 1 << 24},
        {"version": 2},
        {"email": "someone@example.com"},
    ],
)
def test_what_has_another_form_is_malformed(change: dict[str, Any]) -> None:
    """The reason names the field, never a value."""
    with pytest.raises(Malformed) as refused:
        check([], {**batch_message(CAMPAIGN, 7), **change})

    assert "someone" not in str(refused.value)


def test_positional_arguments_are_malformed() -> None:
    """They would bypass the check of the keywords, also beside good ones."""
    with pytest.raises(Malformed, match="not named"):
        check([CAMPAIGN, 7], {})
    with pytest.raises(Malformed, match="not named"):
        check([CAMPAIGN], batch_message(CAMPAIGN, 7))
