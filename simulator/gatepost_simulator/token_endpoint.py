"""POST /oauth/token: the passwordless OTP grant, and the token_request of a magic link's authorization code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gatepost_simulator.codes import CodeCheck
from gatepost_simulator.exchange import Answer, Refusal
from gatepost_simulator.faults import TokenFault
from gatepost_simulator.settings import CODE_GRANT, OTP_GRANT
from gatepost_simulator.tokens import Grant

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Request
    from gatepost_simulator.profiles import Profile
    from gatepost_simulator.settings import Client, Connection, Organization
    from gatepost_simulator.tenant import Tenant

_NO_STORE = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
_GRANTS_URI = "https://auth0.com/docs/clients/client-grant-types"


@dataclass(slots=True)
class TokenRequest:
    """A token request that passed every check but the code itself."""

    client: Client
    grant_type: str
    scope: str = ""
    audience: str = ""
    organization: Organization | None = None
    connection: Connection | None = None
    recipient: str = ""
    code: str = ""


def check_token_request(tenant: Tenant, request: Request) -> TokenRequest:
    """Check a request, in this order: grant type, client, its grants, parameters, connection, attack protection.

    Raises:
        Refusal: What `/oauth/token` answers instead of 200.
    """
    request.ip = request.peer
    grant_type = _required(request, "grant_type")
    if grant_type not in (OTP_GRANT, CODE_GRANT):
        raise Refusal(400, "unsupported_grant_type", f"Unsupported grant type: {grant_type}")
    client = _check_client(tenant, request)
    if grant_type not in client.grants:
        raise Refusal(
            403,
            "unauthorized_client",
            f"Grant type '{grant_type}' not allowed for the client.",
            members={"error_uri": _GRANTS_URI},
        )
    scope = request.parameters.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise Refusal(400, "invalid_request", "scope must be a string")
    token_request = TokenRequest(client, grant_type, scope or "")
    token_request.audience = _check_audience(tenant, request)
    token_request.organization = _check_organization(tenant, request)
    if grant_type == CODE_GRANT:
        token_request.code = _required(request, "code")
        return token_request
    _check_otp(tenant, request, token_request)
    return token_request


def issue(tenant: Tenant, request: Request, token_request: TokenRequest, fault: TokenFault = TokenFault.NONE) -> Answer:
    """Spend the code and answer with tokens.

    Raises:
        Refusal: The code is wrong, expired, exhausted or spent; the user is blocked or needs a second factor.
    """
    now = tenant.clock.now()
    if token_request.grant_type == CODE_GRANT:
        grant = _grant_of_code(tenant, request, token_request, now)
    else:
        grant = _grant_of_otp(tenant, request, token_request, now)
    grant = replace(grant, fault=fault)
    tenant.statistics.tokens_issued += 1
    members = tenant.issuer.token_set(grant, tenant.keys.current, now)
    if tenant.points.scope_member == "always" or grant.scope != token_request.scope:
        members["scope"] = grant.scope
    members["token_type"] = tenant.points.bearer_spelling
    return _answer(members, fault)


def _answer(members: dict[str, Any], fault: TokenFault) -> Answer:
    match fault:
        case TokenFault.LOWER_CASE_TYPE:
            members |= {"token_type": "bearer"}
        case TokenFault.NOT_JSON:
            return Answer(200, b"<html>not what you wanted</html>", b"text/html; charset=utf-8")
        case TokenFault.EMPTY_OBJECT:
            members = {}
        case TokenFault.EMPTY:
            return Answer(200, b"")
    return Answer.of(members, headers=_NO_STORE)


def _required(request: Request, name: str) -> str:
    value = request.text(name)
    if not value:
        raise Refusal(400, "invalid_request", f"Missing required parameter: {name}")
    return value


def _check_client(tenant: Tenant, request: Request) -> Client:
    client = tenant.clients.authenticate(request, tenant.clock.now())
    request.ip = tenant.clients.end_user_ip(client, request)
    return client


def _check_audience(tenant: Tenant, request: Request) -> str:
    audience = request.text("audience") or request.text("resource")
    known = {api.identifier for api in tenant.settings.apis}
    if audience and tenant.points.audience == "registered" and audience not in known:
        raise Refusal(403, "access_denied", f"Service not found: {audience}")
    return audience


def _check_organization(tenant: Tenant, request: Request) -> Organization | None:
    named = request.text("organization")
    if not named:
        return None
    for organization in tenant.settings.organizations:
        if named in (organization.id, organization.name):
            return organization
    raise Refusal(400, "invalid_request", "The organization does not exist")


def _check_otp(tenant: Tenant, request: Request, token_request: TokenRequest) -> None:
    request.recipient = _required(request, "username")
    token_request.code = _required(request, "otp")
    realm = _required(request, "realm")
    connection = tenant.connections.get(realm)
    if connection is None or not connection.enabled:
        raise Refusal(400, "invalid_request", "The connection does not exist or is disabled")
    token_request.connection = connection
    token_request.recipient = tenant.fold(request.recipient)
    blocked = tenant.brute_force.blocks(request.ip, token_request.recipient, tenant.clock.now())
    if blocked and connection.brute_force_protection:
        raise Refusal(
            429, "too_many_attempts", "Your account has been blocked after multiple consecutive login attempts."
        )


def _grant_of_otp(tenant: Tenant, request: Request, token_request: TokenRequest, now: float) -> Grant:
    connection = token_request.connection
    if connection is None:
        raise Refusal(400, "invalid_request", "Missing required parameter: realm")
    check = tenant.codes(connection).check(token_request.recipient, token_request.code, now)
    if check is not CodeCheck.GOOD:
        tenant.brute_force.failed(request.ip, token_request.recipient, now)
        raise _bad_code(tenant, connection, check)
    tenant.brute_force.succeeded(request.ip, token_request.recipient)
    profile = tenant.profiles.ensure(connection.name, connection.strategy, token_request.recipient)
    _check_profile(tenant, profile)
    profile.verified = True
    profile.logins += 1
    scope = token_request.scope or tenant.points.default_scope
    offline = "offline_access" in scope.split()
    refresh = offline and _allows_offline_access(tenant, token_request.audience)
    if offline and not refresh:
        scope = " ".join(name for name in scope.split() if name != "offline_access")
    return Grant(
        client=token_request.client,
        profile=profile,
        scope=scope,
        audience=token_request.audience,
        organization=token_request.organization,
        auth_time=now,
        refresh=refresh,
    )


def _grant_of_code(tenant: Tenant, request: Request, token_request: TokenRequest, now: float) -> Grant:
    grant, redirect_uri, expires_at = tenant.grants.pop(token_request.code, (None, "", 0.0))
    asked = request.text("redirect_uri")
    if grant is None or expires_at <= now or grant.client != token_request.client or asked != redirect_uri:
        raise Refusal(403, "invalid_grant", "Invalid authorization code")
    return grant


def _bad_code(tenant: Tenant, connection: Connection, check: CodeCheck) -> Refusal:
    status: int = tenant.points.spent_code_status
    wrong = "phone number" if connection.strategy == "sms" else "email"
    texts = {
        CodeCheck.EXPIRED: "The verification code has expired. Please try to login again.",
        CodeCheck.EXHAUSTED: "You've reached the maximum number of attempts. Please try to login again.",
    }
    if check is CodeCheck.WRONG:
        return Refusal(403, "invalid_grant", f"Wrong {wrong} or verification code.")
    if tenant.points.spent_code_text == "uniform":
        return Refusal(status, "invalid_grant", f"Wrong {wrong} or verification code.")
    return Refusal(status, "invalid_grant", texts[check])


def _check_profile(tenant: Tenant, profile: Profile) -> None:
    if profile.blocked:
        status, error = (
            (401, "unauthorized") if tenant.points.blocked_user_login == "unauthorized" else (403, "access_denied")
        )
        raise Refusal(status, error, "user is blocked")
    if profile.mfa == "none":
        return
    members: dict[str, Any] = {}
    if profile.mfa != "required_without_token":
        members["mfa_token"] = "mfa-token-of-the-simulator"  # noqa: S105 - a made-up value on the wire
    if profile.mfa == "required_with_challenge":
        members["mfa_requirements"] = {"challenge": [{"type": "otp"}, {"type": "phone"}]}
    raise Refusal(403, "mfa_required", "Multifactor authentication required", members=members)


def _allows_offline_access(tenant: Tenant, audience: str) -> bool:
    """Return whether the API allows refresh tokens; one that is not registered does."""
    return all(api.allow_offline_access for api in tenant.settings.apis if api.identifier == audience)
