"""The limits of API keys: by key, by country of a phone number, by recipient. Redis counts them by the hour."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from gatepost_core.commands import recipient_of
from gatepost_core.kinds import CAMPAIGN_KINDS, Channel, Identifier, Kind
from gatepost_core.phone_numbers import plan_and_use
from gatepost_core.phone_plans import Use as NumberUse
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import starting
from gatepost_operations.web.api.problems import Problem, Type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

    from gatepost_core.commands import Command
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_operations.maintenance.api_keys import ApiKey, Grant

HOUR_S: Final = 3600
RECIPIENT: Final = "recipient"
"""The policy that protects a person."""
_UNLIMITED: Final = 1 << 52
_FINGERPRINT_BYTES: Final = 8
_SCRIPT: Final = resources.files(__package__).joinpath("usage.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Standing:
    """The rest of a key's own limit.

    Attributes:
        limit: messages and logins an hour; None without a limit.
        left: the rest in this hour.
        resets_in_s: seconds until the next hour.
    """

    limit: int | None
    left: int
    resets_in_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers; none without a limit."""
        if self.limit is None:
            return {}
        policy = f'"hour";q={self.limit};w={HOUR_S}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"hour";r={self.left};t={self.resets_in_s}'}

    def exceeded(self, policy: str) -> Problem:
        """Return the problem of a limit that is reached."""
        headers = {"Retry-After": str(self.resets_in_s), **self.headers}
        return Problem(Type.QUOTA, headers=headers, more={"violated-policies": [policy]})


@dataclass(frozen=True, slots=True)
class Use:
    """What one item, or one row of a campaign, counts for.

    Attributes:
        limits: the field, the policy's name and the most, for each limit.
        idempotency_name: the name of its idempotency key in Redis; empty for none.
    """

    limits: tuple[tuple[str, str, int], ...]
    idempotency_name: str = ""


class Usage:
    """Counts the messages and logins of keys. Thread-safe."""

    def __init__(self, client: Redis, keys: RedisKeys, fingerprints: Fingerprints) -> None:
        self._keys = keys
        self._fingerprints = fingerprints
        self._script = client.register_script(starting(_SCRIPT))

    def of_command(self, key: ApiKey, command: Command, idempotency_name: str = "") -> Use:
        """Return the limits that a command counts for."""
        return Use(tuple(self._limits(key, command.kind, recipient_of(command))), idempotency_name)

    def of_row(self, key: ApiKey, kind: Kind, recipient: str) -> Use:
        """Return the limits that a row of a campaign counts for: the same as a message, or many campaigns would reach a person without a limit.

        Args:
            key: the key.
            kind: the kind of message.
            recipient: the normalised address or number, in clear.
        """
        return Use(tuple(self._limits(key, kind, recipient)))

    def of_repeat(self, key: ApiKey, kind: Kind, recipient: str) -> Use:
        """Return the limits that a further message to a row counts for. The parameters are those of `of_row`."""
        return Use((self._by_person(key, kind, recipient),))

    def take(
        self, key: ApiKey, uses: Sequence[Use], *, until_refused: bool = False
    ) -> tuple[Standing, list[str | None]]:
        """Count uses, and return for each the policy that refuses it, or None.

        Args:
            key: the key.
            uses: the uses.
            until_refused: whether nothing is counted after the first use that is refused.

        Raises:
            Unavailable: Redis did not answer. The uses may have been counted.
        """
        now = int(time.time())
        resets_in_s = HOUR_S - now % HOUR_S
        names = [self._keys.api_usage(now // HOUR_S)]
        items = [
            (_place(use.idempotency_name, names), [(field, most) for field, _, most in use.limits]) for use in uses
        ]
        with translated_errors():
            used, answers = self._script(
                keys=names,
                args=[
                    resets_in_s + HOUR_S,
                    _by_key(key)[0],
                    json.dumps(items, separators=(",", ":")),
                    int(until_refused),
                ],
            )
        limit = key.grant.per_hour
        standing = Standing(limit, max(0, (limit or 0) - int(used)), resets_in_s)
        return standing, [use.limits[full - 1][1] if full else None for use, full in zip(uses, answers, strict=True)]

    def _limits(self, key: ApiKey, kind: Kind, recipient: str) -> Iterator[tuple[str, str, int]]:
        yield _by_key(key)
        if kind is CAMPAIGN_KINDS[Channel.SMS]:
            yield _by_country(key, plan_and_use(recipient)[0])
        yield self._by_person(key, kind, recipient)

    def _by_person(self, key: ApiKey, kind: Kind, recipient: str) -> tuple[str, str, int]:
        what = "login" if kind.is_login else "send"
        # All keys share this count: it protects the person, and the code.
        mark = self._fingerprints.digest("api usage", what, _mailbox(recipient))[:_FINGERPRINT_BYTES].hex()
        return f"r:{mark}", RECIPIENT, _most(key.grant.per_recipient)


def check_recipient(grant: Grant, kind: Kind, recipient: str) -> str | None:
    """Return why a key may not reach a recipient, or None if it may.

    Args:
        grant: the key's rights.
        kind: the kind of message or login.
        recipient: the normalised address or number, in clear.
    """
    if kind not in grant.kinds:
        return f"may not be used for {kind.value} with this API key"
    if kind.identifier is Identifier.EMAIL:
        allowed = not grant.domains or recipient.rpartition("@")[2].lower() in grant.domains
        return None if allowed else "has a domain that this API key does not allow"
    if not grant.countries:
        return None
    region, use = plan_and_use(recipient)
    if region not in grant.countries:
        return "is a number of a country that this API key does not allow"
    # Numbers that cost the sender more, and numbers whose country is a guess: a caller can choose rules that accept them.
    if kind is CAMPAIGN_KINDS[Channel.SMS] and use is not NumberUse.SMS:
        return "is in no range for SMS of the countries that this API key allows"
    return None


def _place(name: str, names: list[str]) -> int:
    """Add a key to those of the script, and return its number there. An item without one has 0: no ACL allows a key without a name."""
    if not name:
        return 0
    names.append(name)
    return len(names)


def _mailbox(recipient: str) -> str:
    """Return an address without its tag: mail to ana+1@example.com and ana+2@example.com reaches one person."""
    local, at, domain = recipient.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}" if at else recipient


def _by_key(key: ApiKey) -> tuple[str, str, int]:
    return f"k:{key.id}", "hour", _most(key.grant.per_hour)


def _by_country(key: ApiKey, region: str | None) -> tuple[str, str, int]:
    return f"c:{key.id}:{region}", "country", _most(key.grant.per_country)


def _most(limit: int | None) -> int:
    return _UNLIMITED if limit is None else limit
