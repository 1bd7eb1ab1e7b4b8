"""POST /passwordless/start: checks a request in Auth0's order, then sends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost_simulator.exchange import Answer, Refusal
from gatepost_simulator.magic_links import link_of, new_session, session_cookie
from gatepost_simulator.outbox import Message

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Header, Request
    from gatepost_simulator.settings import Client, Connection, Providers
    from gatepost_simulator.tenant import Tenant

_KNOWN = frozenset(
    {
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "connection",
        "email",
        "phone_number",
        "send",
        "authParams",
        "captcha",
    }
)
_SENDS = frozenset({"link", "link_ios", "link_android", "code"})
# Loose on purpose: Auth0 documents that it validates, but no grammar.
_EMAIL = re.compile(r"^[^@\s<>()\[\]\\,;:\"]+@[^@\s<>()\[\]\\,;:\"]+\.[^@\s.]+$")
_PHONE = re.compile(r"^\+[0-9]{1,15}$")
_LIMIT_EMAIL = 320
_NO_CONTENT = 204
# https://www.twilio.com/docs/api/errors
_TWILIO = {
    "21211": "The 'To' number is not a valid phone number.",
    "21408": "Permission to send an SMS has not been enabled for the region indicated by the 'To' number.",
    "21610": "Attempt to send to unsubscribed recipient",
    "21612": "The 'To' phone number is not currently reachable via SMS",
    "21614": "'To' number is not a valid mobile number",
    "30007": "Message filtered",
}
_UNAUTHORIZED = "401"


@dataclass(slots=True)
class Start:
    """A request that passed every check."""

    client: Client
    connection: Connection
    recipient: str
    kind: str
    language: str | None
    auth_params: dict[str, Any]


def check_start(tenant: Tenant, request: Request) -> Start:
    """Check a request, in this order: client, its IP's bucket, properties, connection, identifier, send, captcha.

    Raises:
        Refusal: What `/passwordless/start` answers instead of 200.
    """
    client = _check_client(tenant, request)
    if tenant.points.unknown_properties == "refuse" and not _KNOWN.issuperset(request.parameters):
        raise Refusal(400, "bad.request", "The following properties are not allowed in the body")
    connection = _check_connection(tenant, request)
    recipient = tenant.fold(request.recipient)
    _check_signup(tenant, connection, recipient)
    kind = _check_send(tenant, request, connection)
    auth_params = _check_auth_params(request)
    if tenant.points.captcha == "always" and not request.text("captcha"):
        raise Refusal(400, "requires_verification", "Suspicious request requires verification")
    language = request.header(b"x-request-language") or request.header(b"accept-language") or None
    return Start(client, connection, recipient, kind, language, auth_params)


def send(tenant: Tenant, request: Request, start: Start) -> Answer:
    """Send the message and answer as Auth0 does.

    Raises:
        Refusal: The provider failed, or the user is blocked and `blocked_user_start` is `refuse`.
    """
    profile = tenant.profiles.find(start.connection.name, start.recipient)
    blocked = profile is not None and profile.blocked
    if blocked and tenant.points.blocked_user_start == "refuse":
        raise Refusal(403, "access_denied", "user is blocked")
    headers: tuple[Header, ...] = ()
    now = tenant.clock.now()
    request_id = f"{int(now):08x}{tenant.outbox.next_sequence():016x}"
    if not blocked:
        provider = tenant.settings.providers
        failure = call_sms_provider(provider) if start.connection.strategy == "sms" else None
        if failure is None or provider.sms_delivers_anyway:
            headers = _deliver(tenant, start, request_id, now)
        if failure is not None:
            raise failure
    tenant.statistics.starts_accepted += 1
    if tenant.points.start_body == "empty" or tenant.points.start_status == _NO_CONTENT:
        return Answer(tenant.points.start_status, b"", b"", headers)
    document = _document(tenant, request, start, request_id, verified=profile is not None and profile.verified)
    return Answer.of(document, tenant.points.start_status, headers)


def _check_client(tenant: Tenant, request: Request) -> Client:
    now = tenant.clock.now()
    request.ip = request.peer
    if not request.client_id:
        raise Refusal(400, "bad.client_id", "Missing required property: client_id")
    try:
        client = tenant.clients.authenticate(request, now)
    except Refusal:
        _admit_address(tenant, request, now)
        raise
    request.ip = tenant.clients.end_user_ip(client, request)
    _admit_address(tenant, request, now)
    return client


def _admit_address(tenant: Tenant, request: Request, now: float) -> None:
    if not tenant.limits.admit_address(request, now, authenticated=request.authentication != "none"):
        raise LimitedError(429, "too_many_requests")


class LimitedError(Refusal):
    """The bucket of the caller's IP is empty."""


def _check_connection(tenant: Tenant, request: Request) -> Connection:
    name = request.parameters.get("connection")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "bad.connection", "Missing required property: connection")
    connection = tenant.connections.get(name)
    if connection is None:
        raise Refusal(400, "bad.connection", "Connection does not exist")
    if not connection.enabled:
        raise Refusal(400, "bad.connection", "Connection is disabled")
    if connection.strategy == "email":
        address = request.recipient
        if not _EMAIL.match(address) or len(address) > _LIMIT_EMAIL:
            raise Refusal(400, "bad.email", "error in email - email format validation failed")
    elif not _PHONE.match(request.recipient):
        raise Refusal(400, "bad.phone_number", "String does not match pattern: ^\\+[0-9]{1,15}$")
    return connection


def _check_signup(tenant: Tenant, connection: Connection, recipient: str) -> None:
    if connection.disable_signup and tenant.profiles.find(connection.name, recipient) is None:
        raise Refusal(400, "bad.connection", "Public signup is disabled")


def _check_send(tenant: Tenant, request: Request, connection: Connection) -> str:
    kind = request.parameters.get("send")
    if kind is None:
        if connection.strategy == "sms":
            return "code"
        if tenant.points.missing_send == "refuse":
            raise Refusal(400, "bad.send", "Missing required property: send")
        return "link"
    if kind not in _SENDS:
        raise Refusal(400, "bad.send", "send must be link or code")
    return "code" if connection.strategy == "sms" else str(kind)


def _check_auth_params(request: Request) -> dict[str, Any]:
    auth_params = request.parameters.get("authParams")
    if auth_params is None:
        return {}
    if not isinstance(auth_params, dict):
        raise Refusal(400, "bad.authParams", "authParams must be an object")
    return auth_params


def _deliver(tenant: Tenant, start: Start, request_id: str, now: float) -> tuple[Header, ...]:
    is_link = start.kind != "code"
    session = new_session() if is_link else ""
    carried = {"session": session, "auth_params": start.auth_params} if is_link else None
    live = tenant.codes(start.connection).issue(start.recipient, now, carried)
    link = link_of(tenant.base_url, start.client, start.connection, start.recipient, live) if is_link else None
    message = Message(
        sequence=tenant.outbox.next_sequence(),
        sent_at=now,
        connection=start.connection.name,
        channel=start.connection.strategy,
        recipient=start.recipient,
        kind="link" if is_link else "code",
        code=live.code,
        link=link,
        language=start.language,
        client_id=start.client.client_id,
        request_id=request_id,
    )
    tenant.outbox.put(message)
    tenant.mail.deliver(message, tenant.settings.smtp)
    return (session_cookie(session),) if is_link else ()


def _document(tenant: Tenant, request: Request, start: Start, request_id: str, *, verified: bool) -> dict[str, Any]:
    if tenant.points.start_body == "empty_object":
        return {}
    if start.connection.strategy == "email":
        return {"_id": request_id, "email": request.recipient, "email_verified": verified}
    document: dict[str, Any] = {"_id": request_id, "phone_number": request.recipient, "phone_verified": verified}
    if tenant.points.request_language == "present":
        document["request_language"] = start.language
    return document


def call_sms_provider(providers: Providers) -> Refusal | None:
    """Return the refusal that the provider's fault leads to, or None if the provider works."""
    fault = providers.sms_fault
    if not fault:
        return None
    if fault == "timeout":
        return _provider_failure("Timeout while calling the SMS gateway: ESOCKETTIMEDOUT", providers.timeout_s)
    kind, _, status = fault.partition(":")
    if kind != "status":
        return _provider_failure(f"{_TWILIO.get(fault, 'The provider refused the message')} (Code: {fault})")
    if status == _UNAUTHORIZED:
        return _provider_failure("Authentication failed while calling the SMS gateway: 401")
    return _provider_failure(f"Unexpected response while calling the SMS gateway: {status}")


def _provider_failure(description: str, delay_s: float = 0.0) -> Refusal:
    return Refusal(400, "sms_provider_error", description, delay_s=delay_s)
