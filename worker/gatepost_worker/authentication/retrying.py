"""The client's own retries: bounded, off by default, and only for what was surely not carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gatepost_worker.authentication.causes import Remedy
from gatepost_worker.authentication.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from gatepost_worker.authentication.configuration import RetryPolicy

R = TypeVar("R")


def call_with_retries(policy: RetryPolicy, sleep: Callable[[float], None], attempt: Callable[[], R]) -> R:
    """Return what the first attempt that succeeds gives.

    The wait is the server's hint, or nothing, and on top of it tenacity's exponential backoff with full jitter, so that a fleet does not
    come back all at once.

    Args:
        policy: whether and how often to retry.
        sleep: waits so many seconds.
        attempt: makes one HTTP attempt, its body and assertion built anew.

    Raises:
        AuthenticationError: the last attempt's failure.
    """
    if not policy.enabled:
        return attempt()
    longest = policy.max_wait.total_seconds()
    backoff = wait_random_exponential(multiplier=policy.backoff.total_seconds(), max=longest)

    def may_retry(error: BaseException) -> bool:
        return (
            isinstance(error, AuthenticationError)
            and error.remedy is Remedy.AFTER_WAIT
            and (error.retry_after_s or 0.0) <= longest
        )

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        hint = error.retry_after_s if isinstance(error, AuthenticationError) else None
        return (hint or 0.0) + backoff(state)

    retrying = Retrying(
        stop=stop_after_attempt(1 + policy.max_retries),
        wait=wait,
        retry=retry_if_exception(may_retry),
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)
