"""The worker's part of a login: its result, sealed for the holder of the redeem token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.content_key import ContentKey
from gatepost_core.outcomes import dump_redeemable
from gatepost_core.redeem_tokens import RedeemToken, read_reference

if TYPE_CHECKING:
    from gatepost import Handle
    from gatepost_core.outcomes import Redeemable

TOKEN = RedeemToken.of(bytes(range(32)))
"""A redeem token for commands of other languages."""


def token_of(handle: Handle) -> RedeemToken:
    """Return the redeem token of a login's handle."""
    _, token = read_reference(handle.reference)
    assert token is not None
    return token


def sealed_for(handle: Handle, result: Redeemable) -> str:
    """Return a result as a worker seals it."""
    return ContentKey(token_of(handle), handle.operation_id).seal(dump_redeemable(result))
