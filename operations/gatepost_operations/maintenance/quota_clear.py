"""`python -m gatepost_operations.maintenance.quota_clear`: lifts the limiter's blocks after a 429, and prints which there were, as JSON.

`gatepost quota clear` runs it as a process of its own, because the limiter is the worker's.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from gatepost_core.errors import ConfigurationError, Unavailable
from gatepost_core.redis.connections import connect
from gatepost_core.settings import load_settings
from gatepost_worker.delivery.calls import START, TOKEN
from gatepost_worker.limiter import LimiterKey, RedisLimiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one object. The exit code is 0 whether or not there was a block."""
    parser = argparse.ArgumentParser(prog="python -m gatepost_operations.maintenance.quota_clear", description=__doc__)
    parser.add_argument("--tenant", metavar="NAME", help="a configured tenant; all of them when absent")
    parser.add_argument("--endpoint", metavar="PATH", choices=[START, TOKEN], action="append")
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings(env_file=".env")
        tenants = [settings.tenant_named(asked.tenant).name] if asked.tenant else list(settings.all_tenants())
        with connect(settings) as client:
            found: dict[str, Any] = {"cleared": cleared(client, tenants, asked.endpoint or [START, TOKEN])}
    except ConfigurationError as failure:
        found = {"error": {"cause": "configuration", "message": str(failure)}}
    except Unavailable as failure:
        found = {"error": {"cause": "redis", "message": str(failure)}}
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 0


def cleared(client: Redis, tenants: Sequence[str], endpoints: Sequence[str]) -> list[dict[str, Any]]:
    """Lift the blocks of these tenants and endpoints.

    Returns:
        For each of them `tenant`, `endpoint` and `blocked_for_s`, the seconds that were left of its block.

    Raises:
        Unavailable: Redis did not answer.
    """
    limiter = RedisLimiter(client)
    keys = [LimiterKey(tenant, endpoint) for tenant in tenants for endpoint in endpoints]
    return [{"tenant": key.tenant, "endpoint": key.endpoint, "blocked_for_s": limiter.clear(key)} for key in keys]


if __name__ == "__main__":
    sys.exit(main())
