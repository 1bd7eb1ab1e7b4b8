"""The tenant's signing keys: cached, fetched again for an unknown key id, and not more often than a cool-down allows."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, wait_random_exponential

from gatepost_worker.authentication.errors import AuthenticationError, IdTokenInvalid, IdTokenNotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CACHE_S: Final = 600.0
COOL_DOWN_S: Final = 30.0
PATIENCE_S: Final = 10.0
_ATTEMPTS: Final = 3


class SigningKeys:
    """The tenant's JWKS. One thread fetches it, and the others wait for the result.

    A failed fetch is repeated, up to three times within a time limit, because the login that needs it cannot be repeated.
    """

    def __init__(
        self, fetch: Callable[[float], bytes], *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """Start empty.

        Args:
            fetch: fetches the JWKS document within a number of seconds, or raises `AuthenticationError`.
            clock: returns the seconds of a monotonic clock.
            sleep: waits a number of seconds.
        """
        self._fetch = fetch
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._keys: Mapping[str | None, RSAKey] = {}
        self._fetched_at: float | None = None
        self._failures = 0

    def key(self, kid: str | None, patience_s: float = PATIENCE_S) -> RSAKey:
        """Return the key with an id, or without an id the only key.

        Args:
            kid: the key's id.
            patience_s: the seconds that a fetch with its repetitions may take.

        Raises:
            IdTokenInvalid: the tenant has no such key, even after a fetch.
            IdTokenNotVerified: the keys could not be fetched.
        """
        for max_age in (CACHE_S, COOL_DOWN_S):
            keys = self._keys_younger_than(max_age, patience_s)
            if kid is None and len(keys) == 1:
                return next(iter(keys.values()))
            if kid is not None and kid in keys:
                return keys[kid]
        raise IdTokenInvalid("kid", "names no signing key of the tenant")

    def _keys_younger_than(self, max_age_s: float, patience_s: float) -> Mapping[str | None, RSAKey]:
        failures_seen = self._failures
        if self._is_younger_than(max_age_s):
            return self._keys
        with self._lock:
            if self._is_younger_than(max_age_s):
                return self._keys
            if self._failures != failures_seen:
                raise IdTokenNotVerified
            try:
                keys = self._fetch_patiently(patience_s)
            except AuthenticationError as error:
                self._failures += 1
                failure = IdTokenNotVerified(origin=error.origin or type(error).__name__)
            else:
                self._keys, self._fetched_at = keys, self._clock()
                return keys
        raise failure

    def _is_younger_than(self, max_age_s: float) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at < max_age_s

    def _fetch_patiently(self, patience_s: float) -> Mapping[str | None, RSAKey]:
        until = self._clock() + patience_s
        retrying = Retrying(
            stop=stop_after_attempt(_ATTEMPTS) | stop_before_delay(patience_s),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(AuthenticationError),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(lambda: parse_jwks(self._fetch(until - self._clock())))


def parse_jwks(document: bytes) -> Mapping[str | None, RSAKey]:
    """Return the RSA signing keys of a JWKS by id. Other and broken keys are skipped.

    Raises:
        IdTokenNotVerified: the document is not a JWKS or has no usable key.

    Source: RFC 7517, section 5.
    """
    try:
        entries = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        entries = []
    keys: dict[str | None, RSAKey] = {}
    for entry in entries if isinstance(entries, list) else []:
        key = _import(entry)
        if key is not None:
            keys[entry.get("kid")] = key
    if not keys:
        raise IdTokenNotVerified(
            "The signing keys' document has no usable key, so the id_token was not checked; the code is spent."
        )
    return keys


def _import(entry: object) -> RSAKey | None:
    if not isinstance(entry, dict) or entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(entry.get("kid"), (str, type(None))):
        return None
    try:
        return RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e")})
    except (JoseError, ValueError, KeyError, TypeError):
        return None
