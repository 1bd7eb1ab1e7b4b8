"""The endpoints of webhooks: URL and secrets are stored sealed, everything else in clear."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import GatepostError, NewerForm
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, as_text, moment
from gatepost_core.sealing import Purpose, kid_of
from gatepost_core.webhooks.script import WebhookScript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring
    from gatepost_core.webhooks.events import EventType

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32
_FORM: Final = 1
_SOURCE_BYTES: Final = 6


class EndpointNotFound(GatepostError):
    """There is no such webhook endpoint."""


class TooManyEndpoints(GatepostError):
    """There are 20 webhook endpoints, and no more can be added."""


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64. Standard Webhooks 1.0.0 asks for 24 to 64 bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of an endpoint.

    Attributes:
        text: `whsec_` and the key.
        until: when it stops signing; None for the newest.
    """

    text: str
    until: datetime | None = None

    def __repr__(self) -> str:
        return f"Secret(***, until={self.until!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """The sealed part of an endpoint: where its events go, and the secrets that sign them."""

    url: str
    secrets: tuple[Secret, ...]

    def __repr__(self) -> str:
        return f"Target(***, {len(self.secrets)} secrets)"

    def signing(self, now: datetime) -> list[str]:
        """Return the secrets that sign at a time, the newest first."""
        return [secret.text for secret in self.secrets if secret.until is None or secret.until > now]

    def dump(self) -> bytes:
        """Return it as JSON, to be sealed."""
        kept = [[secret.text, secret.until and secret.until.isoformat()] for secret in self.secrets]
        return json.dumps({"form": _FORM, "url": self.url, "secrets": kept}).encode()

    @classmethod
    def load(cls, raw: bytes) -> Target:
        """Read what `dump` wrote.

        Raises:
            NewerForm: a newer version wrote it.
        """
        stored = json.loads(raw)
        if stored["form"] != _FORM:
            raise NewerForm
        kept = [Secret(text, until and datetime.fromisoformat(until)) for text, until in stored["secrets"]]
        return cls(stored["url"], tuple(kept))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint without its sealed part. Times are in UTC.

    Attributes:
        id: its id.
        types: the types of events that it gets.
        enabled: whether events are delivered.
        created_at: when it was added.
        disabled_reason: `operator`, `gone` (it answered 410) or `failing` (it failed for a day).
        disabled_at: when it was disabled.
        delivered: the number of delivered events.
        given_up: the number of events whose last attempt failed.
        lost: the number of events that were dropped before they were delivered, by age or number.
        failures: the number of failed attempts since the last success.
        failing_since: the time of the first of them.
        last_failure: the status or the kind of the last failure.
        last_failed_at: when an attempt last failed.
        last_success_at: when an event was last delivered.
    """

    id: str
    types: tuple[str, ...]
    enabled: bool
    created_at: datetime
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    delivered: int = 0
    given_up: int = 0
    lost: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    last_failure: str | None = None
    last_failed_at: datetime | None = None
    last_success_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        times = {
            name: at and at.isoformat()
            for name in ("created_at", "disabled_at", "failing_since", "last_failed_at", "last_success_at")
            for at in [getattr(self, name)]
        }
        counts = {name: getattr(self, name) for name in ("delivered", "given_up", "lost", "failures")}
        shown = {"id": self.id, "enabled": self.enabled, "types": list(self.types)}
        return shown | times | counts | {"disabled_reason": self.disabled_reason, "last_failure": self.last_failure}


@boundary
class Endpoints:
    """All endpoints. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring, *, clock: str = SERVER_CLOCK) -> None:
        self._redis = client
        self._keys = keys
        self._keyring = keyring
        self._call = WebhookScript(client, keys, clock)

    def add(self, url: str, types: Iterable[EventType], secret: str) -> str:
        """Add an endpoint for the events from now on, and return its id.

        Raises:
            TooManyEndpoints: there are too many.
        """
        endpoint_id = str(uuid.uuid4())
        sealed = self._seal(endpoint_id, Target(url, (Secret(secret),)))
        named = f" {' '.join(sorted(types))} "
        source = secrets.token_hex(_SOURCE_BYTES)
        answer = self._call("add", endpoint_id, kid_of(sealed) or "", source, "types", named, "sealed", sealed)
        if answer[0] == "full":
            raise TooManyEndpoints
        return endpoint_id

    def list(self) -> list[Endpoint]:
        """Return all endpoints, the oldest first."""
        with translated_errors():
            ids = [as_text(one) for one in self._redis.zrange(self._keys.webhooks, 0, -1)]
        return [endpoint for endpoint in map(self._read, ids) if endpoint is not None]

    def find(self, given: str) -> Endpoint:
        """Return the endpoint with an id, or with an id that begins so.

        Raises:
            EndpointNotFound: there is none, or more than one.
        """
        found = [endpoint for endpoint in self.list() if given and endpoint.id.startswith(given.lower())]
        if len(found) != 1:
            raise EndpointNotFound(
                "more than one webhook endpoint has an id that begins so; give more of it"
                if found
                else "there is no such webhook endpoint. See: gatepost webhooks list"
            )
        return found[0]

    def target(self, endpoint_id: str) -> Target:
        """Return the URL and the secrets of an endpoint.

        Raises:
            EndpointNotFound: it was removed.
            NewerForm: a newer version wrote it.
            SealError: its key is not in the ring, or it was changed.
        """
        return self.open(endpoint_id, self._sealed(endpoint_id))

    def open(self, endpoint_id: str, sealed: str) -> Target:
        """Return the sealed part of an endpoint. Errors are those of `target`."""
        return Target.load(self._keyring.open(sealed, Purpose.webhook(endpoint_id)))

    def rotate(self, endpoint_id: str, overlap: timedelta, secret: str) -> None:
        """Sign with a new secret, and during the overlap with the earlier one too.

        Raises:
            EndpointNotFound: it was removed.
            NewerForm: a newer version wrote it.
            SealError: its key is not in the ring, or it was changed.
        """
        while True:
            before = self._sealed(endpoint_id)
            target, now = self.open(endpoint_id, before), datetime.now(UTC)
            earlier = [Secret(old.text, old.until or now + overlap) for old in target.secrets]
            kept = [old for old in earlier if old.until is not None and old.until > now]
            after = self._seal(endpoint_id, Target(target.url, (Secret(secret), *kept)))
            if self._call("reseal", endpoint_id, before, after, kid_of(after) or "")[0]:
                return

    def enable(self, endpoint_id: str) -> bool:
        """Deliver its events from now on, also those that have waited meanwhile. Return whether it exists."""
        return bool(self._call("enable", endpoint_id)[0])

    def disable(self, endpoint_id: str, reason: str) -> bool:
        """Deliver nothing from now on. Return whether it exists."""
        return bool(self._call("disable", endpoint_id, reason)[0])

    def remove(self, endpoint_id: str) -> bool:
        """Remove an endpoint with its waiting events. Return whether it existed."""
        return bool(self._call("remove", endpoint_id)[0])

    def _seal(self, endpoint_id: str, target: Target) -> str:
        return self._keyring.seal(target.dump(), Purpose.webhook(endpoint_id))

    def _sealed(self, endpoint_id: str) -> str:
        with translated_errors():
            sealed = self._redis.hget(self._keys.webhook(endpoint_id), "sealed")
        if sealed is None:
            raise EndpointNotFound
        return as_text(sealed)

    def _read(self, endpoint_id: str) -> Endpoint | None:
        with translated_errors():
            found = self._redis.hgetall(self._keys.webhook(endpoint_id))
        fields = {as_text(name): as_text(value) for name, value in found.items()}
        if "status" not in fields:
            return None

        def at(name: str) -> datetime | None:
            return moment(fields[name]) if name in fields else None

        return Endpoint(
            id=endpoint_id,
            types=tuple(fields.get("types", "").split()),
            enabled=fields["status"] == "enabled",
            created_at=moment(fields.get("created", "0")),
            disabled_reason=fields.get("disabled_reason"),
            disabled_at=at("disabled_at"),
            delivered=int(fields.get("delivered", 0)),
            given_up=int(fields.get("given_up", 0)),
            lost=int(fields.get("lost", 0)),
            failures=int(fields.get("failures", 0)),
            failing_since=at("failing_since"),
            last_failure=fields.get("last_failure"),
            last_failed_at=at("last_failed"),
            last_success_at=at("last_success"),
        )
