"""From a terminal outcome to the exception that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core import errors
from gatepost_core.states import Reason, State

if TYPE_CHECKING:
    from gatepost_core.outcomes import Outcome

_BY_REASON: Final[dict[Reason, type[errors.OperationFailed]]] = {
    Reason.RECIPIENT_REJECTED: errors.RecipientRejected,
    Reason.SIGNUP_DISABLED: errors.RecipientRejected,
    Reason.PROVIDER_REJECTED_RECIPIENT: errors.RecipientRejected,
    Reason.REQUEST_REJECTED: errors.RequestRejected,
    Reason.CONNECTION_MISCONFIGURED: errors.ClientMisconfigured,
    Reason.PROVIDER_MISCONFIGURED: errors.ClientMisconfigured,
    Reason.TENANT_MISCONFIGURED: errors.ClientMisconfigured,
    Reason.CREDENTIAL_MISSING: errors.ClientMisconfigured,
    Reason.CLIENT_REJECTED: errors.ClientMisconfigured,
    Reason.CLIENT_NOT_AUTHORIZED: errors.ClientMisconfigured,
    Reason.CAPTCHA_REQUIRED: errors.CaptchaRequired,
    Reason.CODE_REJECTED: errors.CodeRejected,
    Reason.CODE_EXPIRED: errors.CodeExpired,
    Reason.CODE_ATTEMPTS_EXHAUSTED: errors.CodeAttemptsExhausted,
    Reason.MFA_REQUIRED: errors.MfaRequired,
    Reason.ACCESS_DENIED: errors.AccessDenied,
    Reason.TOO_MANY_ATTEMPTS: errors.TooManyAttempts,
    Reason.DPOP_REQUIRED: errors.ClientMisconfigured,
    Reason.ENDPOINT_DISABLED: errors.ClientMisconfigured,
    Reason.REFUSED_BY_AUTH0: errors.Rejected,
    Reason.ANSWER_NOT_UNDERSTOOD: errors.AnswerRejected,
    Reason.TOKEN_INVALID: errors.AnswerRejected,
    Reason.TOKEN_NOT_VERIFIED: errors.AnswerRejected,
    Reason.NOT_REACHED: errors.AttemptsExhausted,
    Reason.DEADLINE_PASSED: errors.DeadlinePassed,
    Reason.ANSWER_LOST: errors.OutcomeUnknown,
    Reason.SERVER_FAILED: errors.OutcomeUnknown,
    Reason.PROVIDER_SILENT: errors.OutcomeUnknown,
    Reason.WORKER_LOST: errors.OutcomeUnknown,
    Reason.BACKUP_RESTORED: errors.OutcomeUnknown,
    Reason.CANCELLED_BY_CALLER: errors.Cancelled,
    Reason.ON_SUPPRESSION_LIST: errors.Suppressed,
    Reason.NOT_ON_GUEST_LIST: errors.Suppressed,
}


def failure_of(
    operation_id: str, reason: Reason, detail: str | None = None, state: State | None = None
) -> errors.OperationFailed:
    """Return the exception for a reason, or `OutcomeUnknown` for any reason in the state `unknown`."""
    chosen = errors.OutcomeUnknown if state is State.UNKNOWN else _BY_REASON[reason]
    return chosen(operation_id, reason.value, detail)


def failure_of_outcome(outcome: Outcome) -> errors.OperationFailed | None:
    """Return the typed error of a terminal outcome; None for one that is accepted or not terminal."""
    if not outcome.state.is_terminal or outcome.reason is None:
        return None
    return failure_of(outcome.operation_id, outcome.reason, outcome.detail, outcome.state)


def raise_for_outcome(outcome: Outcome) -> None:
    """Raise the typed error of a terminal outcome that is not `accepted`; otherwise do nothing.

    Raises:
        OperationFailed: the subclass that the outcome's reason names.
    """
    failure = failure_of_outcome(outcome)
    if failure is not None:
        raise failure
