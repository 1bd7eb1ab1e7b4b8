"""The HTTP API and the console, each under its user of docs/how-to/secure-redis.md."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from gatepost_core.audit_log import AuditLog
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.maintenance.api_keys import ApiKeys, Scope, grant_of
from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_accounts import SignedInConsole, write_accounts
from support.console_server import WebServer
from support.redis_roles import url_of
from support.web_api import ALL_KINDS, CONSOLE_KEY, Api, running_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.settings import Settings
    from support.stack import Stack


@dataclass(frozen=True)
class Services:
    """What serves HTTP beside a stack.

    Attributes:
        stack: the stack.
        api: the HTTP API.
        console: the console.
    """

    stack: Stack
    api: Api
    console: SignedInConsole


def as_role(stack: Stack, role: str, **changes: Any) -> Settings:
    """Return the settings of a stack for a process that uses another user of Redis."""
    redis_url = SecretStr(url_of(role, stack.valkey.port))
    return stack.settings.model_copy(update={"redis_url": redis_url, **changes})


def new_api_key(stack: Stack) -> str:
    """Create an API key with every right, as an operator does."""
    settings = as_role(stack, "operator")
    grant = grant_of(
        {"name": "shop", "kinds": ALL_KINDS, "scopes": [scope.value for scope in Scope if scope is not Scope.CONSOLE]}
    )
    with connect(settings) as client:
        keys, fingerprints = RedisKeys(settings.namespace), settings.fingerprints()
        audit = AuditLog(client, keys, fingerprints, who="operator")
        return str(ApiKeys(client, keys, fingerprints, audit).create(grant)[1].get_secret_value())


@contextmanager
def services_beside(stack: Stack) -> Iterator[Services]:
    """Serve the HTTP API and the console beside a stack."""
    accounts = write_accounts(stack.directory / "users")
    with running_api(as_role(stack, "api", web_api_key=SecretStr(CONSOLE_KEY), auth0_client_secret=None)) as api:
        access = ConsoleSettings(users=accounts)
        app = create_app(as_role(stack, "console"), api.url, SecretStr(CONSOLE_KEY), access=access)
        with WebServer(app) as server:
            console = SignedInConsole(server.url, accounts)
            try:
                yield Services(stack, api, console)
            finally:
                console.close()
