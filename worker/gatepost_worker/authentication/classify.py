"""Classifies a response that is not a success: a table of rules gives its typed error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from gatepost_worker.authentication import refusals
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import AnswerUnreadable, AuthenticationError, ProxyFailed, Refusal
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S
from gatepost_worker.authentication.response_bodies import is_storable

if TYPE_CHECKING:
    from collections.abc import Container

    from gatepost_worker.authentication.rate_limits import RateLimits
    from gatepost_worker.authentication.response_bodies import ErrorBody

_TOO_MANY_REQUESTS: Final = 429
_CLIENT_ERRORS: Final = range(400, 500)
_PROVIDER_CODE: Final = re.compile(r"\(Code:\s*(\d{1,9})\)|gateway:\s*(\d{1,9})", re.IGNORECASE)
_UNDELIVERABLE: Final = r"\(Code:\s*(21211|21408)\)"  # Twilio: not a valid number; region not enabled


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: an error class and its conditions. A condition of None always holds.

    Attributes:
        error: the error class.
        endpoint: the endpoint called.
        statuses: the HTTP statuses.
        codes: Auth0's codes in normal form; the empty string means no code.
        text: a pattern in the text, without regard to case. Auth0's texts may change, so it only refines a code.
        coded: whether the body has an error code, safe to show or not.
    """

    error: type[AuthenticationError]
    endpoint: Endpoint | None = None
    statuses: Container[int] | None = None
    codes: Container[str] | None = None
    text: str | None = None
    coded: bool | None = None

    def matches(self, endpoint: Endpoint, status: int, body: ErrorBody) -> bool:
        """Return whether the conditions hold for a response."""
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
    # Statuses that have one meaning, whatever the code
    Rule(refusals.Redirected, statuses=range(300, 400)),
    Rule(ProxyFailed, statuses={407}),
    # A 429 of a start is always the rate limit. A 429 of a login with another code is attack protection
    Rule(refusals.RateLimited, endpoint=_START, statuses={429}),
    Rule(refusals.RateLimited, statuses={429}, codes={"too_many_requests", ""}),
    Rule(refusals.TooManyLogins, statuses={429}, codes={"too_many_logins"}),
    Rule(refusals.TooManyAttempts, statuses={429}),
    # Server errors. A 408 comes from a proxy and does not tell whether Auth0 received the request
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
    Rule(refusals.ProviderRejectedRecipient, codes={"sms_provider_error"}, text=_UNDELIVERABLE),
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
    # 401 access_denied means a wrong credential, or a blocked user if the text says so; 403 means an Action or a Rule
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
    """Return the typed error for a response that is not a success.

    Args:
        endpoint: the endpoint called.
        status: the HTTP status.
        body: the parsed body.
        rate_limits: the quota that the headers state.
        now_epoch_s: the local clock, in epoch seconds.
        longest_hint_s: of two hints to wait, one that is longer than this, in seconds, is ignored.
    """
    rule = next(rule for rule in RULES if rule.matches(endpoint, status, body))
    hint = rate_limits.retry_after_s
    if status == _TOO_MANY_REQUESTS:
        hint = rate_limits.wait_s(now_epoch_s, longest_hint_s)
    error = rule.error(
        status=status,
        code=body.code,
        description=SecretStr(body.text) if body.text else None,
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
        error.mfa_token = SecretStr(token) if isinstance(token, str) and token and is_storable(token) else None
        error.mfa_requirements = requirements if isinstance(requirements, dict) and is_storable(requirements) else None
