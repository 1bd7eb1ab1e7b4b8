"""The key of a login's result follows from its redeem token and its operation, as the documentation says."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter

from gatepost_core.content_key import ContentKey
from gatepost_core.errors import SealError
from gatepost_core.redeem_tokens import RedeemToken, reference_of
from gatepost_core.redeem_tokens import read_reference as read

TOKEN = RedeemToken.of(bytes(range(32)))


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt and 32 bytes, written out."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_another_program_opens_a_result_with_the_documented_key() -> None:
    """HKDF-SHA-256 of the token's bytes, with the operation's id in the info."""
    sealed = ContentKey(TOKEN, "op-1").seal(b"tokens")
    registry = jwe.JWERegistry({"for": HeaderParameter("Purpose and owner", "str")}, algorithms=["dir", "A256GCM"])
    key = OctKey.import_key(hkdf(bytes(range(32)), b"gatepost result:op-1"))

    opened = jwe.decrypt_compact(sealed, key, registry=registry)

    assert opened.plaintext == b"tokens"
    assert opened.protected == {"alg": "dir", "enc": "A256GCM", "for": "result:op-1"}


@pytest.mark.parametrize(("token", "operation_id"), [(TOKEN, "op-2"), (RedeemToken.of(bytes(32)), "op-1")])
def test_another_token_or_another_operation_opens_nothing(token: RedeemToken, operation_id: str) -> None:
    """The key is bound to both."""
    sealed = ContentKey(TOKEN, "op-1").seal(b"tokens")

    assert ContentKey(TOKEN, "op-1").open(sealed) == b"tokens"
    with pytest.raises(SealError):
        ContentKey(token, operation_id).open(sealed)


def test_a_reference_is_read_as_it_was_written() -> None:
    """With a token, and without one."""
    assert read(reference_of("op-1", None)) == ("op-1", None)
    operation_id, token = read(f" {reference_of('op-1', TOKEN)}\n")
    assert (operation_id, token and token.secret) == ("op-1", bytes(range(32)))
