"""The checks of `gatepost doctor` that call Auth0: one request per tenant, which sends no message. Needs the extra `worker`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from gatepost_operations.cli.doctor.checks import Check, Status, judge_skew
from gatepost_worker.authentication import AuthenticationError, NotAttempted, RateLimits
from gatepost_worker.delivery.clients import client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant
    from gatepost_worker.authentication import StartProbe

# The Date header has whole seconds, and the answer takes some time.
_DATE_PRECISION_S: Final = 2.0
# `Date` is rounded down, so the server's clock is half a second ahead of it on average.
_HALF_A_SECOND: Final = 0.5


def examine_tenant(settings: Settings, tenant: Tenant) -> Iterator[Check]:
    """Call Auth0 once, and give the findings."""
    try:
        with client_for(tenant, settings) as client:
            answer, route = client.probe_start(), client.starts.route()
    except AuthenticationError as failure:
        cause = "configuration" if isinstance(failure, NotAttempted) else failure.cause.value
        configuration = isinstance(failure, NotAttempted)
        yield Check(f"{tenant.name}: Auth0", Status.FAILED, cause, str(failure), configuration)
        return
    yield from judge_answer(tenant, answer, now_epoch_s=time.time())
    if isinstance(route, str):
        yield Check(f"{tenant.name}: campaigns", Status.OK, f"one thread for each call, because {route}")


def judge_answer(tenant: Tenant, answer: StartProbe, *, now_epoch_s: float) -> Iterator[Check]:
    """Judge Auth0's answer to a start that sends nothing.

    Args:
        tenant: whose Authentication API answered.
        answer: the client's findings.
        now_epoch_s: this machine's time.
    """
    limits = answer.rate_limits or RateLimits()
    yield _credentials(tenant, answer)
    yield _quota(tenant.name, limits)
    if limits.date_epoch_s is not None:
        ahead_s = now_epoch_s - limits.date_epoch_s - _HALF_A_SECOND
        name = f"{tenant.name}: clock against Auth0"
        yield judge_skew(name, ahead_s, bad_s=tenant.clock_tolerance, precision_s=_DATE_PRECISION_S)


def _credentials(tenant: Tenant, answer: StartProbe) -> Check:
    name = f"{tenant.name}: credentials"
    code = f" ({answer.code})" if answer.code else ""
    match answer.credentials:
        case "accepted":
            return Check(name, Status.OK, f"accepted by {tenant.domain}")
        case "rejected":
            advice = "Auth0 refused the client; check the client id, and the secret or signing key and its algorithm."
            return Check(name, Status.FAILED, f"rejected{code}", advice, configuration=True)
        case _:
            advice = "The answer does not show it. Check that the domain and any proxy lead to Auth0, and try again."
            return Check(name, Status.WARNING, f"status {answer.status}{code}", advice)


def _quota(tenant: str, limits: RateLimits) -> Check:
    name = f"{tenant}: quota"
    if limits.limit is None or limits.remaining is None:
        advice = "Without X-RateLimit headers the limiter sends slowly. Check whether a proxy removes them."
        return Check(name, Status.WARNING, "the answer has no quota headers", advice)
    left = f"{limits.remaining:,} of {limits.limit:,} left"
    if limits.remaining == 0:
        return Check(name, Status.WARNING, left, "Nothing can be sent until it refills.")
    return Check(name, Status.OK, left)
