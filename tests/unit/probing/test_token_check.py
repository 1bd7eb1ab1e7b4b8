"""The probe's token set must have an id_token of the probe's own user."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gatepost_core.identifiers import Personal
from gatepost_core.kinds import Channel
from gatepost_core.outcomes import TokenSet
from gatepost_core.probe_results import Cause
from gatepost_operations.probing.code_source import ProbeFailure
from gatepost_operations.probing.run import check_token_set

KEY = OctKey.generate_key(256)


def check(channel: Channel, address: str, claims: dict[str, Any] | None) -> Cause | None:
    """Return why a token set with these claims is refused."""
    id_token = None if claims is None else jwt.encode({"alg": "HS256"}, claims, KEY)
    tokens = TokenSet.model_validate({"access_token": "a token", "id_token": id_token})
    try:
        check_token_set(tokens, Personal(address), channel)
    except ProbeFailure as failure:
        return failure.cause
    return None


@pytest.mark.parametrize(
    ("channel", "address", "claims", "cause"),
    [
        (Channel.EMAIL, "probe@example.com", {"sub": "email|1", "email": "Probe@example.com"}, None),
        # Auth0 leaves the claim out if an Action removes it.
        (Channel.EMAIL, "probe@example.com", {"sub": "email|1"}, None),
        (Channel.EMAIL, "probe@example.com", {"email": "ana@example.com"}, Cause.OTHER_PERSON),
        (Channel.SMS, "+447700900847", {"phone_number": "+447700900847"}, None),
        (Channel.SMS, "+447700900847", {"phone_number": "+447700900848"}, Cause.OTHER_PERSON),
        (Channel.EMAIL, "probe@example.com", None, Cause.ID_TOKEN_MISSING),
    ],
)
def test_the_id_token_is_there_and_names_the_probes_user(
    channel: Channel, address: str, claims: dict[str, Any] | None, cause: Cause | None
) -> None:
    """A login of another person, through linked accounts or an Action, is no success."""
    assert check(channel, address, claims) is cause
