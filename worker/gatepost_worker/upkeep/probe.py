"""`python -m gatepost_worker.upkeep.probe`: asks Auth0 for the credential's validity and the quota, and prints one JSON object.

`gatepost doctor` runs it as a process of its own, because only the worker may speak to Auth0. It sends nothing to anybody.
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

# The Date names the second that has begun: on average the server's clock is half a second further.
_HALF_A_SECOND: Final = 0.5


def main() -> int:
    """Probe the tenant that the arguments name and print what was found; the exit code is 0 whatever that is."""
    parser = argparse.ArgumentParser(prog="python -m gatepost_worker.upkeep.probe", description=__doc__)
    parser.add_argument("--tenant", metavar="NAME", help="a configured tenant; the first one when absent")
    found = probe(parser.parse_args().tenant)
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0


def probe(tenant_name: str | None) -> dict[str, Any]:
    """Return what one answer of the tenant says: `credentials`, `status`, `code`, `limit`, `remaining`, `clock_ahead_s`, or an `error`."""
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
        answer: what the client found.
        now_epoch_s: the clock here. `clock_ahead_s` compares it with the answer's `Date`, which has whole seconds.
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
