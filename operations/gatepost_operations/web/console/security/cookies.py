"""The console's two cookies: the session, and the browser that is signing in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie. Scripts cannot read it, and other sites' forms do not send it.

    Attributes:
        name: its name. Over https it begins with `__Host-`, so that no other host and no http page can set it.
        secure: whether it is for https only.
        lifetime_s: seconds that the browser keeps it; None until the browser closes.
    """

    name: str
    secure: bool
    lifetime_s: int | None = None

    @classmethod
    def of(cls, purpose: str, url: str, lifetime_s: int | None = None) -> Cookie:
        """Return the cookie for a purpose of the console at a URL."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            return cls(f"__Host-gatepost-{purpose}", secure=True, lifetime_s=lifetime_s)
        # Browsers send cookies to every port of a host, so two consoles on this machine need two names.
        return cls(f"gatepost-{purpose}-{parts.port or 80}", secure=False, lifetime_s=lifetime_s)

    def read(self, request: HTTPConnection) -> str | None:
        """Return its value in a request; None if it is missing or too long."""
        value = request.cookies.get(self.name)
        return value if value and len(value) <= _LONGEST else None

    def set(self, response: Response, value: str) -> None:
        """Set it in a response."""
        response.set_cookie(
            self.name, value, max_age=self.lifetime_s, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def delete(self, response: Response) -> None:
        """Delete it in a response."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")
