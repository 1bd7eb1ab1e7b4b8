"""Log in with an e-mailed code: a page for the address, a page for the code, and the person's name in the session.

uvicorn app:app        # with the variables of Gatepost, see README.md
"""

import base64
import html
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from gatepost import AsyncProducer
from gatepost.errors import (
    CodeAttemptsExhausted,
    CodeExpired,
    CodeRejected,
    GatepostError,
    InvalidCommand,
    NotFinished,
    NothingToRedeem,
    OperationFailed,
    OperationNotFound,
    WrongRedeemToken,
)

PATIENCE_S = 8.0
ADDRESS = '<label>E-mail <input name="email" type="email" required autofocus></label> <button>Send code</button>'
# Each person's session, by the id in the cookie. It is of this process alone: use your application's session store.
SESSIONS: dict[str, dict[str, str]] = {}
CODE = '<label>Code <input name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus></label>'


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One producer serves the process."""
    async with AsyncProducer() as app.state.producer:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=os.environ["SESSION_SECRET"], same_site="lax")


def begin_session(request: Request, name: str, value: str) -> None:
    """Begin a session under a new id. The old id, which may have been planted, opens nothing."""
    SESSIONS.pop(request.session.get("id", ""), None)
    request.session["id"] = secrets.token_urlsafe(32)
    SESSIONS[request.session["id"]] = {name: value}


def session_of(request: Request) -> dict[str, str]:
    """Return the person's session; empty if there is none."""
    return SESSIONS.get(request.session.get("id", ""), {})


def page(body: str, message: str = "", status: int = 200, *, refresh: bool = False) -> HTMLResponse:
    """Return a page with a message."""
    again = '<meta http-equiv="refresh" content="2">' if refresh else ""
    note = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>Log in</title>{again}<main>{note}{body}</main></html>', status
    )


def form(action: str, fields: str) -> str:
    """Return a form."""
    return f'<form method="post" action="{action}">{fields}</form>'


@app.get("/")
async def home(request: Request) -> HTMLResponse:
    """Greet a person, or ask for the address."""
    if email := session_of(request).get("email"):
        return page(f"<h1>Welcome, {html.escape(email)}</h1>")
    return page(form("/address", ADDRESS))


@app.post("/address")
async def address(request: Request, email: Annotated[str, Form()]) -> HTMLResponse:
    """Send a code. The page does not wait: the message leaves in the background."""
    try:
        await request.app.state.producer.send_email(email)
    except InvalidCommand:
        return page(form("/address", ADDRESS), "This is not an e-mail address.", 422)
    begin_session(request, "address", email)
    return page(form("/code", f"{CODE} <button>Log in</button>"), "We have sent you a code.")


@app.post("/code")
async def code(request: Request, code: Annotated[str, Form()]) -> RedirectResponse:
    """Hand the code to the background. The reference is a secret of this person's session: it redeems the tokens."""
    session = session_of(request)
    try:
        login = await request.app.state.producer.login_with_email(session["address"], code)
        session["login"] = login.reference
    except (InvalidCommand, KeyError):
        session.pop("login", None)
    return RedirectResponse("/login", status_code=303)


@app.get("/login")
async def login(request: Request) -> Response:
    """Wait for the tokens, and show a page that looks again if they take longer than a request should."""
    session = session_of(request)
    if "email" in session:
        return RedirectResponse("/", status_code=303)
    reference = session.get("login")
    if reference is None:
        return page(form("/code", f"{CODE} <button>Log in</button>"), "Please type the six digits of the code.", 422)
    try:
        tokens = await request.app.state.producer.handle(reference).redeem(timeout=PATIENCE_S)
    except NotFinished:
        return page("<p>This takes longer than usual. Please wait.</p>", refresh=True)
    except (OperationFailed, NothingToRedeem, WrongRedeemToken, OperationNotFound) as failure:
        return refused(request, failure)
    # The worker has verified the id_token.
    claims = json.loads(base64.urlsafe_b64decode(tokens.id_token.get_secret_value().split(".")[1] + "=="))
    begin_session(request, "email", claims["email"])
    return page(f"<h1>Welcome, {html.escape(claims['email'])}</h1>")


def refused(request: Request, failure: GatepostError) -> HTMLResponse:
    """Say what to do: type the code again, or ask for a new one."""
    session_of(request).pop("login", None)
    match failure:
        # Both are subclasses of CodeRejected.
        case CodeExpired():
            why = "This code is too old."
        case CodeAttemptsExhausted():
            why = "Too many tries with this code."
        case CodeRejected():
            why = "This is not the code. Please try again."
            return page(form("/code", f"{CODE} <button>Log in</button>"), why, 403)
        case OperationFailed():
            why = "The login did not work."
        case _:
            # The tokens were fetched before, or the record has expired.
            why = "Please log in again."
    return page(form("/address", ADDRESS), f"{why} We can send you a new code.", 403)
