"""The limiter with its state in Redis, shared by all workers of a tenant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from gatepost_core.redis.keys import as_text
from gatepost_worker.limiter.permits import (
    BucketState,
    LimiterSettings,
    LimiterState,
    LimiterUnavailable,
    Permit,
    Wait,
    WaitReason,
)
from gatepost_worker.limiter.readings import pack_readings
from gatepost_worker.limiter.scripts import lua_script, pack_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from redis.commands.core import Script

    from gatepost_core.kinds import Lane
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_worker.limiter.permits import Ceiling, LimiterKey
    from gatepost_worker.limiter.readings import Reading


class RedisLimiter:
    """A quota shared by every worker of a tenant. It fails closed: if Redis does not answer, there is no permit.

    Every method raises `LimiterUnavailable` when Redis does not answer.
    """

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        settings: LimiterSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        server_clock: Callable[[], int] | None = None,
    ) -> None:
        """Prepare the scripts; nothing is sent to Redis yet.

        Args:
            client: The connection; its timeouts bound each call.
            keys: The names in this Redis.
            settings: The settings of pacing; None for the defaults.
            clock: The monotonic clock that stamps readings, in seconds.
            wall_clock: Epoch seconds.
            server_clock: Microseconds that replace Redis's clock, for simulations.
        """
        self._keys = keys
        self._settings = settings or LimiterSettings()
        self._packed_settings = pack_settings(self._settings)
        self._clock = clock
        self._wall_clock = wall_clock
        self._server_clock = server_clock
        self._acquire = client.register_script(lua_script("acquire"))
        self._observe = client.register_script(lua_script("observe"))
        self._clear = client.register_script(lua_script("clear"))
        self._describe = client.register_script(lua_script("describe"))

    def acquire(
        self,
        key: LimiterKey,
        lane: Lane,
        want: int = 1,
        *,
        readings: Sequence[Reading] = (),
        ceiling: Ceiling | None = None,
    ) -> Permit | Wait:
        """Return a permit, or how long to wait. Never sleeps.

        Args:
            key: The quota.
            lane: Whether the reserve may be used.
            want: The most requests to permit; ask for as many as will be sent within about 100 ms.
            readings: Earlier responses under the same key, recorded in the same round trip.
            ceiling: A maximum rate in addition to the quota, such as a campaign's.
        """
        keys = [self._name(key)]
        arguments: list[Any] = [self._now(), lane.value, want, self._packed_settings, self._pack(readings)]
        if ceiling is not None:
            keys.append(self._keys.ceiling(ceiling.name))
            arguments.append(ceiling.rate)
        granted, first_ticket, wait_us, reason = _call(self._acquire, keys, arguments)
        if granted:
            return Permit(granted, first_ticket)
        return Wait(wait_us / 1e6, WaitReason(as_text(reason)))

    def observe(self, key: LimiterKey, readings: Sequence[Reading]) -> None:
        """Record responses without asking for a permit. Later readings make up for those that are lost."""
        if readings:
            _call(self._observe, [self._name(key)], [self._now(), self._pack(readings)])

    def clear(self, key: LimiterKey) -> float:
        """End a 429's block now, and return the seconds that were left of it. A few requests then measure the quota first."""
        return float(_call(self._clear, [self._name(key)], [self._now()])) / 1e6

    def describe(self, key: LimiterKey) -> LimiterState | None:
        """Return the limiter's state for a quota, for reports; None if the key was never used."""
        flat = [as_text(item) for item in _call(self._describe, [self._name(key)], [self._now()])]
        if not flat:
            return None
        values = {name: float(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
        bucket = self._bucket(values, "tenant")
        age_us = values["reading_age_us"]
        return LimiterState(
            bucket=bucket,
            policy=self._bucket(values, "policy"),
            issued=int(values["issued"]),
            blocked_for_s=values["blocked_for_us"] / 1e6,
            reading_age_s=None if age_us < 0 else age_us / 1e6,
            blind=bucket is None and values["headerless"] > 0,
            ignored_hint_s=None if values["ignored_hint"] < 0 else values["ignored_hint"],
            ignored_hint_age_s=None if values["ignored_hint"] < 0 else values["ignored_age_us"] / 1e6,
        )

    def _pack(self, readings: Sequence[Reading]) -> bytes:
        return pack_readings(
            readings,
            now=self._clock(),
            wall_now=self._wall_clock(),
            longest_hint_s=self._settings.longest_hint_s,
        )

    def _name(self, key: LimiterKey) -> str:
        return self._keys.limiter(key.tenant, key.endpoint)

    def _now(self) -> str:
        return "" if self._server_clock is None else str(self._server_clock())

    def _bucket(self, values: dict[str, float], name: str) -> BucketState | None:
        limit = int(values[f"{name}_limit"])
        if limit < 0:
            return None
        return BucketState(
            limit=limit,
            level=values[f"{name}_level"],
            reserve=int(max(limit * self._settings.reserve_share, values[f"{name}_swing"]) + 1e-6),
            available_rate=values[f"{name}_free"],
            refill_rate=values[f"{name}_refill"],
            foreign_rate=values[f"{name}_foreign"],
        )


def _call(script: Script, keys: list[str], arguments: list[Any]) -> Any:
    try:
        return script(keys=keys, args=arguments)
    except RedisError as error:
        raise LimiterUnavailable from error
