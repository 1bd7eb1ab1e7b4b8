"""The Authentication API as an ASGI application: limits, faults, endpoint, headers, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from gatepost_simulator.exchange import Answer, Drop, Refusal, Request
from gatepost_simulator.faults import Fault, ScriptedFault, TokenFault
from gatepost_simulator.magic_links import verify_redirect
from gatepost_simulator.start_endpoint import LimitedError, check_start, send
from gatepost_simulator.tagged_recipients import START, TOKEN
from gatepost_simulator.token_endpoint import check_token_request, issue
from gatepost_simulator.transport import RequestChannel, cut, peer_certificate
from gatepost_simulator.well_known import jwks, openid_configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from gatepost_simulator.exchange import Header
    from gatepost_simulator.tenant import Tenant

    Effect = Callable[[TokenFault], Answer]

_GET = {
    "/.well-known/jwks.json": jwks,
    "/.well-known/openid-configuration": openid_configuration,
    "/passwordless/verify_redirect": verify_redirect,
}
_POST = frozenset({START, TOKEN})
_TOO_MANY = 429
_FORM = b"application/x-www-form-urlencoded"
_EXPOSED_HEADERS = b"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, DPoP-Nonce"
_REQUEST_HEADERS = b"authorization, content-type, auth0-client, x-request-language, dpop"


class AuthenticationApi:
    """Serves one tenant. It is plain ASGI, because a framework's routing would cost more than the endpoint."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send_message: Send) -> None:
        """Answer one request."""
        tenant = self._tenant
        request = _request_of(scope, await _body(receive))
        answer = await self._answer(request)
        if answer.delay_s:
            await tenant.clock.sleep(answer.delay_s)
        headers = self._headers(request, answer)
        status = 0 if answer.drop in (Drop.CLOSE, Drop.RESET, Drop.HANG) else answer.status
        tenant.statistics.count(request.path, status, answer.error)
        tenant.request_log.append(tenant.clock.now(), request, status, answer.error, answer.fault)
        start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if answer.drop is Drop.NO:
            await send_message(start)
            await send_message({"type": "http.response.body", "body": answer.body})
        else:
            await cut(answer.drop, RequestChannel(scope, receive, send_message), start, answer.body)

    def _headers(self, request: Request, answer: Answer) -> list[Header]:
        tenant = self._tenant
        headers = tenant.limits.headers(request, tenant.clock.now())
        headers.append((b"content-length", b"%d" % len(answer.body)))
        if answer.content_type:
            headers.append((b"content-type", answer.content_type))
        if answer.headers:
            overridden = {name for name, _ in answer.headers}
            headers = [header for header in headers if header[0] not in overridden]
            headers.extend(answer.headers)
        if b"origin" in request.headers:
            headers.extend(_allow_origin(tenant, request))
        return headers

    async def _answer(self, request: Request) -> Answer:
        """Pass the limits, then serve."""
        limits, now = self._tenant.limits, self._tenant.clock.now()
        if request.method == "OPTIONS":
            return _preflight(request)
        try:
            admitted = limits.admit(request, now)
            if admitted and request.method == "POST":
                _read_parameters(self._tenant, request, form_allowed=request.path == TOKEN)
                admitted = limits.admit_client(request, now)
            if not admitted:
                self._spend_try(request)
                return limits.refusal(request, now)
            return await self._served(request)
        except LimitedError:
            return limits.refusal(request, now)
        except Refusal as refusal:
            return refusal.answer

    async def _served(self, request: Request) -> Answer:
        """Apply the faults before and after the endpoint."""
        tenant = self._tenant
        scripted = tenant.faults.find(request) if tenant.faults else None
        early = scripted if scripted is not None and scripted.strikes_first else None
        if early is not None:
            tenant.faults.use(early)
            struck = await self._struck(early, request)
            if struck is not None:
                return struck
        effect = self._effect(request)
        late = scripted if early is None else None
        fault = late or tenant.tagged.find(request.path, tenant.fold(request.recipient))
        if fault is None:
            return _marked(effect(TokenFault.NONE), early)
        if fault.strikes_first:
            struck = await self._struck(fault, request)
            if struck is not None:
                return struck
        answer = effect(fault.id_token)
        if late is not None:
            tenant.faults.use(late)
        if not fault.strikes_first:
            answer = self._replaced(fault, answer)
            answer.delay_s += fault.delay_s
        return _marked(answer, fault)

    async def _struck(self, fault: Fault, request: Request) -> Answer | None:
        """Apply a fault before the effect; None if it only delays the request."""
        if fault.delay_s:
            await self._tenant.clock.sleep(fault.delay_s)
        if not fault.replaces:
            return None
        self._spend_try(request)
        return _marked(self._replaced(fault, Answer(200, b"{}")), fault)

    def _replaced(self, fault: Fault, answer: Answer) -> Answer:
        """Return the fault's answer if it has one; a 429 carries rate-limit headers, as a real one does."""
        replacement = fault.replacement()
        if replacement is None:
            return answer
        if replacement.status == _TOO_MANY:
            now = self._tenant.clock.now()
            hints = (
                (b"x-ratelimit-remaining", b"0"),
                (b"x-ratelimit-reset", b"%d" % (int(now) + 1)),
                *self._tenant.limits.retry_after(now + 1, now),
            )
            given = {name for name, _ in replacement.headers}
            replacement.headers += tuple(hint for hint in hints if hint[0] not in given)
        return replacement

    def _effect(self, request: Request) -> Effect:
        """Check the request and return the effect to apply."""
        tenant = self._tenant
        path = request.path
        if path in tenant.settings.disabled_endpoints:
            raise Refusal(404, "endpoint_disabled", "This endpoint is disabled")
        if request.method == "POST" and path == START:
            start = check_start(tenant, request)
            return lambda _: send(tenant, request, start)
        if request.method == "POST" and path == TOKEN:
            token_request = check_token_request(tenant, request)
            return lambda fault: issue(tenant, request, token_request, fault)
        if request.method in ("GET", "HEAD") and path in _GET:
            return lambda _: _GET[path](tenant, request)
        if path in _GET or path in _POST:
            raise Refusal(405, "method_not_allowed", f"{request.method} is not allowed here")
        raise Refusal(404, "not_found", "There is no such endpoint")

    def _spend_try(self, request: Request) -> None:
        if not self._tenant.points.limited_requests_spend_tries or request.path != TOKEN:
            return
        if not request.parameters:
            _read_parameters(self._tenant, request, form_allowed=True)
        connection = self._tenant.connections.get(request.text("realm"))
        if connection is not None:
            self._tenant.codes(connection).spend_try(self._tenant.fold(request.recipient))


async def _body(receive: Receive) -> bytes:
    message: Message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


def _request_of(scope: Scope, body: bytes) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=dict(scope["headers"]),
        body=body,
        peer=client[0] if client else "",
        certificate=lambda: peer_certificate(scope),
    )


def _marked(answer: Answer, fault: Fault | None) -> Answer:
    if fault is not None:
        answer.drop = fault.drop
        answer.fault = f"scripted:{fault.id}" if isinstance(fault, ScriptedFault) else "tagged"
    return answer


def _read_parameters(tenant: Tenant, request: Request, *, form_allowed: bool) -> None:
    """Fill in the request's parameters, client_id and recipient."""
    if request.headers.get(b"content-type", b"").startswith(_FORM):
        if not form_allowed:
            raise Refusal(400, "bad.request", "The body must be JSON")
        request.parameters = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    else:
        request.parameters = _json_object(request.body)
    request.client_id = request.text("client_id")
    request.recipient = _recipient_of(tenant, request)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "invalid_request", "The body is not valid JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "invalid_request", "The body must be a JSON object")
    return {name: value for name, value in document.items() if value is not None}


def _recipient_of(tenant: Tenant, request: Request) -> str:
    username = request.text("username")
    if username:
        return username
    connection = tenant.connections.get(request.text("connection"))
    if connection is not None and connection.strategy == "sms":
        return request.text("phone_number")
    return request.text("email") or request.text("phone_number")


def _allow_origin(tenant: Tenant, request: Request) -> tuple[Header, ...]:
    """Return the headers that let a page read an answer, or none if its origin is not allowed."""
    origin = request.headers.get(b"origin", b"")
    allowed = tenant.settings.allowed_origins
    if not origin or ("*" not in allowed and origin.decode("latin-1") not in allowed):
        return ()
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
        (b"vary", b"Origin"),
    )


def _preflight(request: Request) -> Answer:
    headers = (
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", request.headers.get(b"access-control-request-headers", _REQUEST_HEADERS)),
        (b"access-control-max-age", b"86400"),
    )
    return Answer(204, b"", b"", headers if b"origin" in request.headers else ())
