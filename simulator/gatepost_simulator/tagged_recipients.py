"""Recipients whose address selects a failure: `ada+503-after@example.com`, `+15005550211`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gatepost_simulator.exchange import Drop, Shape
from gatepost_simulator.faults import Fault, TokenFault, When

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "/passwordless/start"
TOKEN = "/oauth/token"  # noqa: S105 - a path
ONCE = "-once"
MAGIC_PHONE_PREFIX = "+1500555"

_STATUS = re.compile(r"^(?P<status>[2-5]\d\d)(?:-(?P<form>html|text|empty|[bcd]))?(?:-(?P<when>before|after))?$")


def _refuse(status: int, error: str, description: str = "", *, when: When = When.BEFORE, **members: Any) -> Fault:
    return Fault(status=status, error=error, description=description, when=when, members=members)


_CONNECTION_FAULTS: dict[str, Fault] = {
    f"{drop.value if drop is not Drop.CLOSE else 'drop'}-{when.value}": Fault(drop=drop, when=when)
    for drop in (Drop.CLOSE, Drop.RESET, Drop.TRUNCATE, Drop.HANG)
    for when in When
}

_START_FAULTS: dict[str, Fault] = {
    "bad-email": _refuse(400, "bad.email", "error in email - email format validation failed"),
    "bad-phone": _refuse(400, "bad.phone_number", "Invalid phone number"),
    "bad-connection": _refuse(400, "bad.connection", "Public signup is disabled"),
    "bad-request": _refuse(400, "bad.request", "Unknown properties in the body"),
    "bad-tenant": _refuse(400, "bad.tenant", "invalid_tenant"),
    "bad-send": _refuse(400, "bad.send", "send must be link or code"),
    "invalid-client": _refuse(401, "invalid_client", "Unauthorized"),
    "unauthorized-client": _refuse(403, "unauthorized_client", "Client authentication is required"),
    "captcha": _refuse(400, "requires_verification", "Suspicious request requires verification"),
    "blocked": _refuse(429, "too_many_attempts", "Your account has been blocked after too many attempts"),
    "too-many-requests": _refuse(429, "too_many_requests", "Global limit has been reached"),
    "server-error": _refuse(500, "server_error", "Internal error"),
    "provider-error": _refuse(400, "sms_provider_error", "Message rejected by the provider (Code: 30007)"),
    "invalid-number": _refuse(400, "sms_provider_error", "The 'To' number is not a valid phone number. (Code: 21211)"),
    "unreachable-number": _refuse(400, "sms_provider_error", "The 'To' number cannot be reached. (Code: 21612)"),
    "region-disabled": _refuse(
        400, "sms_provider_error", "Permission to send an SMS has not been enabled for the region. (Code: 21408)"
    ),
    "unsubscribed": _refuse(400, "sms_provider_error", "Attempt to send to unsubscribed recipient (Code: 21610)"),
    "not-mobile": _refuse(400, "sms_provider_error", "The 'To' number is not a mobile number. (Code: 21614)"),
    "gateway-503": _refuse(400, "sms_provider_error", "Unexpected response while calling the SMS gateway: 503"),
    "gateway-503-sent": _refuse(
        400, "sms_provider_error", "Unexpected response while calling the SMS gateway: 503", when=When.AFTER
    ),
    "gateway-401": _refuse(400, "sms_provider_error", "Authentication failed while calling the SMS gateway: 401"),
    "gateway-timeout": _refuse(
        400, "sms_provider_error", "Timeout while calling the SMS gateway: ESOCKETTIMEDOUT", when=When.AFTER
    ),
    "empty-200": Fault(status=200, shape=Shape.EMPTY, when=When.AFTER, error=""),
    "empty-object": Fault(status=200, body="{}", when=When.AFTER, error=""),
    "not-json-200": Fault(status=200, shape=Shape.HTML, when=When.AFTER, error=""),
    **_CONNECTION_FAULTS,
}

_CHALLENGES = {"challenge": [{"type": "otp"}, {"type": "phone"}]}
_TOKEN_FAULTS: dict[str, Fault] = {
    "wrong-code": _refuse(403, "invalid_grant", "Wrong email or verification code."),
    "code-expired": _refuse(403, "invalid_grant", "The verification code has expired. Please try to login again."),
    "code-exhausted": _refuse(
        403,
        "invalid_grant",
        "You've reached the maximum number of attempts. Please try to login again.",
    ),
    "too-many-attempts": _refuse(
        429, "too_many_attempts", "Your account has been blocked after multiple consecutive login attempts."
    ),
    "too-many-logins": _refuse(429, "too_many_logins", "Too many logins"),
    "mfa": _refuse(403, "mfa_required", "Multifactor authentication required", mfa_token="mfa-token-of-the-simulator"),  # noqa: S106 - a made-up value on the wire
    "mfa-without-token": _refuse(403, "mfa_required", "Multifactor authentication required"),
    "mfa-challenge": _refuse(
        403,
        "mfa_required",
        "Multifactor authentication required",
        mfa_token="mfa-token-of-the-simulator",  # noqa: S106 - a made-up value on the wire
        mfa_requirements=_CHALLENGES,
    ),
    "access-denied": _refuse(403, "access_denied", "Access denied by an Action"),
    "user-blocked": _refuse(401, "unauthorized", "user is blocked"),
    "grant-not-allowed": _refuse(
        403,
        "unauthorized_client",
        "Grant type 'http://auth0.com/oauth/grant-type/passwordless/otp' not allowed for the client.",
        error_uri="https://auth0.com/docs/clients/client-grant-types",
    ),
    "invalid-request": _refuse(400, "invalid_request", "Missing required parameter: realm"),
    "invalid-scope": _refuse(400, "invalid_scope", "Invalid scope"),
    "unsupported-grant": _refuse(400, "unsupported_grant_type", "Unsupported grant type"),
    "unsupported-response": _refuse(501, "unsupported_response_type", "Unsupported response type"),
    "endpoint-disabled": _refuse(404, "endpoint_disabled", "This endpoint is disabled"),
    "dpop-nonce": Fault(
        status=400,
        error="use_dpop_nonce",
        description="Authorization server requires nonce in DPoP proof",
        headers={"DPoP-Nonce": "nonce-of-the-simulator"},
    ),
    "temporarily-unavailable": _refuse(503, "temporarily_unavailable", "Try again later"),
    **{f"idtoken-{fault.value}": Fault(id_token=fault) for fault in TokenFault if fault is not TokenFault.NONE},
}

_START_NAMES = {"slow", *_START_FAULTS}
_PHONE_TAGS: dict[str, str] = {
    # The first five follow Twilio's magic numbers.
    "0001": "invalid-number",
    "0002": "unreachable-number",
    "0003": "region-disabled",
    "0004": "unsubscribed",
    "0009": "not-mobile",
    "0101": "bad-phone",
    "0102": "bad-connection",
    "0103": "invalid-client",
    "0104": "captcha",
    "0105": "too-many-requests",
    "0106": "too-many-requests-once",
    "0107": "provider-error",
    "0201": "gateway-503",
    "0202": "gateway-503-sent",
    "0203": "gateway-401",
    "0204": "gateway-timeout",
    "0211": "503-after",
    "0212": "503-before",
    "0213": "503-before-once",
    "0214": "500-after",
    "0221": "drop-before",
    "0222": "drop-after",
    "0223": "drop-before-once",
    "0224": "drop-after-once",
    "0225": "truncate-after",
    "0226": "hang-after",
    "0227": "slow",
    "0301": "wrong-code",
    "0302": "code-expired",
    "0303": "code-exhausted",
    "0304": "too-many-attempts",
    "0305": "mfa",
    "0306": "mfa-without-token",
    "0307": "access-denied",
    "0308": "user-blocked",
    "0309": "too-many-logins",
    "0311": "token-503-after",
    "0312": "token-503-before-once",
    "0313": "token-drop-after",
    "0314": "token-drop-before-once",
    "0321": "idtoken-bad-aud",
    "0322": "idtoken-expired",
    "0323": "idtoken-unknown-kid",
}


def tag_of(recipient: str) -> str:
    """Return the tag in an email's local part, or of a magic phone number; empty if there is none."""
    if recipient.startswith("+"):
        return _PHONE_TAGS.get(recipient[-4:], "") if recipient.startswith(MAGIC_PHONE_PREFIX) else ""
    local, _, _ = recipient.partition("@")
    return local.partition("+")[2].lower()


class TaggedRecipients:
    """Reads tags and remembers which `-once` tags have struck.

    Args:
        slow_s: The delay of `+slow`.
        gateway_timeout_s: The delay of `+gateway-timeout`.
    """

    def __init__(self, slow_s: float, gateway_timeout_s: float) -> None:
        self._delays = {"slow": slow_s, "gateway-timeout": gateway_timeout_s}
        self._struck: set[tuple[str, str]] = set()

    def find(self, path: str, recipient: str) -> Fault | None:
        """Return the fault that the recipient selects at this endpoint, if any."""
        if "+" not in recipient:
            return None
        tag = tag_of(recipient)
        if not tag:
            return None
        name = tag.removesuffix(ONCE)
        fault = self._start_fault(name) if path == START else self._token_fault(name)
        if fault is None:
            return None
        if name != tag:
            if (path, recipient) in self._struck:
                return None
            self._struck.add((path, recipient))
        return fault

    def _start_fault(self, name: str) -> Fault | None:
        fault = _START_FAULTS.get(name) or _status_fault(name)
        delay = self._delays.get(name)
        if delay is None:
            return fault
        return (fault or Fault(when=When.AFTER)).model_copy(update={"delay_s": delay})

    def _token_fault(self, name: str) -> Fault | None:
        general = name.removeprefix("token-")
        if general == name:
            return _TOKEN_FAULTS.get(name)
        return _CONNECTION_FAULTS.get(general) or self._start_fault(general)


def tags() -> Mapping[str, tuple[str, ...]]:
    """Return every named tag, by the endpoint at which it strikes (`slow` and statuses such as `503-after` besides)."""
    return {START: tuple(sorted(_START_NAMES)), TOKEN: tuple(sorted(_TOKEN_FAULTS))}


def phone_tags() -> Mapping[str, str]:
    """Return the tag of each magic phone number, by its last four digits."""
    return _PHONE_TAGS


def _status_fault(name: str) -> Fault | None:
    found = _STATUS.match(name)
    if found is None:
        return None
    form = found["form"]
    shape = {None: Shape.A, "b": Shape.B, "c": Shape.C, "d": Shape.D}.get(form) or Shape(form)
    status = int(found["status"])
    return Fault(status=status, shape=shape, when=When(found["when"] or "before"), error=_ERRORS.get(status, "error"))


_ERRORS = {
    400: "invalid_request",
    401: "invalid_client",
    403: "access_denied",
    404: "endpoint_disabled",
    429: "too_many_requests",
    500: "server_error",
    502: "bad_gateway",
    503: "temporarily_unavailable",
    504: "gateway_timeout",
}
