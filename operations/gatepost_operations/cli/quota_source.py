"""The quota as the limiter knows it, read through a process: only the worker's side has the limiter and may call Auth0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from gatepost_core.errors import ConfigurationError, GatepostError, Unavailable
from gatepost_operations.planning.tenant_quota import TenantQuota
from gatepost_operations.processes import Child, follow_lines, require_worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

START: Final = "passwordless/start"
TOKEN: Final = "oauth/token"  # noqa: S105 - a path, not a credential
_REPORT: Final = "gatepost_operations.planning.quota_report"
_CLEAR: Final = "gatepost_operations.maintenance.quota_clear"
_REPORT_S: Final = 60.0
_END_S: Final = 2.0


class QuotaUnreadable(GatepostError):
    """The quota could not be read."""


def read_quotas(
    tenant: str | None = None, endpoints: Sequence[str] = (START,), *, probing: bool = False
) -> tuple[list[TenantQuota], list[str]]:
    """Return what the limiter knows, and what went wrong while asking Auth0.

    Args:
        tenant: a configured tenant; all of them when absent.
        endpoints: which.
        probing: ask Auth0 where nothing is known of starts, with a request that is refused on purpose and sends nothing.

    Raises:
        ConfigurationError: the worker is not installed here, or the configuration is wrong.
        Unavailable: Redis did not answer.
        QuotaUnreadable: the report itself failed.
    """
    found = _answer(_command(tenant, endpoints, *(["--probe"] if probing else [])))
    failures = [f"{one['tenant']}: {one['message']}" for one in found["failures"]]
    return [TenantQuota.from_json(one) for one in found["quotas"]], failures


def clear_quotas(tenant: str | None = None, endpoints: Sequence[str] = (START, TOKEN)) -> list[dict[str, Any]]:
    """Lift the blocks after a 429; return `tenant`, `endpoint` and `blocked_for_s`, the seconds that were left of each block.

    Args:
        tenant: a configured tenant; all of them when absent.
        endpoints: which.

    Raises:
        ConfigurationError: the worker is not installed here, or the configuration is wrong.
        Unavailable: Redis did not answer.
        QuotaUnreadable: the process failed; blocks may have been lifted.
    """
    cleared: list[dict[str, Any]] = _answer(_command(tenant, endpoints, module=_CLEAR))["cleared"]
    return cleared


def quota_of_starts(tenant: str | None) -> tuple[TenantQuota | None, str | None]:
    """Return what is known of a tenant's starts, probed where nothing is; or None and why it cannot be read."""
    try:
        quotas, failures = read_quotas(tenant, probing=True)
    except GatepostError as failure:
        return None, str(failure)
    return quotas[0], next(iter(failures), None)


class QuotaFeed:
    """What the limiter knows of one tenant's starts, again and again, for as long as the block lasts."""

    def __init__(self, tenant: str | None, every_s: float) -> None:
        self.newest: TenantQuota | None = None
        self._child: Child | None = None
        try:
            require_worker()
        except ConfigurationError:
            return
        self._child = Child(
            "quota",
            _command(tenant, [START], "--every", str(every_s)),
            environment=os.environ,
            directory=Path.cwd(),
            stderr=subprocess.DEVNULL,
        )
        follow_lines(self._child.output, self._take)

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return
        for one in found.get("quotas", []):
            self.newest = TenantQuota.from_json(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.ask_to_end()
            self._child.wait_or_kill(_END_S)


def _answer(command: list[str]) -> dict[str, Any]:
    require_worker()
    try:
        done = subprocess.run(  # noqa: S603 - our own module and arguments, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True, timeout=_REPORT_S
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as failure:
        by_hand = " ".join(["python", *command[1:]])
        raise QuotaUnreadable(
            f"The limiter could not be read ({type(failure).__name__}); run it by hand: {by_hand}"
        ) from None
    if error := found.get("error"):
        raise (ConfigurationError if error["cause"] == "configuration" else Unavailable)(error["message"])
    return found


def _command(tenant: str | None, endpoints: Sequence[str], *options: str, module: str = _REPORT) -> list[str]:
    named = ["--tenant", tenant] if tenant else []
    chosen = [part for endpoint in endpoints for part in ("--endpoint", endpoint)]
    return [sys.executable, "-m", module, *named, *chosen, *options]
