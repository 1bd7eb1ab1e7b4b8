"""The findings of `gatepost doctor` about webhook endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.webhooks.urls import read_url
from gatepost_operations.cli.doctor.checks import Check, Status
from gatepost_operations.formatting import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from gatepost_core.webhooks.deliveries import Backlog
    from gatepost_core.webhooks.endpoints import Endpoint

_SHORT_ID: Final = 8
_LATE_S: Final = 600.0
_LOST: Final = (
    "They were older than GATEPOST_WEBHOOK_RETENTION or more than 100,000. Compare the receiver with gatepost campaign list, "
    "then clear the number: gatepost webhooks enable {}"
)


def judge_webhooks(
    endpoints: Sequence[Endpoint],
    backlog: Mapping[str, Backlog],
    now: datetime,
    *,
    urls: Mapping[str, str],
    allow_private: bool,
    installed: bool,
) -> Iterator[Check]:
    """Judge the endpoints and the events that wait for them.

    Args:
        endpoints: the endpoints.
        backlog: the events that wait, by endpoint.
        now: the time.
        urls: the URL of each endpoint that opens.
        allow_private: whether private addresses are allowed.
        installed: whether the extra `webhooks` is installed here.
    """
    if not endpoints:
        return
    if not installed:
        advice = "Install it where workers run: pip install 'gatepost[webhooks]'"
        yield Check("webhooks", Status.WARNING, "the extra webhooks is not installed here", advice)
    for one in endpoints:
        name = f"webhook {one.id[:_SHORT_ID]}"
        flaws = [*_flaws(one, backlog.get(one.id), now), *_flaws_of_url(urls.get(one.id), allow_private=allow_private)]
        for status, found, advice in flaws:
            yield Check(name, status, found, advice)
        if not flaws:
            yield Check(name, Status.OK, f"{one.delivered:,} delivered")


def _flaws(one: Endpoint, backlog: Backlog | None, now: datetime) -> Iterator[tuple[Status, str, str]]:
    short = one.id[:_SHORT_ID]
    if one.lost:
        yield Status.FAILED, f"{one.lost:,} events were dropped before their delivery", _LOST.format(short)
    if one.given_up:
        advice = f"Send them again: gatepost webhooks replay {short} --since 2d. To clear the number: gatepost webhooks enable {short}"
        yield Status.WARNING, f"{one.given_up:,} events given up after a day", advice
    if not one.enabled:
        status = Status.OK if one.disabled_reason == "operator" else Status.FAILED
        advice = f"When the receiver works again: gatepost webhooks enable {short}"
        yield status, f"disabled ({one.disabled_reason})", advice
        return
    if one.failing_since is not None:
        age = duration_text((now - one.failing_since).total_seconds())
        yield Status.WARNING, f"failing for {age} ({one.last_failure})", f"Try it: gatepost webhooks test {short}"
    if backlog is not None and backlog.age_s(now) > _LATE_S:
        found = f"{backlog.waiting:,} events wait, the oldest for {duration_text(backlog.age_s(now))}"
        yield Status.WARNING, found, "A worker must serve the queue: gatepost worker --queues webhooks"


def _flaws_of_url(url: str | None, *, allow_private: bool) -> Iterator[tuple[Status, str, str]]:
    if url is None:
        yield (
            Status.FAILED,
            "its URL and secret do not open",
            "See gatepost keys status. If a newer version stored them, upgrade this one.",
        )
        return
    try:
        read_url(url, allow_private=allow_private)
    except ValueError as problem:
        yield Status.FAILED, f"its URL {problem}", "Remove it, or change the setting where workers run."
