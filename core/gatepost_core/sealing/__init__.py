"""The keyring: seals values as compact JWE, bound to their purpose and owner.

A sealed value is `dir` + `A256GCM` (RFC 7516, RFC 7518). Its protected header names the key (`kid`) and the purpose (`for`, such as
`command:OPERATION`), so that a value moved to another place does not open. The first key seals; all keys open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError, InvalidValue, SealError, UnknownKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY_BYTES: Final = 32
_KID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
LONGEST_VALUE: Final = 6 << 20
"""Most bytes of one value, to limit the memory that opening it takes."""
_LONGEST_HEADER: Final = 1024
# Of A256GCM: RFC 7518 5.3.
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Purpose:
    """The purpose and the owner of a sealed value."""

    name: str
    owner: str

    def __str__(self) -> str:
        return f"{self.name}:{self.owner}"

    @classmethod
    def command(cls, operation_id: str) -> Purpose:
        """The command of an operation."""
        return cls("command", operation_id)

    @classmethod
    def result(cls, operation_id: str) -> Purpose:
        """The token set or MFA challenge of an operation."""
        return cls("result", operation_id)

    @classmethod
    def submission(cls) -> Purpose:
        """A command that another system sealed for `gatepost.submit`."""
        return cls("submission", "gatepost")

    @classmethod
    def arguments(cls, task_id: str) -> Purpose:
        """The arguments of a submission inside a worker."""
        return cls("arguments", task_id)

    @classmethod
    def rows(cls, campaign_id: str, batch: int) -> Purpose:
        """The rows of one batch of a campaign."""
        return cls("rows", f"{campaign_id}:{batch}")

    @classmethod
    def auth_params(cls, campaign_id: str) -> Purpose:
        """The `authParams` of a campaign."""
        return cls("auth_params", campaign_id)

    @classmethod
    def dead_letter(cls, letter_id: str) -> Purpose:
        """A message that a worker refused."""
        return cls("dead_letter", letter_id)

    @classmethod
    def webhook(cls, endpoint_id: str) -> Purpose:
        """The URL and the secrets of a webhook endpoint."""
        return cls("webhook", endpoint_id)


@boundary
@dataclass(frozen=True)
class Key:
    """One symmetric key of the ring."""

    kid: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KID.fullmatch(self.kid):
            raise ConfigurationError("a sealing key's id must be 1 to 32 letters, digits, dots, dashes or underscores")
        if len(self.secret) != KEY_BYTES:
            raise ConfigurationError(
                f"sealing key {self.kid} must have {KEY_BYTES} bytes; make one with: gatepost keys new"
            )

    @classmethod
    def new(cls, kid: str) -> Key:
        """Return a new random key."""
        return cls(kid, secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read `kid:secret`, the secret in base64url.

        Raises:
            ConfigurationError: it has another form; the message never repeats it.
        """
        kid, colon, encoded = text.strip().partition(":")
        if not colon:
            raise ConfigurationError("a sealing key must have the form kid:secret; make one with: gatepost keys new")
        try:
            secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(
                "a sealing key's secret must be base64url; make one with: gatepost keys new"
            ) from None
        return cls(kid, secret)

    def __str__(self) -> str:
        return f"{self.kid}:{'*' * 8}"

    @property
    def check(self) -> str:
        """Sixteen hexadecimal digits to compare the key with that of another process."""
        return hmac.digest(self.secret, b"gatepost key check", "sha256")[:8].hex()

    def reveal(self) -> str:
        """Return `kid:secret`, the form that `parse` reads."""
        return f"{self.kid}:{base64.urlsafe_b64encode(self.secret).decode().rstrip('=')}"


def _encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def seal_with(cipher: AESGCM, header: bytes, value: bytes, purpose: Purpose) -> str:
    """Return the value as a compact JWE.

    Args:
        cipher: seals with the key.
        header: the protected header as JSON, without its last member and brace.
        value: the value.
        purpose: its purpose and owner, which the header names.

    Raises:
        ValueError: the value has more than `LONGEST_VALUE` bytes, and would not open.
    """
    if len(value) > LONGEST_VALUE:
        raise InvalidValue(f"a value of {len(value)} bytes is too long to seal; the limit is {LONGEST_VALUE}")
    # In the form of joserfc, which opens it. joserfc checks the header and makes a cipher each time, which takes three times as long.
    whole = _encoded(b'%s"for":%s}' % (header, json.dumps(str(purpose)).encode()))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = cipher.encrypt(nonce, value, whole)
    parts = whole, b"", _encoded(nonce), _encoded(sealed[:-_TAG_BYTES]), _encoded(sealed[-_TAG_BYTES:])
    return b".".join(parts).decode()


def kid_of(sealed: str) -> str | None:
    """Return the id of the key that sealed a value, without opening it; None for any other text."""
    header = sealed[:_LONGEST_HEADER].partition(".")[0]
    try:
        kid = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    except (ValueError, KeyError, TypeError):
        return None
    return kid if isinstance(kid, str) and _KID.fullmatch(kid) else None


@boundary
class Keyring:
    """Seals with its first key, opens with any.

    Attributes:
        checks: the check value of each key, by its id.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        ring = list(keys)
        if not ring:
            raise ConfigurationError(
                "no sealing key is configured; set GATEPOST_SEALING_KEYS, which gatepost keys new makes"
            )
        self.checks: Mapping[str, str] = {key.kid: key.check for key in ring}
        self._keys = {key.kid: key.secret for key in ring}
        if len(self._keys) != len(ring):
            raise ConfigurationError("two sealing keys have the same id")
        first = ring[0]
        # One value, so that `take_over` never parts a key from its id.
        self._sealing = AESGCM(first.secret), b'{"alg":"dir","enc":"A256GCM","kid":"%s",' % first.kid.encode()

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the keys, the sealing one first."""
        return tuple(self._keys)

    def seal(self, value: bytes, purpose: Purpose) -> str:
        """Return the value as a compact JWE.

        Raises:
            ValueError: it has more than `LONGEST_VALUE` bytes, and would not open.
        """
        return seal_with(*self._sealing, value, purpose)

    def take_over(self, other: Keyring) -> None:
        """Use the keys of another ring from now on. Other threads may seal and open meanwhile."""
        self._keys, self.checks, self._sealing = other._keys, other.checks, other._sealing

    def open(self, sealed: str, purpose: Purpose) -> bytes:
        """Return the value.

        Raises:
            UnknownKey: its key is not in the ring. The message names the key's id.
            SealError: it was changed, is not a JWE, or was sealed for another purpose.
        """
        # Imported here, because an application that only sends should not load joserfc.
        from gatepost_core.sealing.opening import opened  # noqa: PLC0415

        sealed_for, value = opened(sealed, self._secret_of)
        if not hmac.compare_digest(sealed_for, str(purpose)):
            raise SealError("A sealed value was moved from another place.")
        return value

    def _secret_of(self, kid: object) -> bytes:
        secret = self._keys.get(kid) if isinstance(kid, str) else None
        if secret is None:
            raise self._unknown(kid if isinstance(kid, str) and _KID.fullmatch(kid) else "(none)")
        return secret

    def _unknown(self, kid: str) -> UnknownKey:
        message = f"A sealed value names key {kid}, which is not in the ring ({', '.join(self._keys)})."
        return UnknownKey(message, kid=kid)
