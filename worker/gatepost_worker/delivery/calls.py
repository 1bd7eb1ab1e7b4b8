"""Turns a command into its call of the Authentication API."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gatepost_core.commands import IN_REQUEST, LoginCommand, recipient_of
from gatepost_core.kinds import Identifier
from gatepost_core.outcomes import TokenSet
from gatepost_worker.authentication import RequestOverrides, StartResponse, TokenResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from gatepost_core.commands import Command
    from gatepost_core.kinds import Kind
    from gatepost_core.settings import Settings
    from gatepost_worker.authentication import Passwordless


def carry_out(command: Command, client: Passwordless) -> StartResponse | TokenResponse:
    """Make the command's one call and return the response.

    Raises:
        AuthenticationError: the subclass that names the cause.
    """
    if isinstance(command, LoginCommand):
        by_email = command.kind.identifier is Identifier.EMAIL
        log_in = client.login_with_email if by_email else client.login_with_sms
        return log_in(
            recipient_of(command),
            command.code.get_secret_value(),
            **_of_login(command),
            overrides=_overrides_of_command(command),
        )
    return start_of(command.kind, client)(recipient_of(command), overrides=_overrides_of_command(command))


def start_of(kind: Kind, client: Passwordless) -> Callable[..., StartResponse]:
    """Return the client's method that sends a message of a kind. All fields but the recipient come as overrides."""
    start = client.send_email if kind.identifier is Identifier.EMAIL else client.send_sms
    return partial(start, connection=None, send=None)


def _overrides_of_command(command: Command) -> RequestOverrides:
    return overrides_of(_in_request(command), command.extra, command.headers)


def overrides_of(
    fields: Mapping[str, Any], extra: Mapping[str, Any] | None = None, added: Mapping[str, str] | None = None
) -> RequestOverrides:
    """Return the part of a request that a command's fields make.

    Args:
        fields: fields of a command; those that do not reach Auth0 are left out, and those without a value.
        extra: more members of the body.
        added: more headers.
    """
    body: dict[str, Any] = {}
    headers: dict[str, str | None] = dict(added or {})
    for name, value in fields.items():
        if value is None or (place := IN_REQUEST.get(name)) is None:
            continue
        if place.header:
            headers[place.header] = str(value)
        else:
            body[place.member] = value
    if extra:
        body.update(extra)
    return RequestOverrides(body=body, headers=headers)


def deadline_of(kind: Kind, settings: Settings) -> float:
    """Return the total time limit of one call of a kind, in seconds. Its lease ends a margin later."""
    seconds: float = getattr(settings, kind.time_limit)
    return seconds


def token_set_of(response: TokenResponse) -> TokenSet:
    """Return the token set that the caller redeems."""
    return TokenSet(
        access_token=SecretStr(response.access_token),
        token_type=response.token_type,
        expires_in=response.expires_in,
        id_token=response.id_token and SecretStr(response.id_token),
        refresh_token=response.refresh_token and SecretStr(response.refresh_token),
        scope=response.scope,
    )


def _in_request(command: Command) -> dict[str, Any]:
    return {name: getattr(command, name) for name in IN_REQUEST if name in type(command).model_fields}


def _of_login(command: LoginCommand) -> dict[str, Any]:
    return {
        "realm": command.realm,
        "scope": command.scope,
        "audience": command.audience,
        "organization": command.organization,
        "nonce": command.nonce,
        "max_age": None if command.max_age is None else timedelta(seconds=command.max_age),
    }
