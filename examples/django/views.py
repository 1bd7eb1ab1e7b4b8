"""Register with an e-mail address, and log in with the code that arrives."""

from functools import cache

from django.contrib.auth import get_user_model
from django.contrib.auth import login as start_session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from gatepost import Producer
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


@cache
def producer() -> Producer:
    """One producer serves the process. It is made in the process that uses it, after the server has forked."""
    return Producer()


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Greet a person, or ask for the address."""
    return render(request, "home.html")


@require_POST
def register(request: HttpRequest) -> HttpResponse:
    """Create the user, and send a code once the user is really in the database."""
    email = request.POST.get("email", "").strip()
    try:
        validate_email(email)
    except ValidationError:
        return render(request, "home.html", {"message": "This is not an e-mail address."}, status=422)
    with transaction.atomic():
        get_user_model().objects.get_or_create(username=email, defaults={"email": email})
        # A transaction that is rolled back sends nothing.
        transaction.on_commit(lambda: producer().send_email(email))
    request.session["address"] = email
    return render(request, "code.html", {"message": "We have sent you a code."})


@require_POST
def code(request: HttpRequest) -> HttpResponse:
    """Hand the code to the background. The reference is a secret of this person's session: it redeems the tokens."""
    try:
        handle = producer().login_with_email(request.session["address"], request.POST.get("code", ""))
    except (InvalidCommand, KeyError):
        return render(request, "code.html", {"message": "Please type the digits of the code."}, status=422)
    request.session["login"] = handle.reference
    return redirect("/login")


@require_GET
def login(request: HttpRequest) -> HttpResponse:
    """Wait for the outcome, and show a page that looks again if it takes longer than a request should."""
    if "login" not in request.session:
        return redirect("/")
    try:
        producer().handle(request.session["login"]).redeem(timeout=PATIENCE_S)
    except NotFinished:
        return render(request, "wait.html")
    except (OperationFailed, NothingToRedeem, WrongRedeemToken, OperationNotFound) as failure:
        return refused(request, failure)
    user = get_user_model().objects.get(username=request.session["address"])
    # Django gives the session a new key here, and the old reference goes with it.
    request.session.flush()
    start_session(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("/")


def refused(request: HttpRequest, failure: GatepostError) -> HttpResponse:
    """Say what to do: type the code again, or ask for a new one."""
    del request.session["login"]
    match failure:
        # Both are subclasses of CodeRejected.
        case CodeExpired() | CodeAttemptsExhausted():
            template, why = "home.html", "This code does not work any more. We can send a new one."
        case CodeRejected():
            template, why = "code.html", "This is not the code. Please try again."
        case OperationFailed():
            template, why = "home.html", "The login did not work. We can send a new code."
        case _:
            # The tokens were fetched before, or the record has expired.
            template, why = "home.html", "Please log in again. We can send a new code."
    return render(request, template, {"message": why}, status=403)
