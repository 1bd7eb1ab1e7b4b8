"""The errors for responses that refuse a start or a token call: one class for each cause.

    Refusal                                  the response is not a success
    ├── the request        RecipientRejected · RequestRejected · AuthParamsRejected · SendRejected · ScopeRejected
    │                      SignupDisabled · CaptchaRequired
    ├── the configuration  TenantRejected · ClientIdRejected · ClientRejected · ClientAuthenticationRequired
    │                      ClientNotAuthorized · ConnectionMisconfigured · GrantTypeUnsupported
    │                      ResponseTypeUnsupported · EndpointDisabled · DpopRequired
    ├── the provider       ProviderRejectedRecipient · ProviderMisconfigured
    │                      ProviderFailed ── ProviderTimedOut
    ├── the login          CodeRejected ── CodeExpired · CodeAttemptsExhausted
    │                      MfaRequired · AccessDenied · TooManyAttempts ── TooManyLogins
    ├── the server         RateLimited · ServerFailed ── TemporarilyUnavailable
    └── something else     Redirected · NotOfAuth0

A 4xx with an unlisted error code is a plain `Refusal`, one without a code is `NotOfAuth0`. `classify` chooses the class.

Nine of these names also exist in `gatepost.errors`, for the operation that ended with this refusal: RecipientRejected, RequestRejected,
CaptchaRequired, AccessDenied, TooManyAttempts, CodeRejected, CodeExpired, CodeAttemptsExhausted and MfaRequired. The worker catches the class
here, which knows the HTTP response, and stores a reason; an application gets the class there, built from that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication.error_attributes import Cause, Remedy
from gatepost_worker.authentication.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

__all__ = [
    "AccessDenied", "AuthParamsRejected", "CaptchaRequired", "ClientAuthenticationRequired", "ClientIdRejected",
    "ClientNotAuthorized", "ClientRejected", "CodeAttemptsExhausted", "CodeExpired", "CodeRejected",
    "ConnectionMisconfigured", "DpopRequired", "EndpointDisabled", "GrantTypeUnsupported", "MfaRequired",
    "NotOfAuth0", "ProviderFailed", "ProviderMisconfigured", "ProviderRejectedRecipient", "ProviderTimedOut",
    "RateLimited", "RecipientRejected", "Redirected", "RequestRejected", "ResponseTypeUnsupported", "ScopeRejected",
    "SendRejected", "ServerFailed", "SignupDisabled", "TemporarilyUnavailable", "TenantRejected", "TooManyAttempts",
    "TooManyLogins",
]  # fmt: skip


class RecipientRejected(Refusal):
    """Auth0 refused the address or number; correct it, or leave it out."""

    cause = Cause.RECIPIENT_REJECTED


class RequestRejected(Refusal):
    """Auth0 refused the request as malformed or incomplete; check connection or realm and every extra field."""

    cause = Cause.REQUEST_REJECTED


class AuthParamsRejected(Refusal):
    """Auth0 refused authParams; it must be an object."""

    cause = Cause.AUTH_PARAMS_REJECTED


class SendRejected(Refusal):
    """Auth0 refused send; it must be link or code."""

    cause = Cause.SEND_REJECTED


class ScopeRejected(Refusal):
    """Auth0 refused the scope; ask for scopes that the API defines and the client may have."""

    cause = Cause.SCOPE_REJECTED


class SignupDisabled(Refusal):
    """The user does not exist and the connection allows no sign-ups; create the user first or allow sign-ups."""

    cause = Cause.SIGNUP_DISABLED


class CaptchaRequired(Refusal):
    """Bot detection asks for a captcha, which a worker cannot solve; set it to Never for passwordless, or allow this IP address."""

    cause = Cause.CAPTCHA_REQUIRED


class TenantRejected(Refusal):
    """Auth0 does not know the tenant; check the domain."""

    cause = Cause.TENANT_REJECTED
    remedy = Remedy.AFTER_FIX


class ClientIdRejected(Refusal):
    """Auth0 does not accept the client id; check it."""

    cause = Cause.CLIENT_ID_REJECTED
    remedy = Remedy.AFTER_FIX


class ClientRejected(Refusal):
    """Auth0 refused the client's credential; check the client secret, or the signing key, its algorithm and the clock."""

    cause = Cause.CLIENT_REJECTED
    remedy = Remedy.AFTER_FIX


class ClientAuthenticationRequired(Refusal):
    """Auth0 requires client authentication; configure a client secret or a signing key."""

    cause = Cause.CLIENT_AUTHENTICATION_REQUIRED
    remedy = Remedy.AFTER_FIX


class ClientNotAuthorized(Refusal):
    """The application may not do this; enable its Passwordless OTP grant and the identifier-first login profile."""

    cause = Cause.CLIENT_NOT_AUTHORIZED
    remedy = Remedy.AFTER_FIX


class ConnectionMisconfigured(Refusal):
    """The connection does not exist, is disabled or is not passwordless; enable it for the application."""

    cause = Cause.CONNECTION_MISCONFIGURED
    remedy = Remedy.AFTER_FIX


class GrantTypeUnsupported(Refusal):
    """The tenant does not support the passwordless OTP grant; enable it."""

    cause = Cause.GRANT_TYPE_UNSUPPORTED
    remedy = Remedy.AFTER_FIX


class ResponseTypeUnsupported(Refusal):
    """Auth0 does not support the response type; check response_type in authParams and the tenant's settings."""

    cause = Cause.RESPONSE_TYPE_UNSUPPORTED
    remedy = Remedy.AFTER_FIX


class EndpointDisabled(Refusal):
    """The endpoint does not exist or is switched off; check the domain, the base URL and the tenant's settings."""

    cause = Cause.ENDPOINT_DISABLED
    remedy = Remedy.AFTER_FIX


class DpopRequired(Refusal):
    """The API requires DPoP, which this client does not support; use an API without sender constraining."""

    cause = Cause.DPOP_REQUIRED
    remedy = Remedy.AFTER_FIX


class Redirected(Refusal):
    """A redirect was not followed; the request may have been carried out. Check the domain, the base URL and any proxy."""

    cause = Cause.REDIRECTED
    remedy = Remedy.AMBIGUOUS


class NotOfAuth0(Refusal):
    """The response refuses the request but does not come from Auth0; check the domain and any proxy."""

    cause = Cause.NOT_OF_AUTH0


class ProviderRejectedRecipient(Refusal):
    """The message provider refused the number (invalid, or its region is not enabled); correct it or enable it there.

    Attributes:
        provider_code: the provider's error code, such as Twilio's 21211.
    """

    cause = Cause.PROVIDER_REJECTED_RECIPIENT
    provider_code: int | None = None


class ProviderMisconfigured(Refusal):
    """Auth0 could not sign in at the message provider; renew its credentials in Auth0."""

    cause = Cause.PROVIDER_MISCONFIGURED
    remedy = Remedy.AFTER_FIX


class ProviderFailed(Refusal):
    """The message provider did not confirm; it may have sent the message. See the provider's log.

    Attributes:
        provider_code: the provider's error code or the gateway's HTTP status, if the text names one.
    """

    cause = Cause.PROVIDER_FAILED
    remedy = Remedy.AMBIGUOUS
    provider_code: int | None = None


class ProviderTimedOut(ProviderFailed):
    """The message provider did not answer Auth0 within 30 s; it may have sent the message. See the provider's log."""

    cause = Cause.PROVIDER_TIMED_OUT


class CodeRejected(Refusal):
    """The code is wrong, already used or replaced by a newer one, or the user does not exist; ask again or send a new code."""

    cause = Cause.CODE_REJECTED


class CodeExpired(CodeRejected):
    """The code is too old; send a new one."""

    cause = Cause.CODE_EXPIRED


class CodeAttemptsExhausted(CodeRejected):
    """The code was tried too often; send a new one."""

    cause = Cause.CODE_ATTEMPTS_EXHAUSTED


class MfaRequired(Refusal):
    """Auth0 asks for a second factor; continue with the MFA API and the MFA token, if there is one.

    Attributes:
        mfa_token: the token for the MFA API; None if Auth0 gave none.
        mfa_requirements: the possible challenges, as Auth0 lists them; None if it does not.
    """

    cause = Cause.MFA_REQUIRED
    mfa_token: SecretStr | None = None
    mfa_requirements: Mapping[str, Any] | None = None


class AccessDenied(Refusal):
    """An Action, a Rule or a block on the user denied the login; see the tenant's log."""

    cause = Cause.ACCESS_DENIED


class TooManyAttempts(Refusal):
    """Attack protection blocks this person or IP address; unblock it in Auth0, then send a new code. Waiting does not help soon."""

    cause = Cause.TOO_MANY_ATTEMPTS


class TooManyLogins(TooManyAttempts):
    """The user has logged in too often in a short time; try much later."""

    cause = Cause.TOO_MANY_LOGINS


class RateLimited(Refusal):
    """The quota is used up; nothing was carried out. Wait as long as the server asks, and pace the calls."""

    cause = Cause.RATE_LIMITED
    remedy = Remedy.AFTER_WAIT


class ServerFailed(Refusal):
    """Auth0 answered with a server error; it may have carried the request out. See Auth0's status page and the tenant's log."""

    cause = Cause.SERVER_FAILED
    remedy = Remedy.AMBIGUOUS


class TemporarilyUnavailable(ServerFailed):
    """Auth0 is temporarily unavailable; it may have carried the request out. See Auth0's status page."""

    cause = Cause.TEMPORARILY_UNAVAILABLE
