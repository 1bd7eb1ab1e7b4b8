"""Magic links: the link in the email, and GET /passwordless/verify_redirect, which it opens."""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from gatepost_simulator.codes import CodeCheck
from gatepost_simulator.exchange import Answer, Refusal
from gatepost_simulator.tokens import Grant

if TYPE_CHECKING:
    from gatepost_simulator.codes import LiveCode
    from gatepost_simulator.exchange import Header, Request
    from gatepost_simulator.settings import Client, Connection
    from gatepost_simulator.tenant import Tenant

COOKIE = "auth0_passwordless"
_CODE_LIFETIME_S = 600.0
_OTHER_BROWSER = "The link must be opened on the same device and browser from which you submitted your email address."


def new_session() -> str:
    """Return a value known only to the browser that requested the link."""
    return secrets.token_urlsafe(16)


def session_cookie(session: str) -> Header:
    """Return the header that hands the session to the caller of start."""
    return (b"set-cookie", f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax".encode())


def link_of(base_url: str, client: Client, connection: Connection, recipient: str, live: LiveCode) -> str:
    """Return the link for the email. It carries the request's authParams."""
    auth_params = live.link["auth_params"] if live.link else {}
    query = {
        **{name: value for name, value in auth_params.items() if isinstance(value, str)},
        "client_id": client.client_id,
        "connection": connection.name,
        "email": recipient,
        "verification_code": live.code,
    }
    return f"{base_url}/passwordless/verify_redirect?{urlencode(query)}"


def verify_redirect(tenant: Tenant, request: Request) -> Answer:
    """Check a magic link and send the browser back to the application, with tokens, a code or an error.

    Raises:
        Refusal: There is no application to go back to.
    """
    query = dict(parse_qsl(request.query.decode("latin-1")))
    request.parameters = dict(query)
    request.client_id, request.recipient = query.get("client_id", ""), query.get("email", "")
    client = tenant.clients.find(request.client_id)
    connection = tenant.connections.get(query.get("connection", ""))
    if client is None or connection is None:
        raise Refusal(400, "invalid_request", "Unknown client or connection")
    redirect_uri = _redirect_uri(client, query)
    try:
        grant = _grant(tenant, request, client, connection, query)
    except Refusal as refusal:
        problem = {"error": refusal.error, "error_description": refusal.description}
        answer = _redirect(redirect_uri, {**problem, **_state(query)}, fragment=_is_implicit(query))
        answer.error = refusal.error
        return answer
    tenant.statistics.tokens_issued += 1
    return _success(tenant, grant, redirect_uri, query)


def _grant(tenant: Tenant, request: Request, client: Client, connection: Connection, query: dict[str, str]) -> Grant:
    recipient = tenant.fold(query.get("email", ""))
    codes = tenant.codes(connection)
    now = tenant.clock.now()
    live = codes.find(recipient)
    if live is not None and tenant.points.magic_link_session == "required":
        session = (live.link or {}).get("session", "")
        if not session or _session_of(request) != session:
            raise Refusal(401, "unauthorized", _OTHER_BROWSER)
    match codes.check(recipient, query.get("verification_code", ""), now):
        case CodeCheck.GOOD:
            pass
        case CodeCheck.EXPIRED:
            raise Refusal(401, "unauthorized", "The verification code has expired. Please try to login again.")
        case CodeCheck.EXHAUSTED:
            raise Refusal(401, "unauthorized", "You've reached the maximum number of attempts.")
        case _:
            raise Refusal(401, "unauthorized", "Wrong email or verification code.")
    profile = tenant.profiles.ensure(connection.name, connection.strategy, recipient)
    if profile.blocked:
        raise Refusal(401, "unauthorized", "user is blocked")
    profile.verified = True
    profile.logins += 1
    return Grant(
        client=client,
        profile=profile,
        scope=_without_offline(query.get("scope") or tenant.points.default_scope),
        audience=query.get("audience", ""),
        nonce=query.get("nonce", ""),
        auth_time=now,
    )


def _without_offline(scope: str) -> str:
    """A magic link never yields a refresh token."""
    return " ".join(name for name in scope.split() if name != "offline_access")


def _success(tenant: Tenant, grant: Grant, redirect_uri: str, query: dict[str, str]) -> Answer:
    now = tenant.clock.now()
    if not _is_implicit(query):
        code = secrets.token_urlsafe(32)
        tenant.grants[code] = (grant, redirect_uri, now + _CODE_LIFETIME_S)
        return _redirect(redirect_uri, {"code": code, **_state(query)}, fragment=False)
    members: dict[str, Any] = tenant.issuer.token_set(grant, tenant.keys.current, now)
    wanted = query["response_type"].split()
    if "token" not in wanted:
        members.pop("access_token")
    if "id_token" not in wanted:
        members.pop("id_token", None)
    members |= {"scope": grant.scope, "token_type": tenant.points.bearer_spelling, **_state(query)}
    return _redirect(redirect_uri, members, fragment=True)


def _is_implicit(query: dict[str, str]) -> bool:
    return bool({"token", "id_token"} & set(query.get("response_type", "").split()))


def _state(query: dict[str, str]) -> dict[str, str]:
    """Return the state unchanged; Auth0 does not check it."""
    return {"state": query["state"]} if "state" in query else {}


def _redirect_uri(client: Client, query: dict[str, str]) -> str:
    asked = query.get("redirect_uri", "")
    fixed = [callback for callback in client.callbacks if callback != "*"]
    if asked and ("*" in client.callbacks or asked in fixed):
        return asked
    if asked or not fixed:
        raise Refusal(400, "invalid_request", "The redirect_uri is missing or not one of the client's callbacks")
    return fixed[0]


def _redirect(uri: str, members: dict[str, Any], *, fragment: bool) -> Answer:
    separator = "#" if fragment else "&" if "?" in uri else "?"
    location = f"{uri}{separator}{urlencode(members)}"
    return Answer(302, b"", b"", ((b"location", location.encode()),))


def _session_of(request: Request) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(request.header(b"cookie"))
    except CookieError:
        return ""
    morsel = cookies.get(COOKIE)
    return morsel.value if morsel else ""
