"""Redeem tokens: the secret of one login, which opens its result. An operation's id alone opens nothing.

The token travels inside the sealed command. The operation's record holds its SHA-256. The worker seals the result with a key derived from
the token (`gatepost_core.content_key`), so the sealing keys do not open it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, PlainSerializer, SecretStr

from gatepost_core.errors import InvalidValue, WrongRedeemToken
from gatepost_core.identifiers import reveal_in_context

if TYPE_CHECKING:
    from gatepost_core.sealing.fingerprints import Fingerprints, Origin

TOKEN_BYTES: Final = 32
_SEPARATOR: Final = "."


class RedeemToken(SecretStr):
    """A redeem token as base64url without padding. It prints as asterisks; `get_secret_value()` returns it."""

    @classmethod
    def of(cls, secret: bytes) -> RedeemToken:
        """Return the token of these bytes."""
        return cls(_base64url(secret))

    @property
    def secret(self) -> bytes:
        """The bytes of the token."""
        return base64.urlsafe_b64decode(self.get_secret_value() + "=")

    @property
    def digest(self) -> str:
        """The token's SHA-256 as base64url, which the operation's record holds."""
        return _base64url(hashlib.sha256(self.secret).digest())


def new_redeem_token() -> RedeemToken:
    """Return a new random token."""
    return RedeemToken.of(secrets.token_bytes(TOKEN_BYTES))


def derived_redeem_token(fingerprints: Fingerprints, origin: Origin, idempotency_key: str, payload: str) -> RedeemToken:
    """Return the token of a command with an idempotency key. A repeated call gets the same one, so that it can redeem.

    Args:
        fingerprints: makes the HMAC.
        origin: the command's origin.
        idempotency_key: the key.
        payload: the command as JSON, without its deadline.
    """
    return RedeemToken.of(fingerprints.digest("redeem", origin, idempotency_key, payload))


def checked_redeem_token(given: RedeemToken) -> RedeemToken:
    """Return a token in its only valid form.

    Raises:
        InvalidValue: it is not 32 bytes as base64url. The message never repeats it.
    """
    text = given.get_secret_value().rstrip("=")
    try:
        found = RedeemToken.of(base64.b64decode(text + "=", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = RedeemToken("")
    if found.get_secret_value() != text or len(found.secret) != TOKEN_BYTES:
        raise InvalidValue(f"must be {TOKEN_BYTES} random bytes as base64url, 43 characters")
    return found


RedeemTokenField = Annotated[
    RedeemToken, AfterValidator(checked_redeem_token), PlainSerializer(reveal_in_context, when_used="json")
]


def reference_of(operation_id: str, token: RedeemToken | None) -> str:
    """Return an operation's id, with its redeem token if it has one. Treat it as a password."""
    return operation_id if token is None else f"{operation_id}{_SEPARATOR}{token.get_secret_value()}"


def read_reference(reference: str) -> tuple[str, RedeemToken | None]:
    """Return the operation's id and the redeem token of what `reference_of` returned, or of an id.

    Raises:
        WrongRedeemToken: the part after the id is not a redeem token. The message never repeats it.
    """
    operation_id, separator, text = reference.strip().partition(_SEPARATOR)
    if not separator:
        return operation_id, None
    try:
        return operation_id, checked_redeem_token(RedeemToken(text))
    except InvalidValue:
        malformed = WrongRedeemToken(
            "The reference is cut off or changed: the part after the dot is not a redeem token."
        )
    raise malformed


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
