"""The console's two cookies: the session, and the browser that is signing in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie. Scripts cannot read it, and other sites' forms do not send it.

    Attributes:
        purpose: the end of its name.
        secure: whether it is for https only. Then its name begins with `__Host-`, so that no other host and no http page can set it.
        lifetime_s: seconds that the browser keeps it; None until the browser closes.
    """

    purpose: str
    secure: bool
    lifetime_s: int | None = None

    def read(self, request: Request) -> str | None:
        """Return its value in a request; None if it is missing or too long."""
        value = request.cookies.get(self.name_in(request))
        return value if value and len(value) <= _LONGEST else None

    def set(self, request: Request, response: Response, value: str) -> None:
        """Set it in the response to a request."""
        response.set_cookie(
            self.name_in(request),
            value,
            max_age=self.lifetime_s,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def delete(self, request: Request, response: Response) -> None:
        """Delete it in the response to a request."""
        response.delete_cookie(self.name_in(request), secure=self.secure, httponly=True, samesite="lax")

    def name_in(self, request: Request) -> str:
        """Return its name. Browsers send cookies to every port of a host, so two consoles on this machine need two names."""
        if self.secure:
            return f"__Host-gatepost-{self.purpose}"
        return f"gatepost-{self.purpose}-{request.url.port or 80}"
