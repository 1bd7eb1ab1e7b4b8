"""The console's guard: finds the operator of a request, and signs operators in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_operations.web.console.security.cookies import Cookie
from gatepost_operations.web.console.security.csrf import csrf_token
from gatepost_operations.web.console.security.gate import is_action, origin_of
from gatepost_operations.web.console.security.local_accounts import LocalAccounts
from gatepost_operations.web.console.security.oidc import CALLBACK, IdentityProvider
from gatepost_operations.web.console.security.refusals import SignInFailed, WrongPassword
from gatepost_operations.web.console.security.sessions import Sessions
from gatepost_operations.web.console.security.tries import Tries

if TYPE_CHECKING:
    from redis import Redis
    from starlette.requests import Request

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_operations.web.console.security.operators import Operator
    from gatepost_operations.web.console.security.settings import ConsoleSettings

_SIGNING_IN_S: Final = 3600


class Guard:
    """Sessions, local accounts and the identity provider. Thread-safe.

    Args:
        settings: the console's configuration.
        client: a connection to Redis.
        keys: the names in this Redis.
    """

    def __init__(self, settings: ConsoleSettings, client: Redis, keys: RedisKeys) -> None:
        self._url = settings.url
        self.sessions = Sessions(client, keys, idle_s=settings.session_idle, lifetime_s=settings.session_lifetime)
        is_secure = (settings.url or "").startswith("https://")
        self.session_cookie = Cookie("session", is_secure)
        self.browser_cookie = Cookie("sign-in", is_secure, _SIGNING_IN_S)
        self._tries = Tries(client, keys)
        self._accounts = LocalAccounts(settings.accounts_file) if settings.has_accounts else None
        self._provider = None if settings.oidc_issuer is None else IdentityProvider(settings, client, keys)

    @property
    def has_passwords(self) -> bool:
        """Whether local accounts can sign in."""
        return self._accounts is not None

    @property
    def has_provider(self) -> bool:
        """Whether an identity provider is configured."""
        return self._provider is not None

    def identify(self, request: Request) -> tuple[Operator | None, str]:
        """Return the operator of a request, None if no one is signed in, and the token for the forms of this browser.

        Raises:
            Unavailable: Redis did not answer.
        """
        session_id = self.session_cookie.read(request)
        operator = None
        if session_id is not None:
            operator = self._allowed(self.sessions.find(session_id, acted=is_action(request)))
        if session_id is not None and operator is not None:
            return operator, csrf_token(session_id)
        browser = self.browser_cookie.read(request)
        return None, "" if browser is None else csrf_token(browser)

    def callback_of(self, request: Request) -> str:
        """Return the URL to which the identity provider returns the browser."""
        return f"{origin_of(request, self._url)}{CALLBACK}"

    def password_sign_in(self, name: str, password: str, address: str) -> Operator:
        """Return the operator with a name and a password.

        Args:
            name: the name.
            password: the password.
            address: the browser's IP address.

        Raises:
            WrongPassword: one of them is wrong.
            TooManyTries: the account or the address must wait.
            SignInFailed: there are no local accounts.
        """
        if self._accounts is None:
            raise SignInFailed("This console has no local accounts. Sign in at the identity provider.")
        self._tries.count(name, address)
        operator = self._accounts.verify(name, password)
        if operator is None:
            raise WrongPassword
        self._tries.succeeded(name, address)
        return operator

    def provider(self) -> IdentityProvider:
        """Return the identity provider.

        Raises:
            SignInFailed: none is configured.
        """
        if self._provider is None:
            raise SignInFailed("This console has no identity provider. Sign in with a name and a password.")
        return self._provider

    def _allowed(self, operator: Operator | None) -> Operator | None:
        """Return the operator with the rights of this moment: an account may have been removed since the sign-in."""
        if operator is None or not operator.account.startswith("password:"):
            # Sessions of a provider that is no longer configured end, too.
            return operator if self._provider is not None else None
        return None if self._accounts is None else self._accounts.current(operator)
