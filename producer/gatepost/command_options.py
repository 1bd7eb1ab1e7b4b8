"""The keyword options of a producer's methods, as a type checker and an editor see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from ipaddress import IPv4Address, IPv6Address


class CommandOptions(TypedDict, total=False):
    """The options of all commands.

    Attributes:
        tenant: the name of a configured tenant; the first one by default.
        deadline: an aware datetime, or a timedelta from now. Nothing is attempted after it. A time in the past is refused.
        client_ip: the recipient's IP address, for Auth0's attack protection.
        language: the language of the message's template, such as `pt-BR`.
        extra: further fields of the request's body.
        headers: headers of this call. The tenant's `allowed_headers` must name them, or workers do not carry the command out.
        idempotency_key: names the operation. The same key returns the same operation.
    """

    tenant: str | None
    deadline: datetime | timedelta | None
    client_ip: str | IPv4Address | IPv6Address | None
    language: str | None
    extra: Mapping[str, Any]
    headers: Mapping[str, str] | None
    idempotency_key: str | None


class SendOptions(CommandOptions, total=False):
    """The options of all sends.

    Attributes:
        connection: the passwordless connection; `email` or `sms` by default.
        auth_params: `authParams` of a magic link: scope, redirect_uri, state …
        on_unknown: what to do after a lost answer. `resend` may send a second message, which voids the first code.
    """

    connection: str
    auth_params: Mapping[str, Any] | None
    on_unknown: Literal["hold", "resend"]


class SendEmailOptions(SendOptions, total=False):
    """The options of `send_email`.

    Attributes:
        send: the content of the e-mail; a code by default.
    """

    send: Literal["code", "link", "link_ios", "link_android"]


class SmsOptions(SendOptions, total=False):
    """The options of an SMS.

    Attributes:
        numbers: `plan` accepts the numbers of their country's number plan; `length` also others of a possible length.
        allow_landlines: accept a number that cannot receive SMS.
    """

    numbers: Literal["plan", "length"]
    allow_landlines: bool


class LoginOptions(CommandOptions, total=False):
    """The options of all logins.

    Attributes:
        realm: the connection that sent the code; `email` or `sms` by default.
        scope: the requested scopes, separated by spaces.
        audience: the API that the access token is for.
        organization: the organization's id or name, sent to Auth0; the id_token must have it.
        nonce: the nonce that the id_token must have; compared only.
        max_age: seconds since the person authenticated, at most.
        redeem_token: the secret that opens the result, 32 random bytes as base64url; by default, a new one.
    """

    realm: str
    scope: str | None
    audience: str | None
    organization: str | None
    nonce: str | None
    max_age: int | None
    redeem_token: str | None
