"""The tenant's signing keys: the current one, the next one, and the JWKS that publishes them."""

from __future__ import annotations

from joserfc.jwk import RSAKey

_BITS = 2048


class SigningKeys:
    """As on a tenant, the next key is published before it is used, and a replaced one until it is revoked."""

    def __init__(self) -> None:
        self._keys = [_generate(), _generate()]

    @property
    def current(self) -> RSAKey:
        """The key that signs."""
        return self._keys[0]

    def rotate(self, *, revoke: bool = False, prepublished: bool = True) -> RSAKey:
        """Sign with the next key from now on.

        Args:
            revoke: Take the replaced key out of the JWKS at once.
            prepublished: Use the key that the JWKS already shows; False takes one that no cache can know.

        Returns:
            The new current key.
        """
        replaced, following, *older = self._keys
        fresh = _generate()
        current, upcoming = (following, fresh) if prepublished else (fresh, following)
        self._keys = [current, upcoming, *([] if revoke else [replaced]), *older]
        return current

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """Give the JSON Web Key Set."""
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "RS256"} for key in self._keys]}


def _generate() -> RSAKey:
    key = RSAKey.generate_key(_BITS)
    key.ensure_kid()
    return key
