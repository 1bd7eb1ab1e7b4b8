"""Errors as RFC 9457 problems. They name fields by JSON pointers (RFC 6901) and never repeat a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.responses import JSONResponse

from gatepost_core import errors
from gatepost_core.dead_letters import DeadLetterNotFound
from gatepost_core.error_boundary import account
from gatepost_core.reasons import Reason
from gatepost_operations.files.text_reader import FileError
from gatepost_operations.maintenance.cancellation import NotCancelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:gatepost:problem:"
_RETRY_S: Final = 5
_log = structlog.stdlib.get_logger("gatepost.api")


@dataclass(frozen=True, slots=True)
class Entry:
    """A type of problem: its name, status and title, and when it occurs, for the documentation."""

    name: str
    status: int
    title: str
    when: str


class Type(Enum):
    """The types of problems."""

    MALFORMED = Entry(
        "malformed", 400, "The request cannot be read.", "The body is not JSON, or a header is malformed."
    )
    NO_KEY = Entry("no-key", 401, "A valid API key is needed.", "The key is missing, wrong or revoked.")
    NOT_ALLOWED = Entry(
        "not-allowed",
        403,
        "The API key does not allow this.",
        "The key does not have the scope, kind, tenant, domain or country that the request needs.",
    )
    WRONG_REDEEM_TOKEN = Entry(
        "wrong-redeem-token",
        403,
        "The redeem token does not belong to this login.",
        "The API did not return the token set.",
    )
    NOT_FOUND = Entry(
        "not-found",
        404,
        "There is no such resource.",
        "The resource never existed, has expired, or belongs to another API key. A token set expires together with its login.",
    )
    METHOD = Entry(
        "method-not-allowed",
        405,
        "The resource does not have this method.",
        "The header `Allow` lists the methods of the resource.",
    )
    TOO_SLOW = Entry(
        "too-slow",
        408,
        "The body came too slowly.",
        "No data arrived for a minute, or the body was slower than 500 bytes per second. In an upload, rows that have already arrived stay in the campaign.",
    )
    CONFLICT = Entry("conflict", 409, "The current state does not allow this.", "`detail` says why.")
    RECORD_GONE = Entry(
        "record-gone",
        409,
        "The record of the message or login was lost.",
        "The outcome of the first request with this idempotency key is therefore not known. This request sent nothing.",
    )
    NOT_FINISHED = Entry(
        "not-finished", 409, "The login has not ended.", "Ask again later, for example with `Prefer: wait=20`."
    )
    NOT_ACCEPTED = Entry(
        "not-accepted",
        409,
        "The login was not accepted.",
        "There is no token set. `reason` says why, and `advice` says what to do.",
    )
    NOTHING_TO_REDEEM = Entry(
        "nothing-to-redeem",
        410,
        "There is nothing to redeem.",
        "The token set was redeemed or deleted before, or the operation is not a login.",
    )
    TOO_LARGE = Entry("too-large", 413, "The request is too large.", "`detail` gives the limit.")
    MEDIA = Entry(
        "unsupported-media-type", 415, "The body has another media type.", "`detail` lists the accepted types."
    )
    INVALID = Entry("invalid", 422, "A field is not valid.", "`errors` names each wrong field.")
    KEY_REUSED = Entry(
        "idempotency-key-reused",
        422,
        "The idempotency key was used with another request.",
        "This request sent nothing.",
    )
    QUOTA = Entry(
        "quota-exceeded",
        429,
        "A limit of the HTTP API is reached.",
        "`violated-policies` names the limit. `Retry-After` gives the seconds to wait.",
    )
    INTERNAL = Entry(
        "internal",
        500,
        "The API failed.",
        "The log of the API has an entry with the type of the error and the line of code.",
    )
    UNAVAILABLE = Entry(
        "unavailable",
        503,
        "Redis does not answer.",
        "The API may have stored the request already, so repeat it with the same idempotency key.",
    )
    MISCONFIGURED = Entry(
        "misconfigured", 503, "The service is not configured correctly.", "The log of the API names the setting."
    )

    @property
    def uri(self) -> str:
        """The URI of the type."""
        return f"{_URN}{self.value.name}"


class Problem(errors.GatepostError):
    """An error that a request is answered with. One that an upload raises leaves the reader of files unchanged.

    Attributes:
        type: its type.
        detail: a sentence about this occurrence, without values of the request.
        errors: wrong fields, each with `pointer` or `parameter`, and `detail`.
        more: further members.
        headers: headers of the answer.
    """

    def __init__(
        self,
        kind: Type,
        detail: str | None = None,
        *,
        errors: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(kind.value.name)
        self.type, self.detail, self.errors = kind, detail, [dict(one) for one in errors]
        self.headers, self.more = dict(headers or {}), dict(more or {})

    @property
    def document(self) -> dict[str, Any]:
        """The problem as JSON values."""
        entry = self.type.value
        document: dict[str, Any] = {"type": self.type.uri, "title": entry.title, "status": entry.status}
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = self.errors
        return document | self.more

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse(self.document, self.type.value.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem_of(error: BaseException, pointer: str = "") -> Problem:
    """Return the problem that an error is answered with.

    Args:
        error: the error.
        pointer: the JSON pointer of the part of the body that it concerns.
    """
    match error:
        case Problem():
            return error
        case errors.InvalidCommand():
            return Problem(Type.INVALID, errors=[_field(one, pointer) for one in error.problems])
        case errors.TenantMissing():
            return Problem(Type.INVALID, errors=[{"pointer": f"{pointer}/tenant", "detail": "is not configured"}])
        case errors.OperationFailed():
            reason = Reason(error.reason)
            return Problem(Type.NOT_ACCEPTED, more={"reason": reason.value, "advice": reason.advice})
    kind = next((kind for one, kind in _BY_CLASS.items() if isinstance(error, one)), Type.INTERNAL)
    if kind is Type.INTERNAL:
        # The text of other errors can quote a person.
        _log.error("api.failed", error=account(error))
    if kind is Type.MISCONFIGURED:
        _log.error("api.misconfigured", error=str(error))
    headers = {"Retry-After": str(_RETRY_S)} if kind is Type.UNAVAILABLE else None
    return Problem(kind, str(error) if kind in _EXPLAINED else None, headers=headers)


# The first class that fits.
_BY_CLASS: Final[dict[type[BaseException], Type]] = {
    errors.InvalidValue: Type.INVALID,
    FileError: Type.INVALID,
    errors.CampaignNotFound: Type.NOT_FOUND,
    errors.OperationNotFound: Type.NOT_FOUND,
    DeadLetterNotFound: Type.NOT_FOUND,
    errors.CampaignConflict: Type.CONFLICT,
    NotCancelled: Type.CONFLICT,
    errors.WrongApplication: Type.CONFLICT,
    errors.IdempotencyConflict: Type.KEY_REUSED,
    errors.RecordGone: Type.RECORD_GONE,
    errors.NotFinished: Type.NOT_FINISHED,
    errors.NothingToRedeem: Type.NOTHING_TO_REDEEM,
    errors.WrongRedeemToken: Type.WRONG_REDEEM_TOKEN,
    errors.ConfigurationError: Type.MISCONFIGURED,
    errors.Unavailable: Type.UNAVAILABLE,
}
# Their text is written for the caller, and quotes nothing of the request.
_EXPLAINED: Final = frozenset({Type.INVALID, Type.CONFLICT, Type.NOTHING_TO_REDEEM})


def _field(error: errors.FieldError, pointer: str) -> dict[str, str]:
    # A problem of the whole command has no field.
    place = "" if " " in error.field or error.field == "command" else f"/{error.field.replace('.', '/')}"
    return {"pointer": f"{pointer}{place}", "detail": error.problem.replace("Input should", "must")}
