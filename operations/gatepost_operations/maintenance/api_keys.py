"""The keys of the HTTP API: who may ask for what, how often, and for whom. Redis holds a keyed digest of each key, never the key."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from gatepost_core.errors import FieldError, GatepostError, InvalidCommand
from gatepost_core.kinds import Kind
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text
from gatepost_core.safe_text import require_shown

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing.fingerprints import Fingerprints

_PREFIX: Final = "gatepost"
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_PARTS: Final = 3


class Scope(StrEnum):
    """The rights of a key beside sends and logins. Every key may read its own operations.

    Attributes:
        READ: read campaigns, quotas and limits, and change nothing.
        CAMPAIGNS: create, fill and control campaigns; it includes `read`.
        SUPPRESSIONS: look a person up on the suppression list, and change the list.
        REDEEM: take the token set of a login, with its redeem token.
        REVEAL: see addresses in clear. The audit log records each use.
        CONSOLE: see the work of all keys, and name the person who acts.
    """

    READ = "read"
    CAMPAIGNS = "campaigns"
    SUPPRESSIONS = "suppressions"
    REDEEM = "redeem"
    REVEAL = "reveal"
    CONSOLE = "console"


class ApiKeyNotFound(GatepostError):
    """There is no such API key. `gatepost api-keys list` lists them."""


def _domain(value: str) -> str:
    domain = value.strip().lower().removeprefix("@")
    if "." not in domain or not domain.isascii() or set(domain) & set(" @/*"):
        raise ValueError("must be a domain such as example.com; give internationalised names in their xn-- form")
    return domain


def _country(value: str) -> str:
    country = value.strip().upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be an ISO 3166-1 code of two letters, such as GB")
    return country


def _shown(value: str) -> str:
    require_shown(value)
    return value


class Grant(BaseModel):
    """The rights and limits of a key. An empty list of tenants, domains or countries allows all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_shown)]
    kinds: frozenset[Kind] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    tenants: frozenset[str] = frozenset()
    domains: frozenset[Annotated[str, AfterValidator(_domain)]] = frozenset()
    countries: frozenset[Annotated[str, AfterValidator(_country)]] = frozenset()
    per_hour: Annotated[int, Field(ge=1, description="Most messages and logins an hour.")] | None = 10_000
    per_country: Annotated[int, Field(ge=1, description="Most SMS an hour to numbers of one country.")] | None = 1_000
    per_recipient: (
        Annotated[int, Field(ge=1, description="Most messages, and most logins, an hour for a person.")] | None
    ) = 10

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, with sorted lists."""
        return {
            name: sorted(value) if isinstance(value, list) else value
            for name, value in self.model_dump(mode="json").items()
        }

    def allows(self, scope: Scope) -> bool:
        """Return whether the key has a scope, or one that includes it."""
        return scope in self.scopes or (scope is Scope.READ and Scope.CAMPAIGNS in self.scopes)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    grant: Grant
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"id": self.id, **self.grant.as_json(), "created_at": self.created_at.isoformat()}


def grant_of(fields: dict[str, Any]) -> Grant:
    """Validate the rights of a new key.

    Raises:
        InvalidCommand: a field is not valid.
    """
    try:
        return Grant.model_validate(fields)
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_context=False, include_input=False)
    raise InvalidCommand(
        [FieldError(_SINGULAR.get(error["loc"][0], str(error["loc"][0])), _problem(error["msg"])) for error in errors]
    )


_SINGULAR: Final[dict[str | int, str]] = {"domains": "domain", "countries": "country", "tenants": "tenant"}


def _problem(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


class ApiKeys:
    """The API keys of one Redis. Thread-safe. The audit log records creations and revocations."""

    def __init__(self, client: Redis, keys: RedisKeys, fingerprints: Fingerprints, audit: AuditLog) -> None:
        self._redis = client
        self._key = keys.api_keys
        self._fingerprints = fingerprints
        self._audit = audit

    def create(self, grant: Grant) -> tuple[ApiKey, SecretStr]:
        """Store a new key, and return it with its secret text, which cannot be read again.

        Raises:
            Unavailable: Redis did not answer.
        """
        made = ApiKey(secrets.token_hex(_ID_BYTES), grant, datetime.fromtimestamp(int(time.time()), UTC))
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        rights = made.as_json()
        stored = {**rights, "digest": self._digest(rights, secret)}
        with self._audit.act("api_keys.create", key=made.id, **grant.as_json()), translated_errors():
            self._redis.hset(self._key, made.id, json.dumps(stored))
        return made, SecretStr(f"{_PREFIX}_{made.id}_{secret}")

    def all(self) -> list[ApiKey]:
        """Return all keys, the newest last.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found: Any = self._redis.hvals(self._key)
        return sorted(
            (_read(json.loads(as_text(stored))) for stored in found), key=lambda one: (one.created_at, one.id)
        )

    def revoke(self, id_or_name: str) -> ApiKey:
        """Delete a key. The api refuses it within a second.

        Raises:
            ApiKeyNotFound: there is no key with this id or name.
            InvalidCommand: several keys have this name.
        """
        found = [one for one in self.all() if id_or_name in {one.id, one.grant.name}]
        if len(found) > 1:
            ids = ", ".join(one.id for one in found)
            raise InvalidCommand([FieldError("key", f"names {len(found)} keys; give an id: {ids}")])
        if not found:
            raise ApiKeyNotFound
        with self._audit.act("api_keys.revoke", key=found[0].id, name=found[0].grant.name), translated_errors():
            self._redis.hdel(self._key, found[0].id)
        return found[0]

    def find(self, given: SecretStr) -> ApiKey | None:
        """Return the key with this secret text; None if there is none, or if its rights were changed in Redis.

        Raises:
            Unavailable: Redis did not answer.
        """
        prefix, *rest = given.get_secret_value().split("_", _PARTS - 1)
        if prefix != _PREFIX or len(rest) != _PARTS - 1:
            return None
        key_id, secret = rest
        with translated_errors():
            stored: Any = self._redis.hget(self._key, key_id)
        if stored is None:
            return None
        rights = json.loads(as_text(stored))
        digest = rights.pop("digest")
        # The digest covers the rights too: write access to Redis alone widens none.
        return _read(rights) if hmac.compare_digest(digest, self._digest(rights, secret)) else None

    def _digest(self, rights: dict[str, Any], secret: str) -> str:
        return self._fingerprints.digest("api key", json.dumps(rights, sort_keys=True), secret).hex()


def _read(stored: dict[str, Any]) -> ApiKey:
    fields = {name: value for name, value in stored.items() if name not in {"id", "created_at", "digest"}}
    return ApiKey(stored["id"], Grant.model_validate(fields), datetime.fromisoformat(stored["created_at"]))
