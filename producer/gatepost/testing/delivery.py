"""The delivery of operations in memory: codes arrive in an inbox, and logins check them as Auth0 does."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from joserfc import jwt
from joserfc.jwk import OctKey

from gatepost_core.commands import SendCommand, recipient_of
from gatepost_core.outcomes import TokenSet
from gatepost_core.reasons import Reason
from gatepost_core.states import State

if TYPE_CHECKING:
    from gatepost_core.commands import Command, LoginWithEmail, LoginWithSms

# Auth0 voids a code after this many wrong tries.
_TRIES: Final = 3
_TOKEN_SECONDS: Final = 86_400


@dataclass(slots=True)
class _Code:
    text: str
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The end of an operation."""

    state: State
    reason: Reason | None = None
    tokens: TokenSet | None = None


ACCEPTED: Final = End(State.ACCEPTED)


@dataclass(slots=True)
class Inbox:
    """The newest code of each recipient. A new code voids the one before."""

    _codes: dict[str, _Code] = field(default_factory=dict)
    _key: OctKey = field(default_factory=lambda: OctKey.generate_key(256))

    def newest(self, recipient: str) -> str | None:
        """Return the newest code of a recipient that is not spent or void."""
        code = self._codes.get(recipient)
        return None if code is None else code.text

    def deliver(self, command: Command) -> End:
        """Carry out a command: make a code arrive, or exchange a code for tokens."""
        recipient = recipient_of(command)
        if isinstance(command, SendCommand):
            self._codes[recipient] = _Code(f"{secrets.randbelow(10**6):06}")
            return ACCEPTED
        code = self._codes.get(recipient)
        if code is None:
            return End(State.REJECTED, Reason.CODE_REJECTED)
        if code.text == command.code.get_secret_value():
            del self._codes[recipient]
            return self.accept(command)
        code.wrong += 1
        if code.wrong < _TRIES:
            return End(State.REJECTED, Reason.CODE_REJECTED)
        del self._codes[recipient]
        return End(State.REJECTED, Reason.CODE_ATTEMPTS_EXHAUSTED)

    def accept(self, command: LoginWithEmail | LoginWithSms) -> End:
        """Return the end of a login that Auth0 accepts: a new token set."""
        return End(State.ACCEPTED, tokens=self._tokens(command, recipient_of(command)))

    def _tokens(self, command: LoginWithEmail | LoginWithSms, recipient: str) -> TokenSet:
        now = int(time.time())
        name = command.kind.identifier
        claims = {
            "iss": "https://memory.example/",
            "sub": f"{command.realm}|{hashlib.sha256(recipient.encode()).hexdigest()[:24]}",
            "aud": "memory",
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            name: recipient,
            f"{name}_verified": True,
            **({"nonce": command.nonce} if command.nonce else {}),
            **({"org_id": command.organization} if command.organization else {}),
        }
        return TokenSet.model_validate(
            {
                "access_token": f"access-{secrets.token_urlsafe(16)}",
                "id_token": jwt.encode({"alg": "HS256"}, claims, self._key),
                "expires_in": _TOKEN_SECONDS,
                "scope": command.scope or "openid profile email",
                **({"refresh_token": secrets.token_urlsafe(16)} if "offline_access" in (command.scope or "") else {}),
            }
        )
