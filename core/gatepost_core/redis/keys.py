"""The keys under which operations stand in Redis: built here, and nowhere else."""

from __future__ import annotations

from typing import Final

_OPERATION: Final = "gatepost:operation:"
DUE: Final = "gatepost:operations:due"
COUNTS: Final = "gatepost:operations:counts"
KIDS: Final = "gatepost:kids"
"""The key of the sealing keys' ids that stored values need, each with when it sealed one last."""
KEY_CHECKS: Final = "gatepost:key_checks"
"""The key of the check values of the workers' keys."""
RECONCILER_LAST_RUN: Final = "gatepost:reconciler:last"
"""The key that holds when the reconciler last ran, in milliseconds since the epoch."""


def operation_key(operation_id: str) -> str:
    """Return the key of an operation's record, which is also the channel its end is published on."""
    return f"{_OPERATION}{operation_id}"


def operation_id_of(key: str) -> str:
    """Return the id in the key of an operation's record."""
    return key.removeprefix(_OPERATION)


def result_key(operation_id: str) -> str:
    """Return the key of an operation's sealed result."""
    return f"gatepost:result:{operation_id}"


def idempotency_key(fingerprint: str) -> str:
    """Return the key under which an idempotency key's fingerprint names its operation."""
    return f"gatepost:idempotency:{fingerprint}"


def recipient_key(fingerprint: str) -> str:
    """Return the key of the index that names one recipient's operations, for as long as their records live."""
    return f"gatepost:recipient:{fingerprint}"


def celery_result_key(operation_id: str) -> str:
    """Return the key of Celery's own copy of the result; a task's id is its operation's."""
    return f"celery-task-meta-{operation_id}"
