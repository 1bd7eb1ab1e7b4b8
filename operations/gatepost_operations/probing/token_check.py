"""Checks that the probe's token set is for the expected person, which the worker cannot know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from joserfc import jws

from gatepost_core.kinds import Channel
from gatepost_core.probe_results import Cause
from gatepost_operations.probing.code_source import ProbeFailure

if TYPE_CHECKING:
    from gatepost_core.identifiers import Personal
    from gatepost_core.outcomes import TokenSet

SCOPES: Final = {Channel.EMAIL: "openid email", Channel.SMS: "openid phone"}
"""The scopes that the probe asks for, by channel: an id_token, and the claim that names its person."""
_CLAIMS: Final = {Channel.EMAIL: "email", Channel.SMS: "phone_number"}


def check_token_set(tokens: TokenSet, address: Personal, channel: Channel) -> None:
    """Check that a token set has an id_token, and that it names the probe's address or number if it names any.

    The worker has checked the id_token's signature, issuer, audience and times.

    Args:
        tokens: the token set.
        address: the probe's address or number, normalised.
        channel: how it is reached.

    Raises:
        ProbeFailure: the id_token is missing, or names another person.
    """
    if tokens.id_token is None:
        raise ProbeFailure(Cause.ID_TOKEN_MISSING)
    claims = json.loads(jws.extract_compact(tokens.id_token.get_secret_value().encode()).payload)
    named = claims.get(_CLAIMS[channel])
    if named is not None and str(named).lower() != address.get_secret_value():
        raise ProbeFailure(Cause.OTHER_PERSON)
