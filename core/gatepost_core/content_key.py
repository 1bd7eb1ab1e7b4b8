"""The key that seals the result of one login. It is derived from the login's redeem token, so the ring does not open the result."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import SealError
from gatepost_core.sealing import KEY_BYTES, Purpose, seal_with
from gatepost_core.sealing.opening import opened

if TYPE_CHECKING:
    from gatepost_core.redeem_tokens import RedeemToken


@boundary
class ContentKey:
    """Seals and opens one login's result as a compact JWE: `dir`, A256GCM, without `kid`.

    The key is HKDF-SHA-256 (RFC 5869) of the token's 32 bytes, without a salt. Its info is `gatepost result:` and the operation's id, so the
    same token gives another key for another operation.
    """

    def __init__(self, token: RedeemToken, operation_id: str) -> None:
        """Derive the key.

        Args:
            token: the login's redeem token.
            operation_id: the login's operation.
        """
        self._purpose = Purpose.result(operation_id)
        self._secret = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"gatepost {self._purpose}".encode()).derive(
            token.secret
        )

    def seal(self, value: bytes) -> str:
        """Return the result, sealed."""
        return seal_with(AESGCM(self._secret), b'{"alg":"dir","enc":"A256GCM",', value, self._purpose)

    def open(self, sealed: str) -> bytes:
        """Return the result.

        Raises:
            SealError: another key sealed it, or it was changed.
        """
        sealed_for, value = opened(sealed, lambda _kid: self._secret, remember=False)
        if not hmac.compare_digest(sealed_for, str(self._purpose)):
            raise SealError("A sealed value was moved from another place.")
        return value
