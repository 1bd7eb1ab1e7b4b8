"""The operator who sent a request, and the access level that a page needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from fastapi import Depends, HTTPException, Request

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send


class Level(IntEnum):
    """An access level. Each includes the ones before it."""

    READ_ONLY = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Operator:
    """A signed-in operator."""

    name: str
    level: Level


Identify = Callable[[Request], Operator | None]


def no_one(_: Request) -> Operator | None:
    """Return None: no one is signed in."""
    return None


def add_sign_in(app: FastAPI, identify: Identify) -> None:
    """Note the operator of each request."""
    app.add_middleware(_NoteOperator, identify=identify)


class _NoteOperator:
    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self._app, self._identify = app, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            request.state.operator = self._identify(request)
        await self._app(scope, receive, send)


def signed_in(request: Request) -> Operator | None:
    """Return the operator who sent a request; None if no one is signed in."""
    operator: Operator | None = getattr(request.state, "operator", None)
    return operator


def operator_of(request: Request) -> Operator:
    """Return the operator who sent a request.

    Raises:
        HTTPException: no one is signed in (401).
    """
    operator = signed_in(request)
    if operator is None:
        raise HTTPException(401, "Sign in first.")
    return operator


def require(level: Level) -> Any:
    """Return a dependency that refuses operators below an access level, and requests without an operator."""

    def check(request: Request) -> None:
        if operator_of(request).level < level:
            raise HTTPException(403, f"This needs the access level {level.name.lower().replace('_', '-')}.")

    return Depends(check)
