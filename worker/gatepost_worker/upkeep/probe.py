"""`python -m gatepost_worker.upkeep.probe`: asks Auth0 whether the credential is valid and what the quota is, and prints a JSON object.

`gatepost doctor` runs it as a separate process, because only the worker calls Auth0. No message is sent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.errors import ConfigurationError
from gatepost_core.settings import load_settings
from gatepost_worker.authentication import AuthenticationError, NotAttempted, RateLimits
from gatepost_worker.delivery.clients import client_for

if TYPE_CHECKING:
    from gatepost_worker.authentication import StartProbe

# `Date` is rounded down to a second: on average the server's clock is half a second further.
_HALF_A_SECOND: Final = 0.5


def main() -> int:
    """Probe the tenant that the arguments name and print the findings. The exit code is 0, also for an error."""
    parser = argparse.ArgumentParser(prog="python -m gatepost_worker.upkeep.probe", description=__doc__)
    parser.add_argument("--tenant", metavar="NAME", help="a configured tenant; the first one when absent")
    found = probe(parser.parse_args().tenant)
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0


def probe(tenant_name: str | None) -> dict[str, Any]:
    """Return the findings of one call: `credentials`, `status`, `code`, `limit`, `remaining`, `clock_ahead_s`, or an `error`."""
    try:
        settings = load_settings(env_file=".env")
        tenant = settings.tenant_named(tenant_name)
        with client_for(tenant, settings) as client:
            answer = client.probe_start()
    except (ConfigurationError, NotAttempted) as failure:
        return {"error": {"cause": "configuration", "message": str(failure)}}
    except AuthenticationError as failure:
        return {"error": {"cause": failure.cause.value, "message": str(failure)}}
    return {"tenant": tenant.name, "domain": tenant.domain, **described(answer, now_epoch_s=time.time())}


def described(answer: StartProbe, *, now_epoch_s: float) -> dict[str, Any]:
    """Return a probe's findings as JSON values.

    Args:
        answer: the client's findings.
        now_epoch_s: the local clock, in epoch seconds. `clock_ahead_s` compares it with the answer's `Date`, which has whole seconds.
    """
    limits = answer.rate_limits or RateLimits()
    quota = limits.client_quota
    date = limits.date_epoch_s
    return {
        "credentials": str(answer.credentials),
        "status": answer.status,
        "code": answer.code,
        "limit": limits.limit,
        "remaining": limits.remaining,
        "reset_in_s": limits.reset_in_s(now_epoch_s),
        "client_quota": quota and {"quota": quota.quota, "interval_s": quota.interval_s, "remaining": quota.remaining},
        "clock_ahead_s": None if date is None else round(now_epoch_s - date - _HALF_A_SECOND, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
