"""The last result of the login probe for a tenant and channel, as Redis keeps it for metrics: steps, causes and times, and no person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - users of the dataclass resolve it at run time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from gatepost_core.errors import CorruptRecord
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text, milliseconds, moment
from gatepost_core.webhooks.events import EventType
from gatepost_core.webhooks.script import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from gatepost_core.kinds import Channel
    from gatepost_core.redis.keys import RedisKeys

SUCCESS: Final = "ok"
"""The reason of a run in which every step succeeded."""


class Step(StrEnum):
    """The steps of a probe, in their order."""

    MAILBOX = "mailbox"
    SEND = "send"
    ARRIVAL = "arrival"
    LOGIN = "login"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Entry:
    """One cause.

    Attributes:
        name: its name in Redis, JSON, logs and metrics.
        advice: what happened, and what to do about it.
        misconfigured: whether a setting or a credential of the probe must be corrected.
    """

    name: str
    advice: str
    misconfigured: bool = False


class Cause(StrEnum):
    """Why a step failed, where no `Reason` of an operation says it. The attributes are those of its entry."""

    advice: str
    misconfigured: bool

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        cause = str.__new__(cls, entry.name)
        cause._value_ = entry.name
        cause.advice, cause.misconfigured = entry.advice, entry.misconfigured
        return cause

    # fmt: off
    MAILBOX_UNREACHABLE = Entry(
        "mailbox_unreachable",
        "The IMAP server does not answer; check GATEPOST_PROBE_IMAP_HOST, GATEPOST_PROBE_IMAP_PORT, DNS and the network.",
    )
    MAILBOX_TLS_FAILED = Entry(
        "mailbox_tls_failed",
        "No TLS connection to the IMAP server; check its certificate, the host name, the port and GATEPOST_PROBE_IMAP_CA_BUNDLE.",
        misconfigured=True,
    )
    MAILBOX_LOGIN_REFUSED = Entry(
        "mailbox_login_refused",
        "The IMAP server refused the user or the password; renew the password, and check that IMAP is enabled for the mailbox.",
        misconfigured=True,
    )
    MAILBOX_FAILED = Entry(
        "mailbox_failed",
        "The IMAP server refused a command after the login; check GATEPOST_PROBE_IMAP_FOLDER and the rights to the folder.",
    )
    CODE_COMMAND_FAILED = Entry(
        "code_command_failed",
        "GATEPOST_PROBE_CODE_COMMAND failed; run it by hand to see why.",
        misconfigured=True,
    )
    NO_WORKER = Entry(
        "no_worker",
        "No worker took the operation in time; start workers for its queue, and see gatepost doctor.",
    )
    NOT_IN_TIME = Entry(
        "not_in_time",
        "The operation did not end in time; see gatepost quota, and the worker's log for the operation.",
    )
    WORKER_BLOCKED = Entry(
        "worker_blocked",
        "A worker could not run the operation; gatepost doctor names the setting that differs.",
        misconfigured=True,
    )
    MESSAGE_LATE = Entry(
        "message_late",
        "Auth0 accepted the send, and no message came in time; check the message provider, the tenant's log and the spam folder.",
    )
    MESSAGE_WITHOUT_CODE = Entry(
        "message_without_code",
        "The message has no code; check the template in Auth0, and GATEPOST_PROBE_CODE_PATTERN.",
    )
    MESSAGE_WITH_LINK = Entry(
        "message_with_link",
        "The message has a magic link and no code; show the code in the template in Auth0.",
    )
    SEVERAL_CODES = Entry(
        "several_codes",
        "The message has several numbers that could be the code; set GATEPOST_PROBE_CODE_PATTERN.",
        misconfigured=True,
    )
    ID_TOKEN_MISSING = Entry(
        "id_token_missing",
        "The token set has no id_token; an Action, or a scope without openid, can be the cause.",
    )
    OTHER_PERSON = Entry(
        "other_person",
        "The id_token names another address or number than the probe's; check account linking and Actions.",
    )
    UNFORESEEN = Entry(
        "unforeseen",
        "The probe failed unexpectedly; the log names the place. Please report it.",
    )
    # fmt: on


REASONS: Final = frozenset({SUCCESS, *Cause, *(reason.value for reason in Reason)})
"""Every value that a result's reason can have."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One run of the probe.

    Attributes:
        ended_at: when the run ended.
        reason: `ok`, or the value of a `Cause` or `Reason`.
        step: the step that failed; None after a success, and for a step that only a later version knows.
        seconds: the duration of each step that was begun.
        last_success_at: when a run last succeeded; None before the first success.
    """

    ended_at: datetime
    reason: str
    step: Step | None
    seconds: Mapping[Step, float]
    last_success_at: datetime | None = None

    @property
    def succeeded(self) -> bool:
        """Whether every step succeeded."""
        return self.reason == SUCCESS

    @property
    def advice(self) -> str:
        """What to do about the failure; empty after a success."""
        if self.succeeded:
            return ""
        if self.reason not in REASONS:
            return "This version does not know the reason; upgrade it."
        return Cause(self.reason).advice if self.reason in set(Cause) else Reason(self.reason).advice


class ProbeResults:
    """Stores the last result of each tenant and channel.

    Each is a hash with these fields, as text: `last_run_at` and `last_success_at` (milliseconds since the epoch; the second is absent before the
    first success), `reason`, `step` (absent after a success), and `STEP_s` for each step that was begun (seconds).
    """

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys

    def store(self, tenant: str, channel: Channel, result: ProbeResult) -> None:
        """Replace the last result. The time of the last success stays if this is a failure.

        Raises:
            Unavailable: Redis did not answer.
        """
        at = milliseconds(result.ended_at)
        fields: dict[Any, Any] = {"last_run_at": str(at), "reason": result.reason}
        fields |= {f"{step}_s": f"{seconds:.3f}" for step, seconds in result.seconds.items()}
        if result.step is not None:
            fields["step"] = result.step.value
        if result.succeeded:
            fields["last_success_at"] = str(at)
        gone = [name for name in ("step", *(f"{step}_s" for step in Step)) if name not in fields]
        key = self._keys.probe(tenant, channel)
        with translated_errors(), self._redis.pipeline(transaction=True) as pipe:
            if gone:
                pipe.hdel(key, *gone)
            pipe.hset(key, mapping=fields)
            if result.step is not None:
                about = {"tenant": tenant, "channel": channel.value, "step": result.step.value, "reason": result.reason}
                record(pipe, self._keys, EventType.PROBE_FAILED, about)
            pipe.execute()

    def read(self, tenant: str, channel: Channel) -> ProbeResult | None:
        """Return the last result; None if the probe never ran.

        Raises:
            CorruptRecord: another program wrote the hash.
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            stored: dict[Any, Any] = self._redis.hgetall(self._keys.probe(tenant, channel))
        fields = {as_text(name): as_text(value) for name, value in stored.items()}
        if "last_run_at" not in fields:
            return None
        try:
            return _result(fields)
        except (ValueError, KeyError, OverflowError):
            pass
        key = self._keys.probe(tenant, channel)
        raise CorruptRecord(f"the result of the login probe is damaged; delete {key}, and run the probe again")


def _result(fields: Mapping[str, str]) -> ProbeResult:
    success, step = fields.get("last_success_at"), fields.get("step")
    return ProbeResult(
        ended_at=moment(fields["last_run_at"]),
        reason=fields["reason"],
        step=Step(step) if step in set(Step) else None,
        seconds={step: float(fields[f"{step}_s"]) for step in Step if f"{step}_s" in fields},
        last_success_at=moment(success) if success else None,
    )
