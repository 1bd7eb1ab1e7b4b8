"""Showing a login's end: what its id_token says, or its token set when that is asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws

from gatepost_core.errors import MfaRequired, OperationFailed, Rejected
from gatepost_core.outcomes import TokenSet
from gatepost_core.sealing import Purpose
from gatepost_core.states import State
from gatepost_operations.cli.output import say, show_outcome, write, write_json

if TYPE_CHECKING:
    from gatepost.handles import Handle
    from gatepost.producer import Producer
    from gatepost_core.outcomes import Outcome

# `sub` is Auth0's id of the user. The claims that name the person (email, phone_number, name) stay sealed.
_SHOWN_CLAIMS: Final = ("iss", "sub", "aud", "org_id", "iat", "exp")


def show_login(producer: Producer, handle: Handle, outcome: Outcome, *, redeem: bool, as_json: bool) -> None:
    """Show a login's outcome, with its token set when `redeem`, otherwise with a summary of the id_token.

    Raises:
        NothingToRedeem: it was redeemed before, it has expired, or it is not a login.
    """
    name, document = _redeemed(handle, outcome) if redeem else _summary(producer, outcome)
    if as_json:
        shown = {name: document} if document is not None else {}
        write_json({**outcome.as_json(), **shown})
        return
    if redeem and document is not None:
        # The tokens are the data: alone on stdout, so that a pipe gets JSON.
        say(f"{outcome.operation_id} {outcome.state.value}")
        write(*json.dumps(document, indent=2).split("\n"))
        return
    show_outcome(outcome, as_json=False)
    for claim, value in (document or {}).items():
        write(f"  {claim} {value}")


def _redeemed(handle: Handle, outcome: Outcome) -> tuple[str, dict[str, Any] | None]:
    try:
        return "token_set", handle.open_result(outcome).revealed()
    except MfaRequired as failure:
        return "mfa_challenge", failure.challenge.revealed()
    except OperationFailed as failure:
        words = failure.description if isinstance(failure, Rejected) else None
        return "denial", None if words is None else {"description": words.get_secret_value()}


def _summary(producer: Producer, outcome: Outcome) -> tuple[str, dict[str, Any] | None]:
    sealed = producer.ledger.sealed_result(outcome.operation_id) if outcome.state is State.ACCEPTED else None
    if sealed is None:
        return "claims", None
    opened = producer.settings.keyring().open(sealed, Purpose.result(outcome.operation_id))
    tokens = TokenSet.model_validate_json(opened)
    claims = claims_of(tokens.id_token.get_secret_value()) if tokens.id_token else {}
    shown: dict[str, Any] = {name: claims[name] for name in _SHOWN_CLAIMS if name in claims}
    return "claims", shown | {"scope": tokens.scope, "expires_in": tokens.expires_in}


def claims_of(id_token: str) -> dict[str, Any]:
    """Return the claims of an id_token that the worker has verified already."""
    # Verified before it was sealed; read here without the tenant's keys.
    payload = jws.extract_compact(id_token.encode()).payload
    claims: dict[str, Any] = json.loads(payload)
    return claims
