"""Operators, their access levels, and the dependency with which a route declares its level."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import fastapi.routing
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.routing import Mount

from gatepost_operations.web.console.security.csrf import SAFE_METHODS, require_token
from gatepost_operations.web.console.security.refusals import LevelTooLow, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

_STATIC: Final = "/static"


class Level(IntEnum):
    """An access level. Each includes the ones before it."""

    READ_ONLY = 1
    OPERATOR = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")

    @classmethod
    def named(cls, text: str) -> Level:
        """Return the level with a name such as `read-only`.

        Raises:
            KeyError: there is no such level.
        """
        return {str(level): level for level in cls}[text]


@dataclass(frozen=True, slots=True)
class Operator:
    """A signed-in operator.

    Attributes:
        name: the name in pages and in the audit log.
        level: the access level.
        account: the unique id of the account: `password:NAME`, or `oidc:SUBJECT`.
        credential: identifies the password with which the operator signed in; empty for OIDC.
    """

    name: str
    level: Level
    account: str = ""
    credential: str = ""


class Require:
    """The request needs an operator with this level, and a token if it changes something."""

    def __init__(self, level: Level) -> None:
        self.level = level

    async def __call__(self, request: Request) -> None:
        """Check a request.

        Raises:
            NotSignedIn: no one is signed in.
            LevelTooLow: the operator's level does not include this one.
            ForgedRequest: the token is missing or wrong.
        """
        operator = operator_of(request)
        if operator.level < self.level:
            raise LevelTooLow(str(operator.level), str(self.level))
        if request.method not in SAFE_METHODS:
            await require_token(request)


class WithoutSignIn:
    """The request needs no operator. It still needs a token if it changes something."""

    async def __call__(self, request: Request) -> None:
        """Check a request.

        Raises:
            ForgedRequest: the token is missing or wrong.
        """
        if request.method not in SAFE_METHODS:
            await require_token(request)


def require(level: Level) -> Any:
    """Return a dependency that refuses operators below an access level, and requests without an operator."""
    return Depends(Require(level))


def without_sign_in() -> Any:
    """Return a dependency for the routes before the sign-in."""
    return Depends(WithoutSignIn())


def signed_in(request: Request) -> Operator | None:
    """Return the operator who sent a request; None if no one is signed in."""
    operator: Operator | None = getattr(request.state, "operator", None)
    return operator


def operator_of(request: Request) -> Operator:
    """Return the operator who sent a request.

    Raises:
        NotSignedIn: no one is signed in.
    """
    operator = signed_in(request)
    if operator is None:
        raise NotSignedIn
    return operator


def declared_levels(app: FastAPI) -> Iterator[tuple[str, str, Level | None, bool]]:
    """Yield each method and path of an app with the level that its route declares, and whether it declares anything.

    The mount of static files is the only one that needs none.
    """
    # Older versions of FastAPI flatten included routers by themselves.
    contexts: Any = getattr(fastapi.routing, "iter_route_contexts", iter)
    for route in contexts(app.routes):
        path = str(route.path)
        original = getattr(route, "original_route", route)
        if not isinstance(original, APIRoute):
            yield "ANY", path, None, isinstance(original, Mount) and path == _STATIC
            continue
        calls = [one.call for one in route.dependant.dependencies]
        levels = [one.level for one in calls if isinstance(one, Require)]
        declares = bool(levels) or any(isinstance(one, WithoutSignIn) for one in calls)
        for method in sorted(route.methods or ()):
            yield method, path, max(levels, default=None), declares


def require_levels(app: FastAPI) -> None:
    """Check that every route declares its level, so that a forgotten one stops the start.

    Raises:
        RuntimeError: a route declares none.
    """
    if forgotten := [path for _, path, _, declares in declared_levels(app) if not declares]:
        raise RuntimeError(f"these routes declare no access level: {', '.join(forgotten)}")
