"""Turns a command into its call of the Authentication API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from pydantic import SecretStr

from gatepost_core.commands import Command, Kind, LoginWithEmail, LoginWithSms, SendEmail, SendSms
from gatepost_core.outcomes import TokenSet
from gatepost_worker.authentication import RequestOverrides, StartResponse, TokenResponse

if TYPE_CHECKING:
    from typing import Any

    from gatepost_core.settings import Settings
    from gatepost_worker.authentication import Passwordless

START = "passwordless/start"
TOKEN = "oauth/token"  # noqa: S105 - a path, not a credential


def endpoint_of(command: Command) -> str:
    """Return the endpoint that a command calls."""
    return TOKEN if isinstance(command, LoginWithEmail | LoginWithSms) else START


def carry_out(command: Command, client: Passwordless) -> StartResponse | TokenResponse:
    """Make the command's one call and return the response.

    Raises:
        AuthenticationError: the subclass that names the cause.
    """
    match command:
        case SendEmail():
            return client.send_email(
                command.email.get_secret_value(), send=command.send, **_of_send(command), **_shared(command)
            )
        case SendSms():
            return client.send_sms(command.phone_number.get_secret_value(), **_of_send(command), **_shared(command))
        case LoginWithEmail():
            return client.login_with_email(
                command.email.get_secret_value(),
                command.code.get_secret_value(),
                **_of_login(command),
                **_shared(command),
            )
        case LoginWithSms():
            return client.login_with_sms(
                command.phone_number.get_secret_value(),
                command.code.get_secret_value(),
                **_of_login(command),
                **_shared(command),
            )
        case _:
            assert_never(command)


def deadline_of(kind: Kind, settings: Settings) -> float:
    """Return the total time limit of one call of a kind, in seconds. Its lease ends a margin later."""
    match kind:
        case Kind.SEND_EMAIL:
            return settings.email_deadline
        case Kind.SEND_SMS:
            return settings.sms_deadline
        case Kind.LOGIN_WITH_EMAIL | Kind.LOGIN_WITH_SMS:
            return settings.login_deadline
        case _:
            assert_never(kind)


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


def _of_send(command: SendEmail | SendSms) -> dict[str, Any]:
    return {"connection": command.connection, "auth_params": command.auth_params}


def _of_login(command: LoginWithEmail | LoginWithSms) -> dict[str, Any]:
    return {
        "realm": command.realm,
        "scope": command.scope,
        "audience": command.audience,
        "organization": command.organization,
        "nonce": command.nonce,
        "max_age": None if command.max_age is None else timedelta(seconds=command.max_age),
    }


def _shared(command: Command) -> dict[str, Any]:
    return {
        "language": command.language,
        "forwarded_for": command.client_ip and str(command.client_ip),
        "overrides": RequestOverrides(body=command.extra) if command.extra else None,
    }
