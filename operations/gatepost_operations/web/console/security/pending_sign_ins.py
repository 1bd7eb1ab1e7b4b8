"""Sign-ins at the identity provider that are under way. Each belongs to one browser, lasts ten minutes, and is finished once."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Final

from gatepost_core.redis.errors import translated_errors
from gatepost_operations.web.console.security.refusals import SignInFailed
from gatepost_operations.web.console.security.sessions import digest_of

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_LIFETIME_S: Final = 600


class PendingSignIns:
    """Notes and takes sign-ins. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys

    def add(self, browser: str, path: str) -> str:
        """Note a sign-in, and return its state.

        Args:
            browser: the secret in the browser's cookie.
            path: the page that was asked for.
        """
        state = secrets.token_urlsafe(32)
        started = json.dumps({"browser": digest_of(browser), "path": path})
        with translated_errors():
            self._redis.set(self._keys.console_sign_in(digest_of(state)), started, ex=_LIFETIME_S)
        return state

    def take(self, browser: str, state: str) -> str:
        """Return the page that was asked for, and forget the sign-in, so that a repeated answer signs no one in.

        Raises:
            SignInFailed: the sign-in was begun in another browser, was finished before, or took too long.
        """
        with translated_errors():
            raw = self._redis.getdel(self._keys.console_sign_in(digest_of(state)))
        started: dict[str, str] = json.loads(raw or "{}")
        if not browser or not hmac.compare_digest(started.get("browser", ""), digest_of(browser)):
            raise SignInFailed("This sign-in was begun in another browser, or took too long. Try again.")
        return started["path"]


def derived(browser: str, state: str, purpose: str) -> str:
    """Return a secret of one sign-in. It is derived from the cookie, so Redis does not hold it."""
    digest = hmac.digest(browser.encode(), f"{purpose} {state}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
