"""Browser sessions, in Redis. A session's key is the hash of its id, so a copy of Redis signs no one in."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Final, Self

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import RedisKeys, as_text
from gatepost_operations.web.console.security.operators import Level, Operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

_FIELDS: Final = ("name", "level", "account", "credential", "ends")


def digest_of(secret: str) -> str:
    """Return the hash under which a random secret is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Sessions:
    """Opens, finds and ends sessions. Every method raises `Unavailable` when Redis does not answer.

    Args:
        client: the connection.
        keys: the names in this Redis.
        idle_s: seconds without an action of the operator after which a session ends.
        lifetime_s: seconds after which every session ends.
        now: the clock, in seconds since the epoch.
    """

    def __init__(
        self, client: Redis, keys: RedisKeys, *, idle_s: int, lifetime_s: int, now: Callable[[], float] = time.time
    ) -> None:
        self._redis = client
        self._keys = keys
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._now = now

    @classmethod
    def at(cls, client: Redis, namespace: str) -> Self:
        """Return the sessions of an installation, to end them."""
        return cls(client, RedisKeys(namespace), idle_s=1, lifetime_s=1)

    def open(self, operator: Operator) -> str:
        """Open a session under a new random id, and return the id, for the cookie."""
        session_id = secrets.token_urlsafe(32)
        key = self._key(session_id)
        ends = int(self._now()) + self._lifetime_s
        values = (operator.name, str(operator.level), operator.account, operator.credential, ends)
        with translated_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping=dict(zip(_FIELDS, values, strict=True)))
            pipeline.expire(key, min(self._idle_s, self._lifetime_s))
            pipeline.execute()
        return session_id

    def find(self, session_id: str, *, acted: bool) -> Operator | None:
        """Return the operator of a session; None if it has ended.

        Args:
            session_id: the id in the cookie.
            acted: whether the operator acted, so that the idle time starts again. A page that refreshes itself is no action.
        """
        key = self._key(session_id)
        with translated_errors():
            values = [as_text(value) for value in self._redis.hmget(key, _FIELDS) if value is not None]
            if len(values) != len(_FIELDS):
                return None
            name, level, account, credential, ends = values
            left_s = int(ends) - int(self._now())
            if left_s <= 0:
                self._redis.delete(key)
                return None
            if acted:
                self._redis.expire(key, min(self._idle_s, left_s))
        return Operator(name, Level.named(level), account, credential)

    def end(self, session_id: str) -> None:
        """End a session."""
        with translated_errors():
            self._redis.delete(self._key(session_id))

    def end_all(self, name: str | None = None) -> int:
        """End the sessions of an operator, or of everyone, and return how many.

        Args:
            name: the name that the pages show.
        """
        ended = 0
        with translated_errors():
            for key in self._redis.scan_iter(self._keys.console_session("*"), count=1000):
                if name is None or as_text(self._redis.hget(key, "name") or b"") == name:
                    ended += int(self._redis.delete(key))
        return ended

    def _key(self, session_id: str) -> str:
        return self._keys.console_session(digest_of(session_id))
