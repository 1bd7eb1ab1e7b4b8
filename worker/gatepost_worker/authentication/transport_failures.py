"""Translates a failure below HTTP into a typed error that says how far the request got."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Final

import requests.exceptions as requests_errors
import urllib3.exceptions as urllib3_errors
from urllib3.util.ssl_match_hostname import CertificateError

from gatepost_worker.authentication import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_worker.authentication.http_exchange import Exchange

# The exceptions that a transport raises for a network failure. Any other is a fault in the program.
TRANSPORT_ERRORS: Final = (
    requests_errors.RequestException,
    urllib3_errors.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)

# The first row that matches an exception in the chain wins. Wrappers with a clear meaning come before the exceptions that they wrap.
TABLE: Final[tuple[tuple[type[errors.AuthenticationError], tuple[type[Exception], ...]], ...]] = (
    (errors.PoolExhausted, (urllib3_errors.EmptyPoolError, urllib3_errors.ClosedPoolError)),
    (errors.ProxyFailed, (urllib3_errors.ProxyError, requests_errors.ProxyError)),
    (errors.NameNotResolved, (urllib3_errors.NameResolutionError, socket.gaierror)),
    (
        errors.RequestUnsendable,
        (
            requests_errors.URLRequired,
            requests_errors.MissingSchema,
            requests_errors.InvalidSchema,
            requests_errors.InvalidURL,
            urllib3_errors.LocationValueError,
            urllib3_errors.ProxySchemeUnsupported,
            urllib3_errors.HostChangedError,
        ),
    ),
    (errors.TlsFailed, (ssl.SSLCertVerificationError, CertificateError)),
    (errors.ConnectFailed, (urllib3_errors.NewConnectionError, ConnectionRefusedError)),
    (errors.ConnectTimedOut, (urllib3_errors.ConnectTimeoutError, requests_errors.ConnectTimeout)),
    (errors.AnswerTimedOut, (urllib3_errors.TimeoutError, requests_errors.Timeout, TimeoutError)),
    (
        errors.AnswerTruncated,
        (
            http.client.IncompleteRead,  # urllib3's IncompleteRead and InvalidChunkLength derive from it
            requests_errors.ChunkedEncodingError,
            urllib3_errors.ResponseNotChunked,
            urllib3_errors.BodyNotHttplibCompatible,
        ),
    ),
    # RemoteDisconnected is a BadStatusLine, but no response came
    (errors.ConnectionLost, (http.client.RemoteDisconnected,)),
    (
        errors.AnswerUnreadable,
        (
            urllib3_errors.DecodeError,
            urllib3_errors.InvalidHeader,
            urllib3_errors.HeaderParsingError,
            urllib3_errors.ResponseError,
            requests_errors.ContentDecodingError,
            requests_errors.InvalidHeader,
            requests_errors.InvalidJSONError,
            requests_errors.StreamConsumedError,
            requests_errors.TooManyRedirects,
            requests_errors.RetryError,
            requests_errors.HTTPError,
            http.client.BadStatusLine,
            http.client.LineTooLong,
            http.client.UnknownProtocol,
            http.client.UnknownTransferEncoding,
        ),
    ),
    # Any other failure may have happened after the write
    (errors.ConnectionLost, (Exception,)),
)

# TLS alerts that a server sends only in the handshake, about the client's certificate, versions or ciphers. Under TLS 1.3 they arrive after
# the client has written, but the server has not read the request (RFC 8446, sections 4.4.2.4 and 6.2).
_HANDSHAKE_ALERTS: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "HANDSHAKE_FAILURE",
    "PROTOCOL_VERSION",
    "INSUFFICIENT_SECURITY",
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
)
_TUNNEL_REFUSED: Final = "Tunnel connection failed"


def translate(error: Exception, exchange: Exchange, status: int | None = None) -> errors.AuthenticationError:
    """Return the typed error for an exception of a transport. Only the class's name is kept of the exception.

    Args:
        error: the exception.
        exchange: the exchange; the marks of its connection outweigh the exception's class.
        status: the HTTP status, if a status line came.
    """
    chain = list(_chain(error))
    chosen = _by_marks(_by_table(chain), chain, exchange)
    return chosen(status=status, origin=type(chain[-1]).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and the exceptions that it wraps, outermost first."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        found = queue.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        queue += [*found.args, getattr(found, "reason", None), found.__cause__]


def _by_table(chain: list[BaseException]) -> type[errors.AuthenticationError]:
    if any(isinstance(found, OSError) and _TUNNEL_REFUSED in str(found) for found in chain):
        return errors.ProxyFailed
    if any(_is_handshake_alert(found) for found in chain):
        return errors.TlsFailed
    return next(chosen for chosen, types in TABLE if any(isinstance(found, types) for found in chain))


def _is_handshake_alert(error: BaseException) -> bool:
    reason = getattr(error, "reason", None)
    return isinstance(error, ssl.SSLError) and isinstance(reason, str) and reason.endswith(_HANDSHAKE_ALERTS)


def _by_marks(
    chosen: type[errors.AuthenticationError], chain: list[BaseException], exchange: Exchange
) -> type[errors.AuthenticationError]:
    timed_out = chosen in {errors.ConnectTimedOut, errors.AnswerTimedOut}
    if exchange.surely_not_sent and not issubclass(chosen, errors.NotReached):
        chosen = _unsent(chain, timed_out=timed_out)
    elif exchange.surely_began and issubclass(chosen, errors.NotReached) and not any(map(_is_handshake_alert, chain)):
        chosen = errors.AnswerTimedOut if timed_out else errors.ConnectionLost
    if timed_out and exchange.remaining() <= 0:
        return errors.NotSentInTime if issubclass(chosen, errors.NotReached) else errors.DeadlineExceeded
    return chosen


def _unsent(chain: list[BaseException], *, timed_out: bool) -> type[errors.NotReached]:
    """Return the class for a failure that came before the write."""
    if timed_out:
        return errors.ConnectTimedOut
    if any(isinstance(found, (ssl.SSLError, urllib3_errors.SSLError)) for found in chain):
        return errors.TlsFailed
    if any(isinstance(found, ValueError) for found in chain):
        return errors.RequestUnsendable
    return errors.ConnectFailed
