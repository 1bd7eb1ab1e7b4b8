"""The limiter for commands that show, poll or clear quotas. It is imported when needed, because the worker is an extra."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from gatepost_core.errors import ConfigurationError, Unavailable
from gatepost_core.kinds import Endpoint
from gatepost_core.redis.connections import connect
from gatepost_operations.extras import require_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings
    from gatepost_operations.planning.limiter import LimiterQuotas
    from gatepost_operations.planning.tenant_quota import TenantQuota


@contextmanager
def open_limiter(settings: Settings) -> Iterator[LimiterQuotas]:
    """Give the limiter's quotas.

    Raises:
        ConfigurationError: the worker is not installed.
    """
    require_worker()
    module = import_module("gatepost_operations.planning.limiter")
    with connect(settings) as client:
        yield module.LimiterQuotas(settings, client)


@contextmanager
def poll_quota(
    settings: Settings, tenant: str | None, *, every_s: float, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], TenantQuota | None]]:
    """Give a function that returns the quota of a tenant's starts. It reads Redis at most once in `every_s` seconds.

    It returns None when the worker is not installed, and the last quota while Redis does not answer.
    """
    try:
        require_worker()
    except ConfigurationError:
        yield lambda: None
        return
    newest: TenantQuota | None = None
    read_at: float | None = None

    with open_limiter(settings) as limiter:

        def quota() -> TenantQuota | None:
            nonlocal newest, read_at
            if read_at is None or monotonic() - read_at >= every_s:
                read_at = monotonic()
                with suppress(ConfigurationError, Unavailable):
                    [newest], _ = limiter.read(settings.tenant_name(tenant), [Endpoint.START])
            return newest

        yield quota
