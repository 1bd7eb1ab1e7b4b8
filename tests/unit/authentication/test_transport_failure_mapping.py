"""Every exception that requests and urllib3 can raise is mapped, and nothing claims more than it can know."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests.exceptions
import urllib3.exceptions
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from gatepost_worker import authentication as auth
from gatepost_worker.authentication import AuthenticationError, Delivery, Exchange
from gatepost_worker.authentication.transport_failures import TRANSPORT_ERRORS, translate

if TYPE_CHECKING:
    from types import ModuleType


def exceptions_of(module: ModuleType) -> set[type[Exception]]:
    """Return the exception classes that a module defines, warnings aside."""
    return {
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Exception)
        and not issubclass(found, Warning)
        and found.__module__ in {module.__name__, "urllib3.exceptions", "requests.exceptions"}
    }


def untracked(left: float = 60) -> Exchange:
    return Exchange(time.monotonic() + left)


def tracked(*, written: bool, left: float = 60) -> Exchange:
    return Exchange(time.monotonic() + left, tracked=True, write_began_at=time.monotonic() if written else None)


def bare(found: type[Exception]) -> Exception:
    """Make an exception without the objects that its constructor wants."""
    made = found.__new__(found)
    made.args = ()
    return made


R, U, H = requests.exceptions, urllib3.exceptions, http.client
EXPECTED: dict[type[Exception], type[AuthenticationError]] = {
    # requests
    R.RequestException: auth.ConnectionLost,
    R.InvalidJSONError: auth.AnswerUnreadable,
    R.JSONDecodeError: auth.AnswerUnreadable,
    R.HTTPError: auth.AnswerUnreadable,
    R.ConnectionError: auth.ConnectionLost,
    R.ProxyError: auth.ProxyFailed,
    R.SSLError: auth.ConnectionLost,
    R.Timeout: auth.AnswerTimedOut,
    R.ConnectTimeout: auth.ConnectTimedOut,
    R.ReadTimeout: auth.AnswerTimedOut,
    R.URLRequired: auth.RequestUnsendable,
    R.TooManyRedirects: auth.AnswerUnreadable,
    R.MissingSchema: auth.RequestUnsendable,
    R.InvalidSchema: auth.RequestUnsendable,
    R.InvalidURL: auth.RequestUnsendable,
    R.InvalidHeader: auth.AnswerUnreadable,
    R.InvalidProxyURL: auth.RequestUnsendable,
    R.ChunkedEncodingError: auth.AnswerTruncated,
    R.ContentDecodingError: auth.AnswerUnreadable,
    R.StreamConsumedError: auth.AnswerUnreadable,
    R.RetryError: auth.AnswerUnreadable,
    R.UnrewindableBodyError: auth.ConnectionLost,
    # urllib3
    U.HTTPError: auth.ConnectionLost,
    U.PoolError: auth.ConnectionLost,
    U.RequestError: auth.ConnectionLost,
    U.SSLError: auth.ConnectionLost,
    U.ProxyError: auth.ProxyFailed,
    U.DecodeError: auth.AnswerUnreadable,
    U.ProtocolError: auth.ConnectionLost,
    U.MaxRetryError: auth.ConnectionLost,
    U.HostChangedError: auth.RequestUnsendable,
    U.TimeoutStateError: auth.ConnectionLost,
    U.TimeoutError: auth.AnswerTimedOut,
    U.ReadTimeoutError: auth.AnswerTimedOut,
    U.ConnectTimeoutError: auth.ConnectTimedOut,
    U.NewConnectionError: auth.ConnectFailed,
    U.NameResolutionError: auth.NameNotResolved,
    U.EmptyPoolError: auth.PoolExhausted,
    U.FullPoolError: auth.ConnectionLost,
    U.ClosedPoolError: auth.PoolExhausted,
    U.LocationValueError: auth.RequestUnsendable,
    U.LocationParseError: auth.RequestUnsendable,
    U.URLSchemeUnknown: auth.RequestUnsendable,
    U.ResponseError: auth.AnswerUnreadable,
    U.ResponseNotChunked: auth.AnswerTruncated,
    U.BodyNotHttplibCompatible: auth.AnswerTruncated,
    U.IncompleteRead: auth.AnswerTruncated,
    U.InvalidChunkLength: auth.AnswerTruncated,
    U.InvalidHeader: auth.AnswerUnreadable,
    U.ProxySchemeUnknown: auth.RequestUnsendable,
    U.ProxySchemeUnsupported: auth.RequestUnsendable,
    U.HeaderParsingError: auth.AnswerUnreadable,
    U.UnrewindableBodyError: auth.ConnectionLost,
    # http.client
    H.HTTPException: auth.ConnectionLost,
    H.NotConnected: auth.ConnectionLost,
    H.InvalidURL: auth.ConnectionLost,
    H.UnknownProtocol: auth.AnswerUnreadable,
    H.UnknownTransferEncoding: auth.AnswerUnreadable,
    H.UnimplementedFileMode: auth.ConnectionLost,
    H.IncompleteRead: auth.AnswerTruncated,
    H.ImproperConnectionState: auth.ConnectionLost,
    H.CannotSendRequest: auth.ConnectionLost,
    H.CannotSendHeader: auth.ConnectionLost,
    H.ResponseNotReady: auth.ConnectionLost,
    H.BadStatusLine: auth.AnswerUnreadable,
    H.LineTooLong: auth.AnswerUnreadable,
    H.RemoteDisconnected: auth.ConnectionLost,
}


def test_the_list_names_every_exception_of_the_libraries() -> None:
    """A new version's new exception must be looked at by a person."""
    defined = exceptions_of(requests.exceptions) | exceptions_of(urllib3.exceptions) | exceptions_of(http.client)
    defined.discard(json.JSONDecodeError)

    assert {found.__qualname__ for found in defined - EXPECTED.keys()} == set()


@pytest.mark.parametrize("found", EXPECTED, ids=lambda found: f"{found.__module__}.{found.__qualname__}")
def test_every_exception_of_the_libraries_is_mapped(found: type[Exception]) -> None:
    """Where nothing is known but the exception."""
    assert issubclass(found, TRANSPORT_ERRORS)
    assert type(translate(bare(found), untracked())) is EXPECTED[found]


@pytest.mark.parametrize("found", EXPECTED, ids=lambda found: f"{found.__module__}.{found.__qualname__}")
def test_proof_outweighs_the_exception(found: type[Exception]) -> None:
    """The connection's mark decides whether the request left, for any exception."""
    before = translate(bare(found), tracked(written=False))
    after = translate(bare(found), tracked(written=True))

    assert before.delivery is Delivery.NOT_SENT
    assert after.delivery in {Delivery.MAYBE_SENT, Delivery.ANSWERED}
    assert after.may_have_taken_effect


def test_without_proof_only_what_is_certain_counts_as_unsent() -> None:
    """The complete list of exceptions of a custom adapter that prove a request was not sent."""
    certain = {found for found in EXPECTED if EXPECTED[found].delivery is Delivery.NOT_SENT}

    assert certain == {
        R.ProxyError,
        R.ConnectTimeout,
        R.URLRequired,
        R.MissingSchema,
        R.InvalidSchema,
        R.InvalidURL,
        R.InvalidProxyURL,
        U.ProxyError,
        U.HostChangedError,
        U.ConnectTimeoutError,
        U.NewConnectionError,
        U.NameResolutionError,
        U.EmptyPoolError,
        U.ClosedPoolError,
        U.LocationValueError,
        U.LocationParseError,
        U.URLSchemeUnknown,
        U.ProxySchemeUnknown,
        U.ProxySchemeUnsupported,
    }


POOL: Any = None
CONNECTION: Any = None


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] made up")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RequestsConnectionError(MaxRetryError(POOL, "/", NewConnectionError(CONNECTION, "refused"))),
            auth.ConnectFailed,
        ),
        (
            RequestsConnectionError(
                MaxRetryError(POOL, "/", U.NameResolutionError("host", CONNECTION, socket.gaierror(-2, "no")))
            ),
            auth.NameNotResolved,
        ),
        (R.ConnectTimeout(MaxRetryError(POOL, "/", U.ConnectTimeoutError(CONNECTION, "slow"))), auth.ConnectTimedOut),
        (R.ReadTimeout(ReadTimeoutError(POOL, "/", "slow")), auth.AnswerTimedOut),
        (
            R.ProxyError(MaxRetryError(POOL, "/", U.ProxyError("no", NewConnectionError(CONNECTION, "refused")))),
            auth.ProxyFailed,
        ),
        (
            RequestsConnectionError(ProtocolError("Connection aborted.", OSError("Tunnel connection failed: 407 no"))),
            auth.ProxyFailed,
        ),
        (
            RequestsConnectionError(ProtocolError("Connection aborted.", http.client.RemoteDisconnected("gone"))),
            auth.ConnectionLost,
        ),
        (
            RequestsConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))),
            auth.ConnectionLost,
        ),
        (
            RequestsConnectionError(ProtocolError("Connection aborted.", BrokenPipeError(32, "pipe"))),
            auth.ConnectionLost,
        ),
        (RequestsConnectionError(ProtocolError("Connection aborted.", H.BadStatusLine("x"))), auth.AnswerUnreadable),
        (R.ChunkedEncodingError(ProtocolError("broken", U.IncompleteRead(5, 5))), auth.AnswerTruncated),
        (RequestsConnectionError(ReadTimeoutError(POOL, None, "while reading the body")), auth.AnswerTimedOut),
        (
            R.SSLError(MaxRetryError(POOL, "/", U.SSLError(tls_error("UNEXPECTED_EOF_WHILE_READING")))),
            auth.ConnectionLost,
        ),
        (R.SSLError(MaxRetryError(POOL, "/", U.SSLError(tls_error("WRONG_VERSION_NUMBER")))), auth.TlsFailed),
        (R.SSLError(MaxRetryError(POOL, "/", U.SSLError(tls_error("TLSV1_ALERT_UNKNOWN_CA")))), auth.TlsFailed),
        (
            R.SSLError(MaxRetryError(POOL, "/", U.SSLError(ssl.SSLCertVerificationError(1, "self-signed")))),
            auth.TlsFailed,
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_wrapped_errors_are_unwrapped(error: Exception, expected: type[AuthenticationError]) -> None:
    """Under requests lies urllib3, and under that http.client and ssl; the innermost tells the story."""
    assert type(translate(error, untracked())) is expected


def test_a_certificate_refused_after_the_write_was_still_not_read() -> None:
    """Under TLS 1.3 the client writes before it hears that its certificate is refused."""
    error = R.SSLError(U.SSLError(tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED")))

    assert type(translate(error, tracked(written=True))) is auth.TlsFailed


def test_a_timeout_past_the_deadline_names_the_deadline() -> None:
    """Before the write nothing was sent; after it the outcome is unknown."""
    error = R.ReadTimeout(ReadTimeoutError(POOL, "/", "slow"))

    assert type(translate(error, tracked(written=False, left=-1))) is auth.NotSentInTime
    assert type(translate(error, tracked(written=True, left=-1))) is auth.DeadlineExceeded
    assert type(translate(error, untracked(left=-1))) is auth.DeadlineExceeded


def test_a_timeout_before_the_write_is_a_connect_timeout() -> None:
    """urllib3 calls a handshake that timed out a read timeout."""
    error = R.ReadTimeout(ReadTimeoutError(POOL, "/", "slow"))

    assert type(translate(error, tracked(written=False))) is auth.ConnectTimedOut


def test_the_lower_error_leaves_its_name_alone() -> None:
    """Nothing else of it: requests' exceptions hold the request, and urllib3's the URL."""
    request = requests.Request("POST", "https://u:password@host/", data="code=123456").prepare()
    translated = translate(R.ReadTimeout("body 123456", request=request), untracked(), status=200)

    assert translated.origin == "ReadTimeout"
    assert translated.status == 200
    assert "123456" not in repr(vars(translated)) + str(translated)
    assert translated.__cause__ is None
    assert translated.__context__ is None
