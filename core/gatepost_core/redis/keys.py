"""The names of all keys, channels and queues in Redis and on the broker, and the beginnings of the Lua scripts that use them.

Values are stored as UTF-8, times as milliseconds since the epoch. No other module spells a name. Each begins with a namespace, so that two installations can share a Redis or a RabbitMQ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import resources
from string import hexdigits
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.settings import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from gatepost_core.kinds import Queue

_OPERATION: Final = "operation"
# Digits of a recipient's fingerprint that two indexes share: there are 2,048 indexes. Redis keeps an index compact up to 128 entries.
_SHARED: Final = 2
_DEAD_LETTER: Final = "dead_letter"
_CAMPAIGN: Final = "campaign"
_LIMITER: Final = "limiter"
_WEBHOOK: Final = "webhook"
_WEBHOOKS: Final = "webhooks"
# The parts of a campaign, after the key of its record.
_BATCH: Final = ":batch:"
_OUT: Final = ":out"
_WAITING: Final = ":waiting"
_BLOCKED: Final = ":blocked"
_HELD: Final = ":held"
_INDEX: Final = ":i:"

SERVER_CLOCK: Final = "local now_us = (function() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end)()\n"
"""Lua that defines the time: microseconds since the epoch, by the server's clock."""


def as_text(value: Any) -> str:
    """Return a reply of Redis as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def milliseconds(at: datetime) -> int:
    """Return a time as it is stored."""
    return int(at.timestamp() * 1000)


def moment(stored: str | int) -> datetime:
    """Return the time that `milliseconds` stored, in UTC."""
    return datetime.fromtimestamp(int(stored) / 1000, UTC)


def starting(text: str) -> str:
    """Return a script that Redis refuses while its memory is full, so that nothing new starts."""
    return "#!lua\n" + text


def ending(text: str) -> str:
    """Return a script that also runs while Redis's memory is full: work under way must still end."""
    return "#!lua flags=allow-oom\n" + text


@cache
def event_recorder() -> str:
    """Return Lua that records events for webhooks. The names of `RedisKeys.lua` precede it."""
    return resources.files("gatepost_core.redis").joinpath("outbox.lua").read_text(encoding="utf-8")


@dataclass(frozen=True)
class RedisKeys:
    """The names under one namespace.

    The names of kombu and Celery (`unacked`, `_kombu.binding.*`, `celery-task-meta-*`) begin with the namespace too, except in the default
    namespace.

    Attributes:
        namespace: the setting `GATEPOST_NAMESPACE`.
    """

    namespace: str = DEFAULT_NAMESPACE

    def operation(self, operation_id: str) -> str:
        """Return the key of an operation's record, which is also the channel its end is published on."""
        return f"{self.namespace}:{_OPERATION}:{operation_id}"

    def operation_id_of(self, key: str) -> str:
        """Return the id in the key of an operation's record."""
        return key.removeprefix(self.operation(""))

    def celery_result(self, operation_id: str) -> str:
        """Return the key of a task's result in Celery's form, which is also the channel it is published on.

        An operation's task has the operation's id.
        """
        return f"{self.of_libraries}celery-task-meta-{operation_id}"

    def idempotency(self, fingerprint: str) -> str:
        """Return the key under which an idempotency key's fingerprint names its operation."""
        return f"{self.namespace}:idempotency:{fingerprint}"

    def recipients(self, fingerprint: str) -> str:
        """Return the key of the index that names a recipient's operations, for as long as their records live.

        One index holds the recipients of all fingerprints with the same beginning: many small keys would take three times the memory.
        """
        return f"{self.namespace}:recipient:{fingerprint[:_SHARED]}{_pair(fingerprint[_SHARED : _SHARED + 1])}"

    @cached_property
    def due(self) -> str:
        """Open operations, by when the reconciler looks at them next."""
        return f"{self.namespace}:operations:due"

    @cached_property
    def counts(self) -> str:
        """How many operations of each kind are in each state."""
        return f"{self.namespace}:operations:counts"

    @cached_property
    def delivered(self) -> str:
        """Up to when each queue's messages have reached a worker."""
        return f"{self.namespace}:operations:delivered"

    @cached_property
    def campaigns(self) -> str:
        """All campaigns, by when they were made."""
        return f"{self.namespace}:campaigns"

    @cached_property
    def active_campaigns(self) -> str:
        """The campaigns that the reconciler looks after."""
        return f"{self.namespace}:campaigns:active"

    @cached_property
    def campaign_changes(self) -> str:
        """The changes of campaigns' status that no worker has written to its log, as JSON."""
        return f"{self.namespace}:campaigns:changes"

    @cached_property
    def bulk_workers(self) -> str:
        """The worker processes that take batches, by when each took one last."""
        return f"{self.namespace}:campaigns:workers"

    def campaign(self, campaign_id: str) -> str:
        """Return the key of a campaign's record; the keys of its parts begin with it."""
        return f"{self.namespace}:{_CAMPAIGN}:{campaign_id}"

    def campaign_id_of(self, key: str) -> str:
        """Return the id in the key of a campaign's record."""
        return key.removeprefix(self.campaign(""))

    def batch(self, campaign_id: str, batch: int) -> str:
        """Return the key of a batch."""
        return f"{self.campaign(campaign_id)}{_BATCH}{batch}"

    def blocked(self, campaign_id: str) -> str:
        """Return the key of the batches that a worker could not work on."""
        return f"{self.campaign(campaign_id)}{_BLOCKED}"

    def out(self, campaign_id: str) -> str:
        """Return the key of the batches that are published or held, by when the reconciler looks at them next."""
        return f"{self.campaign(campaign_id)}{_OUT}"

    def held(self, campaign_id: str) -> str:
        """Return the key of the batches that workers hold, by when each worker made its last step."""
        return f"{self.campaign(campaign_id)}{_HELD}"

    @cached_property
    def campaign_pattern(self) -> re.Pattern[str]:
        """The pattern of the key of a campaign's record, with the group `campaign`."""
        return re.compile(rf"{re.escape(self.campaign(''))}(?P<campaign>[^:]+)")

    @cached_property
    def batch_pattern(self) -> re.Pattern[str]:
        """The pattern of the key of a batch, with the groups `campaign` and `number`."""
        return re.compile(rf"{self.campaign_pattern.pattern}{_BATCH}(?P<number>\d+)")

    @cached_property
    def suppression(self) -> str:
        """The suppression list."""
        return f"{self.namespace}:suppression"

    def limiter(self, tenant: str, endpoint: str) -> str:
        """Return the key of the limiter's state for a tenant's endpoint."""
        return f"{self.namespace}:{_LIMITER}:{tenant}:{endpoint}"

    def ceiling(self, name: str) -> str:
        """Return the key that holds when the next request at a campaign's own rate is due."""
        return f"{self.namespace}:ceiling:{name}"

    @cached_property
    def kids(self) -> str:
        """The ids of the sealing keys that stored values need, each with when it sealed one last."""
        return f"{self.namespace}:kids"

    @cached_property
    def key_checks(self) -> str:
        """The check values of the workers' keys."""
        return f"{self.namespace}:key_checks"

    @cached_property
    def tenants(self) -> str:
        """The Auth0 application of each tenant name."""
        return f"{self.namespace}:tenants"

    @cached_property
    def api_keys(self) -> str:
        """The API keys, by id."""
        return f"{self.namespace}:api_keys"

    def api_usage(self, hour: int) -> str:
        """Return the key of what API keys used in an hour, counted since the epoch: by key, by country, by recipient."""
        return f"{self.namespace}:api_usage:{hour}"

    @cached_property
    def audit(self) -> str:
        """The audit log."""
        return f"{self.namespace}:audit"

    @cached_property
    def dead_letters(self) -> str:
        """The dead letters, by when each was refused."""
        return f"{self.namespace}:dead_letters"

    def dead_letter(self, letter_id: str) -> str:
        """Return the key of a dead letter."""
        return f"{self.namespace}:{_DEAD_LETTER}:{letter_id}"

    def console_session(self, digest: str) -> str:
        """Return the key of a browser session of the console, by the hash of its id."""
        return f"{self.namespace}:console:session:{digest}"

    def console_sign_in(self, digest: str) -> str:
        """Return the key of a sign-in at an identity provider that is under way."""
        return f"{self.namespace}:console:sign_in:{digest}"

    def console_tries(self, digest: str) -> str:
        """Return the key of the tries to sign in to an account or from an address."""
        return f"{self.namespace}:console:tries:{digest}"

    @cached_property
    def reconciler_last_run(self) -> str:
        """When the reconciler last ran, in milliseconds since the epoch."""
        return f"{self.namespace}:reconciler:last"

    @cached_property
    def reconciler_lock(self) -> str:
        """The lock of the sweep over operations."""
        return f"{self.namespace}:reconciler:lock"

    @cached_property
    def campaign_sweep_lock(self) -> str:
        """The lock of the sweep over campaigns."""
        return f"{self.namespace}:campaigns:sweep:lock"

    def probe(self, tenant: str, channel: str) -> str:
        """Return the key of the login probe's last result for a tenant and a channel. `gatepost_core.probe_results` describes its fields."""
        return f"{self.namespace}:probe:{tenant}:{channel}"

    def probe_lock(self, fingerprint: str) -> str:
        """Return the key of the lock that a probe holds on a mailbox, which the fingerprint names."""
        return f"{self.namespace}:probe_lock:{fingerprint}"

    @cached_property
    def replication(self) -> str:
        """The mark that is written to count the replicas that have earlier writes."""
        return f"{self.namespace}:replication"

    @cached_property
    def recovered(self) -> str:
        """When a recovery from a backup last ended, in milliseconds since the epoch."""
        return f"{self.namespace}:recovered"

    @cached_property
    def webhooks(self) -> str:
        """The ids of webhook endpoints, by when each was added."""
        return f"{self.namespace}:{_WEBHOOKS}"

    @cached_property
    def webhook_source(self) -> str:
        """The part of `webhook-id` that tells this installation from others."""
        return f"{self.webhooks}:source"

    @cached_property
    def webhook_types(self) -> str:
        """The types of events that at least one endpoint subscribes to."""
        return f"{self.webhooks}:types"

    @cached_property
    def webhook_events(self) -> str:
        """The events, as a stream."""
        return f"{self.webhooks}:events"

    def webhook(self, endpoint_id: str) -> str:
        """Return the key of an endpoint's record."""
        return f"{self.namespace}:{_WEBHOOK}:{endpoint_id}"

    def webhook_due(self, endpoint_id: str) -> str:
        """Return the key of the events that an endpoint gets again, by when each is due."""
        return f"{self.webhooks}:due:{endpoint_id}"

    def webhook_attempts(self, endpoint_id: str) -> str:
        """Return the key of the attempts to deliver these events."""
        return f"{self.webhooks}:attempts:{endpoint_id}"

    @property
    def is_default(self) -> bool:
        """Whether this is the namespace of an installation that sets none."""
        return self.namespace == DEFAULT_NAMESPACE

    @cached_property
    def of_libraries(self) -> str:
        """The prefix of the names of kombu and Celery in Redis; empty in the default namespace."""
        return "" if self.is_default else f"{self.namespace}:"

    def queue(self, queue: Queue) -> str:
        """Return the name of a queue, as Celery and RabbitMQ know it. Its exchange has the same."""
        return f"{self.namespace}.{queue.value}"

    def queue_key(self, name: str) -> str:
        """Return the key of the list behind a queue of this name, when the broker is Redis."""
        return f"{self.of_libraries}{name}"

    @cached_property
    def control_exchange(self) -> str:
        """The prefix of the exchanges for remote control."""
        return "celery" if self.is_default else f"{self.namespace}.control"

    @cached_property
    def event_exchange(self) -> str:
        """The exchange for Celery's events, and the prefix of their queues."""
        return "celeryev" if self.is_default else f"{self.namespace}.events"

    @cached_property
    def lua(self) -> str:
        """The names that scripts need beside their KEYS, as Lua constants: the text in front of such a script."""
        names = {
            "CAMPAIGNS": self.campaigns,
            "CAMPAIGN_KEY": self.campaign(""),
            "ACTIVE": self.active_campaigns,
            "WORKERS": self.bulk_workers,
            "CHANGES": self.campaign_changes,
            "SUPPRESSION": self.suppression,
            "KIDS": self.kids,
            "IDEMPOTENCY": self.idempotency(""),
            "DELIVERED": self.delivered,
            "META": self.celery_result(""),
            "LIMITER": f"{self.namespace}:{_LIMITER}:",
            "BATCH_KEY": _BATCH,
            "OUT_KEY": _OUT,
            "WAITING_KEY": _WAITING,
            "BLOCKED_KEY": _BLOCKED,
            "HELD_KEY": _HELD,
            "INDEX_KEY": _INDEX,
            "WEBHOOK_TYPES": self.webhook_types,
            "WEBHOOK_EVENTS": self.webhook_events,
        }
        values = ", ".join(f"'{name}'" for name in names.values())
        return f"local {', '.join(names)} = {values}\n"


def webhook_names(keys: RedisKeys) -> str:
    """Return the names that the scripts of webhooks need beside `RedisKeys.lua`, as Lua constants."""
    names = {
        "WEBHOOKS": keys.webhooks,
        "WEBHOOK_SOURCE": keys.webhook_source,
        "WEBHOOK_KEY": keys.webhook(""),
        "WEBHOOK_DUE": keys.webhook_due(""),
        "WEBHOOK_ATTEMPTS": keys.webhook_attempts(""),
    }
    return "".join(f"local {name} = '{value}'\n" for name, value in names.items())


def _pair(digit: str) -> str:
    """Return a hexadecimal digit without its last bit. Other texts stay as they are: patterns, and names in the documentation."""
    return f"{int(digit, 16) & ~1:x}" if digit and digit in hexdigits else digit


def recipient_entry(fingerprint: str, operation_id: str) -> str:
    """Return the entry of an operation in its recipient's index. An empty id gives the beginning of all entries of the recipient."""
    return f"{fingerprint[_SHARED:]}:{operation_id}"
