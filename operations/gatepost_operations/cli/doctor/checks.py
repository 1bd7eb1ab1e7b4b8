"""The findings of `gatepost doctor`, and its checks of values that were read before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.redis.check import OLDEST_SERVER, version_of
from gatepost_core.stored_forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gatepost_operations.maintenance.form_census import Census

_SKEW_NOTED_S: Final = 1.0
_SKEW_BAD_S: Final = 10.0
_RECONCILER_LATE: Final = 3
_RECONCILER_SLACK_S: Final = 15.0


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: the checked part.
        status: the result.
        found: the finding, in a few words.
        advice: the next step; empty if none is needed.
        configuration: whether the cause of a failure is the configuration or a credential (exit code 4).
    """

    name: str
    status: Status
    found: str
    advice: str = ""
    configuration: bool = False

    def as_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"name": self.name, "status": self.status.value, "found": self.found, "advice": self.advice}


def worst(checks: Iterable[Check]) -> Status:
    """Return the worst status among the checks."""
    order = list(Status)
    return max((check.status for check in checks), key=order.index, default=Status.OK)


def judge_server(info: Mapping[str, Any], *, ahead_s: float, allow_eviction: bool = False) -> list[Check]:
    """Judge a Redis or Valkey server by its INFO.

    Args:
        info: the answer to INFO.
        ahead_s: seconds by which this machine's clock is ahead of the server's.
        allow_eviction: whether the operator accepts a server that evicts.
    """
    return [
        _version(info),
        _eviction(info, allowed=allow_eviction),
        _persistence(info),
        judge_skew("clock against Redis", ahead_s, bad_s=_SKEW_BAD_S, precision_s=0.0),
    ]


def judge_skew(name: str, ahead_s: float, *, bad_s: float, precision_s: float) -> Check:
    """Judge the difference between two clocks, measured with an error of up to `precision_s`."""
    off = abs(ahead_s)
    found = f"{off:.1f} s {'ahead' if ahead_s >= 0 else 'behind'}"
    advice = "Deadlines, signatures and id_tokens depend on the clock; synchronise it (NTP)."
    if off > bad_s + precision_s:
        return Check(name, Status.FAILED, found, advice)
    if off > _SKEW_NOTED_S + precision_s:
        return Check(name, Status.WARNING, found, advice)
    return Check(name, Status.OK, f"within {precision_s:g} s" if off <= precision_s else found)


def judge_workers(queues_by_worker: Mapping[str, Sequence[str]], queues: Sequence[str]) -> Check:
    """Judge whether every queue has a worker."""
    served = {queue for consumed in queues_by_worker.values() for queue in consumed}
    missing = [queue for queue in queues if queue not in served]
    found = f"{len(queues_by_worker)} alive" + (f"; no worker serves {', '.join(missing)}" if missing else "")
    if not queues_by_worker:
        return Check("workers", Status.FAILED, "no worker answers", "Start one: gatepost worker --beat")
    if missing:
        names = ",".join(queue.rpartition(".")[2] for queue in missing)
        return Check("workers", Status.WARNING, found, f"Start a worker for it: gatepost worker --queues {names}")
    return Check("workers", Status.OK, found)


def judge_reconciler(age_s: float | None, every_s: float) -> Check:
    """Judge the time since the last run of the reconciler."""
    advice = "It ends lost attempts and publishes lost messages again; run one beat: gatepost worker --beat"
    if age_s is None:
        return Check("reconciler", Status.WARNING, "has not run", advice)
    late = age_s > _RECONCILER_LATE * every_s + _RECONCILER_SLACK_S
    found = f"ran {age_s:.0f} s ago"
    return Check("reconciler", Status.WARNING, found, advice) if late else Check("reconciler", Status.OK, found)


def judge_keys(needed: Iterable[str], ring: Sequence[str]) -> Check:
    """Judge whether the ring opens all stored values.

    Args:
        needed: ids of the keys that stored values need.
        ring: ids of the configured keys; the first one seals.
    """
    ids = set(needed)
    if missing := sorted(ids - set(ring)):
        advice = (
            "Workers do not start without it: add it to GATEPOST_SEALING_KEYS, or run gatepost keys rotate where it is."
        )
        return Check("keys in use", Status.FAILED, f"{', '.join(missing)} is missing", advice, configuration=True)
    if old := sorted(ids - set(ring[:1])):
        found = f"stored values need {', '.join(old)} too"
        return Check("keys in use", Status.OK, f"{found}; gatepost keys rotate re-seals them")
    return Check("keys in use", Status.OK, "all configured")


def judge_dead_letters(number: int) -> Check:
    """Judge the number of dead letters."""
    if number == 0:
        return Check("dead letters", Status.OK, "none")
    return Check("dead letters", Status.WARNING, f"{number:,}", "See why: gatepost dead-letters list")


def judge_forms(census: Census) -> Check:
    """Judge the forms of stored values."""
    newest = {form.name: form.number for form in FORMS}
    others = list(census.others())
    beyond = [f"{name} in form {number}: {count:,}" for name, number, count in others if number > newest[name]]
    former = [f"{name} in form {number}: {count:,}" for name, number, count in others if number < newest[name]]
    partly = ", ".join(f"{read:,} of {stored:,} {kind}" for kind, read, stored in census.partly_read())
    looked = partly and f"; read only {partly}"
    if beyond:
        advice = "A newer version of Gatepost wrote them. This version leaves them as they are: upgrade it."
        return Check("stored forms", Status.FAILED, "; ".join(beyond) + looked, advice)
    if former:
        advice = (
            "This version still reads them. Before you install a version that does not, see docs/how-to/upgrade.md."
        )
        return Check("stored forms", Status.WARNING, "; ".join(former) + looked, advice)
    shown = sum(sum(counts.values()) for counts in census.found.values())
    return Check(
        "stored forms", Status.OK, f"{'the' if partly else 'all'} {shown:,} values have this version's form{looked}"
    )


def _version(info: Mapping[str, Any]) -> Check:
    # Valkey reports `redis_version` 7.2 to clients that look for it.
    own = info.get("valkey_version")
    version = str(info.get("redis_version", "0"))
    found = f"Valkey {own}" if own else f"Redis {version}"
    if version_of(info) < OLDEST_SERVER:
        return Check("server version", Status.FAILED, found, "Redis 7.0 or newer, or Valkey, is needed.")
    return Check("server version", Status.OK, found)


def _eviction(info: Mapping[str, Any], *, allowed: bool) -> Check:
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        return Check("eviction", Status.OK, policy)
    advice = "A full Redis would drop records or queues; set maxmemory-policy noeviction."
    if allowed:
        return Check("eviction", Status.WARNING, policy, f"GATEPOST_ALLOW_EVICTION is set. {advice}")
    return Check("eviction", Status.FAILED, policy, advice, configuration=True)


def _persistence(info: Mapping[str, Any]) -> Check:
    if int(info.get("aof_enabled", 0)):
        return Check("persistence", Status.OK, "append-only file")
    advice = "After a restart Redis would not know the sent messages; set appendonly yes."
    return Check("persistence", Status.WARNING, "no append-only file", advice)
