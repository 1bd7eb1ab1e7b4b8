"""Requests to the HTTP API with planted values, each wrong in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from support.canary_values import CODE, NAME, PHONE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

PERSON: Final = f"{NAME}@example.com"
_JSON: Final = {"content-type": "application/json"}
_ID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"
_PATHS: Final = [
    ("POST", "/v1/messages"), ("POST", "/v1/logins"), ("POST", f"/v1/operations/{_ID}/redeem"), ("POST", "/v1/campaigns"),
    ("POST", f"/v1/operations/{_ID}/cancel"), ("POST", "/v1/suppressions"), ("POST", "/v1/suppressions/find"), ("DELETE", "/v1/suppressions"),
]  # fmt: skip
_BODIES: Final[list[Any]] = [
    {"email": f"{NAME} at example.com", "code": CODE},
    {"email": PERSON, PERSON: CODE, "extra": {NAME: PHONE}},
    {"phone_number": f"{PHONE}{CODE}", "code": CODE},
    {"email": PERSON, "code": f"{CODE}{TOKEN}" * 20, "redeem_token": TOKEN + "!"},
    {"kind": NAME, "email": PERSON, "deadline": f"{NAME}", "client_ip": PHONE, "language": NAME},
    {"email": PERSON, "tenant": NAME, "headers": {NAME: TOKEN}, "auth_params": [NAME]},
    {"redeem_token": TOKEN, "email": PERSON},
    {"name": NAME + "\u202e", "rate": NAME, "hours": PERSON, "guest_list": [f"{NAME} at example"], NAME: 1},
    {"recipient": f"{NAME} at {CODE}", "expires_at": NAME, "reason": NAME},
    {"recipient": f"{NAME} at {CODE}"},
    {"name": "spring", "guest_list": [f"{NAME} at example"]},
    [{"email": f"{NAME}@"}, NAME, {"idempotency_key": [NAME]}],
    NAME,
    [[PHONE]],
]  # fmt: skip


def wrong_requests(campaign: str) -> Iterator[dict[str, Any]]:
    """Requests with planted values, each wrong in another way."""
    for method, path in _PATHS:
        for body in _BODIES:
            yield {"method": method, "url": path, "json": body}
        yield {"method": method, "url": path, "content": f'{{"email": "{PERSON}"', "headers": _JSON}
        yield {"method": method, "url": path, "content": PERSON, "headers": {"content-type": NAME}}
    yield {"method": "POST", "url": "/v1/messages", "json": {}, "headers": {"Idempotency-Key": f'"{NAME}'}}
    yield {"method": "GET", "url": f"/v1/operations/{NAME}", "headers": {"Prefer": f"wait={NAME}"}}
    for query in (
        "limit",
        "cursor",
        "state",
        "reason",
        "reveal",
        "region",
        "column",
        "numbers",
        "delimiter",
        "encoding",
    ):
        yield {"method": "GET", "url": f"{campaign}/recipients", "params": {query: NAME}}
        yield {"method": "GET", "url": "/v1/campaigns", "params": {query: NAME * 10}}
        yield {
            "method": "POST",
            "url": "/v1/recipient-files/check",
            "params": {query: NAME},
            "content": f"email\n{PERSON}\n",
        }
    for part in (
        f"{PERSON} {CODE},{PHONE}\n{PERSON},{PHONE}\n",
        f"email\n{NAME} at example\n",
        f"email,name\n{PERSON},{PHONE},{CODE}\n",
        f'{{"email": "{NAME}"}}\n',
    ):
        yield {
            "method": "POST",
            "url": f"{campaign}/recipients",
            "content": part,
            "headers": {"content-type": "text/csv"},
        }
    yield {"method": "POST", "url": f"{campaign}/test", "json": {"to": [f"{NAME} at example"]}}
    yield {"method": "POST", "url": f"{campaign}/change", "json": {"rate": NAME, "deadline": PERSON, NAME: 1}}
    yield {"method": "POST", "url": f"{campaign}/retry", "json": {"states": [NAME], "reasons": [PERSON]}}
    yield {"method": "GET", "url": f"/v1/{NAME}"}
    yield {"method": "PUT", "url": "/v1/messages", "json": {"email": PERSON}}
    yield {"method": "GET", "url": "/v1/quota", "params": {"tenant": NAME}}
    yield {"method": "GET", "url": "/v1/quota", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    yield {
        "method": "POST",
        "url": "/v1/messages",
        "json": {"email": PERSON},
        "headers": {"Gatepost-Actor": NAME + "\x01"},
    }
