"""Every exception that Gatepost raises on the producer's side.

    GatepostError
    ├── InvalidCommand            a field is not valid; the message names it, never its value
    ├── InvalidValue              a value is not valid; the message never repeats it
    ├── ConfigurationError        the configuration is not usable; the message names the setting
    │   ├── KeyMismatch           … a sealing or fingerprint key differs from the workers'
    │   ├── TenantMissing         … no tenant of that name is configured
    │   └── WrongApplication      … work is for another Auth0 application
    ├── Unavailable               Redis did not answer; nothing is sent now
    │   ├── Unusable              … and is unusable until the configuration is corrected; a ConfigurationError too
    │   └── CorruptRecord         … or a record in it is damaged
    │       └── NewerForm         … or was written by a newer version; a SealError too
    ├── SealError                 a sealed value does not open
    │   └── UnknownKey            … because its key is not in the ring
    ├── CampaignNotFound          never created, or deleted
    ├── CampaignConflict          the campaign's status or options do not allow it
    │   └── TooManyChanges        … or others keep changing its options; try again
    ├── IdempotencyConflict       the key was used with another command
    ├── RecordGone                the key is known, its operation's record was lost; nothing is sent
    ├── OperationNotFound         never recorded, or its record has expired
    ├── NotFinished               no terminal state within the timeout
    ├── ProducerClosed            the producer was closed, before the call or while it waited
    ├── NothingToRedeem           redeemed before, expired, or not a login; `why` says which
    ├── WrongRedeemToken          the redeem token is missing or is not that of the login; nothing was redeemed
    ├── Unforeseen                a fault in Gatepost; the message names the error's class and place, never its text
    └── OperationFailed           the operation ended, and not in `accepted`
        ├── Rejected              Auth0 refused the request
        │   ├── RecipientRejected · RequestRejected · CaptchaRequired · AccessDenied · TooManyAttempts
        │   ├── ClientMisconfigured
        │   ├── CodeRejected ── CodeExpired · CodeAttemptsExhausted
        │   ├── MfaRequired
        │   └── AnswerRejected    the answer cannot be trusted or understood
        ├── AttemptsExhausted     no attempt reached Auth0
        ├── DeadlinePassed        the deadline passed before an attempt
        ├── OutcomeUnknown        it may have been carried out
        ├── Cancelled
        └── Suppressed

Nine subclasses of `Rejected` share their names with errors in `gatepost_worker.authentication`. Those concern one HTTP call and hold its
response. These concern a whole operation, and are built from its stored reason.

`OperationFailed` is made from JSON values only (operation id, reason, Auth0's code), so that Celery's JSON result backend can carry it from
the worker to `AsyncResult.get()`.

No error refers to frames or to another error, because an error tracker would show their locals, with personal data and secrets. See
`gatepost_core.error_boundary`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gatepost_core.reasons import Reason
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydantic import SecretStr

__all__ = [  # the public ones, as `gatepost.errors`
    "AccessDenied", "AnswerRejected", "AttemptsExhausted", "CampaignConflict", "CampaignNotFound", "Cancelled",
    "CaptchaRequired", "ClientMisconfigured", "CodeAttemptsExhausted", "CodeExpired", "CodeRejected",
    "ConfigurationError", "CorruptRecord", "DeadlinePassed", "GatepostError", "IdempotencyConflict", "InvalidCommand",
    "InvalidValue", "KeyMismatch", "MfaRequired", "NewerForm", "NotFinished", "NothingToRedeem", "OperationFailed",
    "OperationNotFound", "OutcomeUnknown", "ProducerClosed", "RecipientRejected", "RecordGone", "Rejected",
    "RequestRejected", "SealError", "Suppressed", "TenantMissing", "TooManyAttempts", "TooManyChanges", "Unavailable",
    "Unforeseen", "UnknownKey", "Unusable", "WrongApplication", "WrongRedeemToken",
]  # fmt: skip


class GatepostError(Exception):
    """Something in Gatepost went wrong."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or (type(self).__doc__,)))


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field that is not valid: its name and the problem, never its value."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class InvalidCommand(GatepostError, ValueError):
    """The command is not valid."""

    def __init__(self, problems: Sequence[FieldError | Sequence[str]]) -> None:
        self.problems = [p if isinstance(p, FieldError) else FieldError(*p) for p in problems]
        # Plain JSON, for Celery's result backend.
        super().__init__([[p.field, p.problem] for p in self.problems])

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


class InvalidValue(GatepostError, ValueError):
    """The value cannot be used."""


class ConfigurationError(GatepostError):
    """The configuration is not usable."""


class TenantMissing(ConfigurationError):
    """No tenant of that name is configured.

    Attributes:
        tenant: the name.
    """

    def __init__(self, *args: object, tenant: str = "") -> None:
        super().__init__(*args)
        self.tenant = tenant


class WrongApplication(ConfigurationError):
    """The work is for another Auth0 application than this configuration's.

    Attributes:
        applications: the application of the work and the application of this configuration.
    """

    def __init__(self, *args: object, applications: str = "") -> None:
        super().__init__(*args)
        self.applications = applications


class KeyMismatch(ConfigurationError):
    """The workers' keys differ.

    Attributes:
        kids: the ids of the sealing keys that differ.
    """

    def __init__(self, message: str | None = None, kids: tuple[str, ...] = ()) -> None:
        super().__init__(*([message] if message else []))
        self.kids = kids


class Unavailable(GatepostError):
    """Redis did not answer. Nothing is sent now, but the command may have been recorded."""


class Unusable(ConfigurationError, Unavailable):
    """Redis is unusable until its configuration or Gatepost's is corrected."""


class CorruptRecord(Unavailable):
    """A record in Redis is damaged or was written by another program; Redis itself works."""


class SealError(GatepostError):
    """A sealed value does not open: it was changed, or moved from another place."""


class NewerForm(SealError, CorruptRecord):
    """A newer version of Gatepost wrote a value in a form that this version does not know. It was left as it is; upgrade this process."""


class UnknownKey(SealError):
    """A sealed value names a key that is not in the ring.

    Attributes:
        kid: the key's id.
    """

    def __init__(self, *args: object, kid: str = "") -> None:
        super().__init__(*args)
        self.kid = kid


class CampaignNotFound(GatepostError):
    """The campaign does not exist; it may have been deleted."""


class CampaignConflict(GatepostError):
    """The campaign's status does not allow this."""


class TooManyChanges(CampaignConflict):
    """The campaign's options kept changing, so nothing was changed; try again."""


class IdempotencyConflict(GatepostError):
    """The idempotency key, or the id of a submission's task, was used before with another command."""


class RecordGone(GatepostError):
    """The idempotency key or seal was used before, but the record of its operation was lost, so its outcome is unknown. Nothing is sent; to send anyway, use another key."""


class OperationNotFound(GatepostError):
    """There is no such operation; its record may have expired."""


class NotFinished(GatepostError, TimeoutError):
    """The operation has no terminal state yet."""


class ProducerClosed(GatepostError):
    """The producer is closed; create another. Recorded operations continue."""


class Absence(StrEnum):
    """Why there is nothing to redeem."""

    REDEEMED = "redeemed"
    EXPIRED = "expired"
    NOT_A_LOGIN = "not_a_login"


class NothingToRedeem(GatepostError):
    """There is nothing to redeem.

    Attributes:
        why: `redeemed`, `expired` or `not_a_login`.
        redeemed_at: when it was redeemed, in UTC; None if it was not.
    """

    def __init__(self, why: Absence | str = Absence.EXPIRED, redeemed_at: datetime | None = None) -> None:
        super().__init__(why, redeemed_at)
        self.why = Absence(why)
        self.redeemed_at = redeemed_at

    def __str__(self) -> str:
        match self.why:
            case Absence.REDEEMED:
                at = f" at {self.redeemed_at:%Y-%m-%d %H:%M:%S} UTC" if self.redeemed_at else ""
                return f"The result was redeemed before{at}, and redeeming deleted it. To get tokens, log in again."
            case Absence.EXPIRED:
                return "The result has expired, or an erasure deleted it. To get tokens, log in again."
            case Absence.NOT_A_LOGIN:
                return "The operation is not a login, so it has no token set."


class WrongRedeemToken(GatepostError):
    """The redeem token is not that of this login. Nothing was redeemed. Use the handle's reference, which has the token."""


class Unforeseen(GatepostError):
    """Gatepost failed unexpectedly. The command may have been carried out: repeat it with the same idempotency key.

    Attributes:
        account: the error's class and the places it passed through.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"Gatepost failed unexpectedly ({self.account}). Please report it. The command may have been recorded; repeat it only with the same idempotency key."


class OperationFailed(GatepostError):
    """The operation ended, and not in `accepted`.

    Attributes:
        operation_id: which operation.
        reason: a value of `gatepost_core.reasons.Reason`.
        detail: Auth0's error code, if it gave one; for `token_invalid`, the claim that failed.
    """

    def __init__(self, operation_id: str, reason: str, detail: str | None = None) -> None:
        super().__init__(operation_id, reason, detail)
        self.operation_id = operation_id
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        code = f" ({said(self.reason, self.detail)})" if self.detail else ""
        try:
            advice = Reason(self.reason).advice
        except ValueError:
            # A worker of a later version may store a new reason.
            advice = "This version does not know the reason; upgrade it."
        return f"{self.reason}{code}: {advice} Operation {self.operation_id}."


def said(reason: str, detail: str) -> str:
    """Return an outcome's detail with its source: an error code of Auth0, or a claim of the id_token."""
    return f"claim: {detail}" if reason == Reason.TOKEN_INVALID else f"Auth0: {detail}"


class Rejected(OperationFailed):
    """Auth0 refused the request.

    Attributes:
        description: Auth0's message, such as an Action's reason to deny the login, if `redeem()` raised this; otherwise None.
    """

    description: SecretStr | None = None


class RecipientRejected(Rejected):
    """Auth0 or the message provider refused the address or number."""


class RequestRejected(Rejected):
    """Auth0 refused a field of the request."""


class CaptchaRequired(Rejected):
    """Bot detection asks for a captcha."""


class AccessDenied(Rejected):
    """An Action, a Rule or a block on the user denied the login."""


class TooManyAttempts(Rejected):
    """Attack protection blocks this person or IP address."""


class ClientMisconfigured(Rejected):
    """The credential, grant, connection, provider or tenant must be corrected first."""


class CodeRejected(Rejected):
    """The code is wrong, used or replaced."""


class CodeExpired(CodeRejected):
    """The code has expired."""


class CodeAttemptsExhausted(CodeRejected):
    """The code was tried too often."""


class MfaRequired(Rejected):
    """Auth0 asks for a second factor.

    Attributes:
        challenge: the MFA challenge, if `redeem()` raised this; otherwise None.
    """

    challenge: Any = None


class AnswerRejected(Rejected):
    """Auth0's answer cannot be trusted or understood."""


class AttemptsExhausted(OperationFailed):
    """No attempt reached Auth0."""


class DeadlinePassed(OperationFailed):
    """The deadline passed before an attempt was made."""


class OutcomeUnknown(OperationFailed):
    """The request may have been carried out; it is not repeated."""


class Cancelled(OperationFailed):
    """The operation was cancelled before it was sent."""


class Suppressed(OperationFailed):
    """Nothing was sent, because of a suppression or guest list."""


# Applications import them from `gatepost.errors`, and stored results name that module.
for _error in [
    error for error in list(globals().values()) if isinstance(error, type) and issubclass(error, GatepostError)
]:
    _error.__module__ = "gatepost.errors"


def failure_of(
    operation_id: str, reason: Reason, detail: str | None = None, state: State | None = None
) -> OperationFailed:
    """Return the error of a reason; `OutcomeUnknown` if the state is `unknown`."""
    error: type[OperationFailed] = OutcomeUnknown if state is State.UNKNOWN else globals()[reason.error]
    return error(operation_id, reason.value, detail)
