"""The last result of the login probe in Redis, which metrics and alerts read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_core.errors import CorruptRecord
from gatepost_core.kinds import Channel
from gatepost_core.probe_results import REASONS, SUCCESS, Cause, ProbeResult, ProbeResults, Step
from gatepost_core.reasons import Reason
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_core.webhooks.events import SUBSCRIBABLE
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

    from gatepost_core.settings import Settings

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_failure_keeps_the_time_of_the_last_success(redis_client: redis.Redis) -> None:
    """An alert on the age of the last success needs it, and the durations of a step that was not reached are gone."""
    results = ProbeResults(redis_client, KEYS)
    success = ProbeResult(NOON, SUCCESS, None, dict.fromkeys(Step, 0.25))
    failure = ProbeResult(NOON + timedelta(minutes=5), Cause.MESSAGE_LATE, Step.ARRIVAL, {Step.MAILBOX: 0.1})

    results.store("default", Channel.EMAIL, success)
    first = results.read("default", Channel.EMAIL)
    results.store("default", Channel.EMAIL, failure)
    second = results.read("default", Channel.EMAIL)

    assert first == ProbeResult(NOON, SUCCESS, None, dict.fromkeys(Step, 0.25), NOON)
    assert second == ProbeResult(failure.ended_at, "message_late", Step.ARRIVAL, {Step.MAILBOX: 0.1}, NOON)
    assert second is not None
    assert (first and first.succeeded, second.succeeded) == (True, False)


def test_tenants_and_channels_have_results_of_their_own(redis_client: redis.Redis) -> None:
    """A probe by SMS does not hide that of the e-mails, nor one tenant's probe another's; a success ends the failure."""
    results = ProbeResults(redis_client, KEYS)
    results.store("default", Channel.SMS, ProbeResult(NOON, Reason.CODE_REJECTED, Step.LOGIN, {}))
    results.store("default", Channel.SMS, ProbeResult(NOON, SUCCESS, None, {}))

    found = results.read("default", Channel.SMS)

    assert results.read("default", Channel.EMAIL) is None
    assert results.read("acme", Channel.SMS) is None
    assert found is not None
    assert (found.reason, found.step, found.advice) == (SUCCESS, None, "")


def test_the_fields_have_the_documented_form(redis_client: redis.Redis) -> None:
    """Other programs read the hash: milliseconds since the epoch, seconds with three decimals."""
    result = ProbeResult(NOON, Cause.MAILBOX_LOGIN_REFUSED, Step.MAILBOX, {Step.MAILBOX: 1.5})

    ProbeResults(redis_client, KEYS).store("default", Channel.EMAIL, result)

    assert redis_client.hgetall("gatepost:probe:default:email") == {
        b"last_run_at": b"1777896000000",
        b"reason": b"mailbox_login_refused",
        b"step": b"mailbox",
        b"mailbox_s": b"1.500",
    }


def test_every_cause_says_what_to_do() -> None:
    """The values of a result's reason are a closed set, so a metric's label is bounded."""
    assert all(cause.advice.endswith(".") for cause in Cause)
    assert not {cause.value for cause in Cause} & {reason.value for reason in Reason}
    assert len(REASONS) == 1 + len(Cause) + len(Reason)


def test_a_failure_is_recorded_for_webhooks_in_the_same_step(redis_client: redis.Redis, settings: Settings) -> None:
    """With tenant, channel, step and cause; a success is no event."""
    Endpoints(redis_client, KEYS, settings.keyring()).add("https://example.com/", SUBSCRIBABLE, "whsec_AAAA")
    results = ProbeResults(redis_client, KEYS)
    results.store("42", Channel.EMAIL, ProbeResult(NOON, SUCCESS, None, {}))
    results.store("42", Channel.EMAIL, ProbeResult(NOON, Cause.MESSAGE_LATE, Step.ARRIVAL, {}))

    ((_, event),) = redis_client.xrange(KEYS.webhook_events)
    assert event[b"type"] == b"probe.failed"
    assert json.loads(event[b"data"]) == {
        "tenant": "42",
        "channel": "email",
        "step": "arrival",
        "reason": "message_late",
    }


def test_a_result_of_a_later_version_is_a_failure_without_a_known_step(redis_client: redis.Redis) -> None:
    """After a rollback, `gatepost probe --last` and the metrics still show the rest."""
    results = ProbeResults(redis_client, KEYS)
    results.store("default", Channel.EMAIL, ProbeResult(NOON, Cause.MESSAGE_LATE, Step.ARRIVAL, {}))
    redis_client.hset("gatepost:probe:default:email", mapping={"reason": "moon_in_the_way", "step": "orbit"})

    found = results.read("default", Channel.EMAIL)

    assert found is not None
    assert (found.reason, found.step, found.succeeded) == ("moon_in_the_way", None, False)
    assert "upgrade" in found.advice


@pytest.mark.parametrize("damage", [{"last_run_at": "soon"}, {"mailbox_s": "long"}, {"last_run_at": "9" * 30}])
def test_a_damaged_result_is_named(redis_client: redis.Redis, damage: dict[str, str]) -> None:
    """With its key, and the way out."""
    redis_client.hset("gatepost:probe:default:email", mapping={"last_run_at": "1", "reason": "ok", **damage})

    with pytest.raises(CorruptRecord, match="delete gatepost:probe:default:email"):
        ProbeResults(redis_client, KEYS).read("default", Channel.EMAIL)
