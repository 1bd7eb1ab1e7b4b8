"""Why the console refuses a request. Each is shown as a page."""

from __future__ import annotations

from typing import ClassVar

from gatepost_core.errors import GatepostError


class RequestRefused(GatepostError):
    """The request is refused."""

    status: ClassVar[int] = 403
    title: ClassVar[str] = "Refused"


class NotSignedIn(RequestRefused):
    """Sign in first."""

    status = 401
    title = "Sign in"


class LevelTooLow(RequestRefused):
    """Your access level does not allow this."""

    title = "Not allowed"

    def __init__(self, has: str, needs: str) -> None:
        super().__init__(
            f"This needs the access level {needs}, and yours is {has}. An admin of the accounts can change it."
        )


class ForgedRequest(RequestRefused):
    """The request did not come from a page of this console. Reload the page, and try again."""

    title = "Not from this console"


class WrongHost(RequestRefused):
    """The console has another address."""

    status = 421
    title = "Another address"

    def __init__(self, url: str) -> None:
        super().__init__(f"Open {url} instead. GATEPOST_CONSOLE_URL sets this address.")


class SignInFailed(RequestRefused):
    """The sign-in failed. Try again."""

    title = "Sign-in failed"


class WrongPassword(SignInFailed):
    """The name or the password is wrong."""


class NoRole(SignInFailed):
    """Your account has no access level in this console. Ask an admin of the accounts for one."""

    title = "No access level"


class ProviderAway(SignInFailed):
    """The identity provider does not answer, or its answer cannot be used. Try again later."""

    status = 502
    title = "The identity provider does not answer"


class TooManyTries(SignInFailed):
    """Too many failed tries.

    Attributes:
        wait_s: seconds until the next try.
    """

    status = 429
    title = "Too many tries"

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many failed tries. Try again in {wait_s:,} s.")
        self.wait_s = wait_s
