"""Reads a request's parameters from JSON or a form, and finds out whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from gatepost_simulator.exchange import Refusal

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Request
    from gatepost_simulator.tenant import Tenant

_FORM = b"application/x-www-form-urlencoded"


def read_parameters(tenant: Tenant, request: Request, *, form_allowed: bool) -> None:
    """Fill in the request's parameters, client_id and recipient.

    Raises:
        Refusal: The body is neither JSON with an object nor, where it is allowed, a form.
    """
    if request.headers.get(b"content-type", b"").startswith(_FORM):
        if not form_allowed:
            raise Refusal(400, "bad.request", "The body must be JSON")
        request.parameters = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    else:
        request.parameters = _object(request.body)
    request.client_id = request.text("client_id")
    request.recipient = _recipient(tenant, request)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "invalid_request", "The body is not valid JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "invalid_request", "The body must be a JSON object")
    return {name: value for name, value in document.items() if value is not None}


def _recipient(tenant: Tenant, request: Request) -> str:
    username = request.text("username")
    if username:
        return username
    connection = tenant.connections.get(request.text("connection"))
    if connection is not None and connection.strategy == "sms":
        return request.text("phone_number")
    return request.text("email") or request.text("phone_number")
