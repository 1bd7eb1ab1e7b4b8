"""The table that turns an answer which is not a success into one typed error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication import refusals
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.error_bodies import is_sound
from gatepost_worker.authentication.errors import AnswerUnreadable, AuthenticationError, ProxyFailed, Refusal
from gatepost_worker.authentication.masked import Masked
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Container

    from gatepost_worker.authentication.error_bodies import ErrorBody
    from gatepost_worker.authentication.rate_limits import RateLimits

_TOO_MANY_REQUESTS: Final = 429
_CLIENT_ERRORS: Final = range(400, 500)
_PROVIDER_CODE: Final = re.compile(r"\(Code:\s*(\d{1,9})\)|gateway:\s*(\d{1,9})", re.IGNORECASE)
_MISDIALLED: Final = r"\(Code:\s*(21211|21408)\)"  # Twilio: not a valid number; region not enabled


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the error class, and what must hold for it. What a row does not name may be anything.

    Attributes:
        error: the class.
        endpoint: the endpoint called.
        statuses: the HTTP statuses.
        codes: Auth0's codes in normal form; the empty string stands for no code.
        text: a pattern found in the text, without regard to case; only ever a refinement of a code.
        coded: whether the body has an error code at all, also one that cannot be shown.
    """

    error: type[AuthenticationError]
    endpoint: Endpoint | None = None
    statuses: Container[int] | None = None
    codes: Container[str] | None = None
    text: str | None = None
    coded: bool | None = None

    def matches(self, endpoint: Endpoint, status: int, body: ErrorBody) -> bool:
        """Return whether the row describes this answer."""
        return (
            (self.endpoint is None or self.endpoint is endpoint)
            and (self.statuses is None or status in self.statuses)
            and (self.codes is None or body.normal_code in self.codes)
            and (self.coded is None or self.coded is body.coded)
            and (self.text is None or re.search(self.text, body.text, re.IGNORECASE) is not None)
        )


_START: Final = Endpoint.START
_TOKEN: Final = Endpoint.TOKEN

# The first row that matches wins. Source: the error tables of both endpoints in Auth0's reference and their SDKs.
RULES: Final[tuple[Rule, ...]] = (
    # Statuses whose meaning no code changes
    Rule(refusals.Redirected, statuses=range(300, 400)),
    Rule(ProxyFailed, statuses={407}),
    # A start is never blocked for good by a 429; a login is, by any code but that of the rate limit
    Rule(refusals.RateLimited, endpoint=_START, statuses={429}),
    Rule(refusals.RateLimited, statuses={429}, codes={"too_many_requests", ""}),
    Rule(refusals.TooManyLogins, statuses={429}, codes={"too_many_logins"}),
    Rule(refusals.TooManyAttempts, statuses={429}),
    # Server errors. 408 comes from a proxy on the way and says nothing about what lies behind it
    Rule(refusals.ResponseTypeUnsupported, codes={"unsupported_response_type"}),
    Rule(refusals.TemporarilyUnavailable, statuses={503}),
    Rule(refusals.TemporarilyUnavailable, codes={"temporarily_unavailable"}),
    Rule(refusals.ServerFailed, statuses={408, *range(500, 600)}),
    Rule(refusals.ServerFailed, codes={"server_error"}),
    # Start
    Rule(refusals.TenantRejected, codes={"bad.tenant", "invalid_tenant"}),
    Rule(refusals.ClientIdRejected, codes={"bad.client_id"}),
    Rule(refusals.SignupDisabled, codes={"bad.connection"}, text=r"sign-?\s?up"),
    Rule(refusals.ConnectionMisconfigured, codes={"bad.connection"}),
    Rule(refusals.AuthParamsRejected, codes={"bad.authparams"}),
    Rule(refusals.RequestRejected, codes={"bad.request"}),
    Rule(refusals.RecipientRejected, codes={"bad.email", "bad.phone_number"}),
    Rule(refusals.SendRejected, codes={"bad.send"}),
    Rule(refusals.ProviderMisconfigured, codes={"sms_provider_error"}, text="authentication failed"),
    Rule(refusals.ProviderTimedOut, codes={"sms_provider_error"}, text="timeout while calling"),
    Rule(refusals.ProviderRejectedRecipient, codes={"sms_provider_error"}, text=_MISDIALLED),
    Rule(refusals.ProviderFailed, codes={"sms_provider_error"}),
    # The client
    Rule(refusals.ClientRejected, codes={"invalid_client"}),
    Rule(
        refusals.ClientAuthenticationRequired, codes={"unauthorized_client"}, text="client authentication is required"
    ),
    Rule(refusals.ClientNotAuthorized, codes={"unauthorized_client"}),
    # Token
    Rule(refusals.CodeExpired, codes={"invalid_grant"}, text="code has expired"),
    Rule(refusals.CodeAttemptsExhausted, codes={"invalid_grant"}, text="maximum number of attempts"),
    Rule(refusals.CodeRejected, codes={"invalid_grant"}),
    Rule(refusals.MfaRequired, codes={"mfa_required"}),
    Rule(refusals.DpopRequired, codes={"use_dpop_nonce", "invalid_dpop_proof"}),
    Rule(refusals.ScopeRejected, codes={"invalid_scope"}),
    Rule(refusals.GrantTypeUnsupported, codes={"unsupported_grant_type"}),
    Rule(
        refusals.ConnectionMisconfigured,
        endpoint=_TOKEN,
        codes={"invalid_request"},
        text=r"connection .*(disabled|not found|not exist|not enabled|unknown)|(unknown|invalid) connection",
    ),
    Rule(
        refusals.CaptchaRequired,
        codes={"captcha_required", "requires_captcha", "requires_verification", "invalid_captcha"},
    ),
    Rule(refusals.CaptchaRequired, codes={"invalid_request", ""}, statuses=_CLIENT_ERRORS, text="captcha"),
    Rule(refusals.RequestRejected, codes={"invalid_request"}),
    # 401 access_denied is a wrong credential, except where the text says that the user is blocked; 403 is an Action or Rule
    Rule(refusals.AccessDenied, codes={"access_denied", "unauthorized"}, text="blocked"),
    Rule(refusals.ClientRejected, statuses={401}, codes={"access_denied"}),
    Rule(refusals.AccessDenied, endpoint=_TOKEN, codes={"access_denied", "unauthorized"}),
    Rule(refusals.AccessDenied, statuses={403}, codes={"access_denied"}),
    Rule(refusals.ClientRejected, statuses={401}, codes={"", "unauthorized"}),
    Rule(refusals.EndpointDisabled, statuses={404, 405}),
    Rule(refusals.EndpointDisabled, codes={"endpoint_disabled"}),
    Rule(Refusal, statuses=_CLIENT_ERRORS, coded=True),
    Rule(refusals.NotOfAuth0, statuses=_CLIENT_ERRORS),
    Rule(AnswerUnreadable),
)


def classify(
    endpoint: Endpoint,
    status: int,
    body: ErrorBody,
    *,
    rate_limits: RateLimits,
    now_epoch_s: float,
    longest_hint_s: float = LONGEST_HINT_S,
) -> AuthenticationError:
    """Return the typed error for an answer that is not a success.

    Args:
        endpoint: which endpoint answered.
        status: the HTTP status.
        body: the body, read.
        rate_limits: what the headers say of the quota.
        now_epoch_s: the clock here, in epoch seconds.
        longest_hint_s: a hint to wait longer than this, in seconds, gives way to any other.
    """
    rule = next(rule for rule in RULES if rule.matches(endpoint, status, body))
    hint = rate_limits.retry_after_s
    if status == _TOO_MANY_REQUESTS:
        hint = rate_limits.wait_s(now_epoch_s, longest_hint_s)
    error = rule.error(
        status=status,
        code=body.code,
        description=Masked(body.text) if body.text else None,
        rate_limits=rate_limits,
        retry_after_s=hint,
    )
    _add_details(error, body)
    return error


def _add_details(error: AuthenticationError, body: ErrorBody) -> None:
    if isinstance(error, (refusals.ProviderRejectedRecipient, refusals.ProviderFailed)):
        found = _PROVIDER_CODE.search(body.text)
        error.provider_code = int(found[1] or found[2]) if found else None
    if isinstance(error, refusals.MfaRequired):
        token, requirements = body.members.get("mfa_token"), body.members.get("mfa_requirements")
        error.mfa_token = Masked(token) if isinstance(token, str) and token and is_sound(token) else None
        error.mfa_requirements = requirements if isinstance(requirements, dict) and is_sound(requirements) else None
