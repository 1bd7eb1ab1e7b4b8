"""Opens compact JWEs with joserfc. Loaded with the first value that is opened: an application that only sends opens none."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter

from gatepost_core.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwk import GuestProtocol


class _Registry(jwe.JWERegistry):
    # The longest value, 6 MiB, in base64. With the default of 64 KiB, a sealed batch of rows would not open.
    max_ciphertext_length = (8 << 20) + 4


_REGISTRY: Final = _Registry(
    header_registry={"for": HeaderParameter("Purpose and owner of the value", "str", required=True)},
    algorithms=["dir", "A256GCM"],
)


_key: Final = cache(OctKey.import_key)


def opened(sealed: str, secret_of: Callable[[Any], bytes], *, remember: bool = True) -> tuple[str, bytes]:
    """Return the purpose of a sealed value, and the value.

    Args:
        sealed: a compact JWE.
        secret_of: returns the key for the `kid` of its header, which may be anything. Its errors leave unchanged.
        remember: whether to keep the imported key for the next value; not for a key that opens one value only.

    Raises:
        SealError: it was changed, or is not a JWE of the expected form.
    """

    def key_of(message: GuestProtocol) -> OctKey:
        secret = secret_of(message.headers().get("kid"))
        return _key(secret) if remember else OctKey.import_key(secret)

    try:
        found = jwe.decrypt_compact(sealed, key_of, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise SealError from None
    if found.plaintext is None:
        raise SealError
    return str(found.protected.get("for")), found.plaintext
