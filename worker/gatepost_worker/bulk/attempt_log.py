"""The log of a batch's attempts: a line for each that did not simply succeed, and at the level DEBUG for every one."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from gatepost_core.error_boundary import account
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_core.states import State

if TYPE_CHECKING:
    from gatepost_core.campaigns.row import Row
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_worker.bulk.sending import Sent

_log = structlog.stdlib.get_logger("gatepost.worker")


class AttemptLog:
    """Logs the attempts of one batch. A settlement survives a failure to log it."""

    def __init__(self, batch: str, tenant: str | None, fingerprints: Fingerprints) -> None:
        """Begin.

        Args:
            batch: begins each correlation id.
            tenant: the tenant's name.
            fingerprints: show recipients.
        """
        self._batch = batch
        self._tenant = tenant
        self._fingerprints = fingerprints
        self.logs_successes = logging.getLogger("gatepost.worker").isEnabledFor(logging.DEBUG)

    def write(self, row: Row, result: Sent) -> None:
        """Log one attempt."""
        with suppress(Exception):
            self._write(row, result)

    def _write(self, row: Row, result: Sent) -> None:
        settled, failure, wait = result.settlement, result.failure, result.wait
        correlation_id = f"{self._batch}:{settled.row}"
        if result.unforeseen is not None:
            _log.error("row.failed_unexpectedly", correlation_id=correlation_id, failure=account(result.unforeseen))
        _log.log(
            logging.DEBUG if settled.state is State.ACCEPTED else logging.INFO,
            "attempt.finished",
            command=CAMPAIGN_KINDS[row.kind].value,
            tenant=self._tenant,
            correlation_id=correlation_id,
            recipient=self._fingerprints.log(row.recipient),
            attempt=settled.attempts,
            state=settled.state.value,
            reason=settled.reason and settled.reason.value,
            auth0_code=failure and failure.code,
            http_status=settled.http_status,
            wait_ms=0 if wait is None else int(wait.total_seconds() * 1000),
        )
