"""Translate redis-py's errors into Gatepost's, with the cause and the way out."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own
    InvalidResponse,
    MasterDownError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own
)

from gatepost_core.errors import CorruptRecord, NewerForm, Unavailable, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

REDIS_URL: Final = "GATEPOST_REDIS_URL"
BROKER_URL: Final = "GATEPOST_BROKER_URL, or GATEPOST_REDIS_URL if it is not set"
REPEATED: Final = "gatepost_repeated"
"""Attribute of a redis-py error: the call had been tried before."""

NEWER: Final = "NEWER_FORM"
"""In the error of a script that met a value of a newer version."""
NOTHING_SENT: Final = "Nothing is sent."
READING: Final = "The operation continues; its state could not be read."
PERHAPS_RECORDED: Final = (
    "Nothing is sent now. It may have been recorded, to be sent later: ask again under the same idempotency key."
)
_PROBE_S: Final = 2.0
_FIRST_BYTES: Final = (b"+", b"-")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why Redis cannot be used.

    Attributes:
        label: the cause in a few words.
        sentence: the cause as a sentence, with the way out. `{url}` is replaced by the name of the setting.
        permanent: whether it lasts until the configuration changes.
        from_server: whether the server reported it, so that it did not carry out the call.
    """

    label: str
    sentence: str
    permanent: bool = True
    from_server: bool = True

    def about(self, url: str) -> str:
        """Return the sentence with the setting's name."""
        return self.sentence.format(url=url)


_PASSWORD: Final = Cause("wrong password", "Redis refuses the user name or password; correct {url}.")
_NO_PASSWORD: Final = Cause("no password given", "Redis asks for a password, and {url} has none; add it.")
_PASSWORD_UNWANTED: Final = Cause("no password expected", "Redis has no password; take it out of {url}.")
CLUSTER: Final = Cause(
    "cluster mode", "Redis runs in cluster mode, which Gatepost does not support; {url} must name a single Redis."
)
REPLICA: Final = Cause("a read-only replica", "Redis is a read-only replica; {url} must name the primary.")
_DATABASE: Final = Cause("no such database", "Redis has no database of that number; correct the end of {url}.")
_ACL: Final = Cause("not allowed", "Redis does not allow this user that command or key; correct its ACL.")
OLD: Final = Cause("too old", "Redis is too old: 7.0 or newer, or Valkey, is needed; upgrade it.")
UNKNOWN: Final = Cause(
    "a command is missing", "Redis lacks a command that Gatepost needs; it must not be renamed or disabled."
)
_PROTECTED: Final = Cause(
    "protected mode", "Redis is in protected mode and takes only local connections; give it a password."
)
_PROTOCOL: Final = Cause("not a Redis", "The server does not speak Redis's protocol; correct {url}.", from_server=False)
_CERTIFICATE: Final = Cause(
    "certificate not trusted",
    "The certificate of Redis is not trusted, or is for another name; check GATEPOST_REDIS_CA_BUNDLE and the host.",
    from_server=False,
)
_ASKS_CERTIFICATE: Final = Cause(
    "asks for a certificate",
    "Redis asks for a certificate; set GATEPOST_REDIS_CERTIFICATE and GATEPOST_REDIS_KEY.",
    from_server=False,
)
NEEDS_TLS: Final = Cause("speaks TLS", "Redis speaks TLS; write rediss:// in {url}.", from_server=False)
NO_TLS: Final = Cause("speaks no TLS", "Redis speaks no TLS; write redis:// in {url}.", from_server=False)
_FULL: Final = Cause("memory is full", "Redis refuses new data: its memory is full.", permanent=False)
_LOADING: Final = Cause("still loading", "Redis is still loading its data; try again in a moment.", permanent=False)
_NO_PRIMARY: Final = Cause(
    "no primary", "The replica has no connection to its primary; check the primary.", permanent=False
)
_NO_REPLICAS: Final = Cause(
    "too few replicas", "Redis refuses writes until enough replicas are connected; check the replicas.", permanent=False
)
_NOT_SAVED: Final = Cause(
    "cannot save", "Redis cannot save to disk and refuses writes; check its log and disk.", permanent=False
)
_BUSY: Final = Cause("busy", "Redis is busy with a script; try again in a moment.", permanent=False)
_CLIENTS: Final = Cause("too many clients", "Redis accepts no more connections; raise its maxclients.", permanent=False)
_POOL: Final = Cause(
    "no connection left", "All connections of this process to Redis are in use; try again in a moment.", permanent=False
)

_BY_CLASS: Final = {
    OutOfMemoryError: _FULL,
    NoPermissionError: _ACL,
    ReadOnlyError: REPLICA,
    MasterDownError: _NO_PRIMARY,
    ClusterDownError: CLUSTER,
    ClusterCrossSlotError: CLUSTER,
    MovedError: CLUSTER,
    AskError: CLUSTER,
    BusyLoadingError: _LOADING,
    MaxConnectionsError: _POOL,
    InvalidResponse: _PROTOCOL,
}
# Errors within a script and during the handshake have no class, so the text decides. The first match counts.
_BY_TEXT: Final = [
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (r"DENIED .*protected mode", _PROTECTED),
        (r"NOAUTH|Authentication required", _NO_PASSWORD),
        (r"without any password|no password is set", _PASSWORD_UNWANTED),
        (r"(?:^|error: )OOM", _FULL),
        (r"READONLY|read only replica", REPLICA),
        (r"cluster mode|CROSSSLOT|CLUSTERDOWN|do not hash to the same slot|non local key in a cluster", CLUSTER),
        (r"DB index|invalid DB", _DATABASE),
        (r"(?:^|error: )NOPERM|ACL failure in script|user executing the script can't", _ACL),
        (r"Error compiling script", OLD),
        (r"unknown command|Unknown (Redis|Valkey) command|command is not allowed from script", UNKNOWN),
        (r"max number of clients", _CLIENTS),
        (r"(?:^|error: )LOADING", _LOADING),
        (r"(?:^|error: )MASTERDOWN", _NO_PRIMARY),
        (r"(?:^|error: )NOREPLICAS", _NO_REPLICAS),
        (r"(?:^|error: )MISCONF", _NOT_SAVED),
        (r"(?:^|error: )(?:BUSY|UNKILLABLE)", _BUSY),
        (r"CERTIFICATE_VERIFY_FAILED", _CERTIFICATE),
        (r"CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA", _ASKS_CERTIFICATE),
        (r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|record layer failure", NO_TLS),
    )
]


@contextmanager
def translated_errors(if_lost: str = NOTHING_SENT, if_refused: str = NOTHING_SENT) -> Iterator[None]:
    """Raise redis-py's errors as Gatepost's.

    Args:
        if_lost: a sentence for a call that may have been carried out, because no answer came.
        if_refused: a sentence for a call that Redis refused.

    Raises:
        CorruptRecord: a script cannot read a stored record.
        Unusable: the configuration must be corrected first.
        Unavailable: any other error.
    """
    try:
        yield
    except RedisError as failure:
        error = translate(failure, if_lost=if_lost, if_refused=if_refused)
    else:
        return
    raise error from None


@contextmanager
def diagnosed_errors(client: Redis, url: str) -> Iterator[None]:
    """Do the same as `translated_errors`, and probe a server that does not answer for a mix-up of TLS and plaintext.

    Args:
        client: the client in use.
        url: the setting with the server's URL, for the message.
    """
    try:
        yield
    except RedisError as failure:
        error = translate(failure, url=url, cause=diagnose(client, failure))
    else:
        return
    raise error from None


def translate(
    failure: RedisError,
    *,
    if_lost: str = NOTHING_SENT,
    if_refused: str = NOTHING_SENT,
    url: str = REDIS_URL,
    cause: Cause | None = None,
) -> Unavailable:
    """Return Gatepost's error for an error of redis-py.

    Args:
        failure: the error of redis-py.
        if_lost: a sentence for a call that may have been carried out.
        if_refused: a sentence for a call that was certainly not carried out.
        url: the setting with the server's URL.
        cause: the cause, if it is known from elsewhere.
    """
    cause = cause or cause_of(failure)
    if cause is None:
        if _is_about_a_record(failure):
            if NEWER in str(failure):
                return NewerForm()
            return CorruptRecord(f"A record in Redis is damaged. {if_refused}")
        return Unavailable(f"Redis did not answer ({type(failure).__name__}). {if_lost}")
    # An earlier try of the same call may have been carried out with only its answer lost.
    certain = cause.from_server and not getattr(failure, REPEATED, False)
    text = f"{cause.about(url)} {if_refused if certain else if_lost}"
    return Unusable(text) if cause.permanent else Unavailable(text)


def broker_error(failure: BaseException, remark: str = "") -> Unavailable:
    """Return Gatepost's error for an error of kombu, py-amqp or redis-py.

    Args:
        failure: the error.
        remark: a sentence to add.
    """
    cause = broker_cause(failure)
    text = f"The broker did not answer ({type(failure).__name__})." if cause is None else cause.about(BROKER_URL)
    text = f"{text} {remark}".rstrip()
    return Unusable(text) if cause is not None and cause.permanent else Unavailable(text)


def broker_cause(failure: BaseException) -> Cause | None:
    """Return the cause that a Redis broker states; None if it did not answer, or for RabbitMQ. kombu wraps some of redis-py's errors."""
    stated = next((one for one in (failure, failure.__cause__) if isinstance(one, RedisError)), None)
    return None if stated is None else cause_of(stated)


def cause_of(failure: BaseException) -> Cause | None:
    """Return the cause that an error of redis-py states; None if there was no answer, or if the error is about stored data."""
    by_class = next((cause for kind, cause in _BY_CLASS.items() if isinstance(failure, kind)), None)
    by_text = next((cause for pattern, cause in _BY_TEXT if pattern.search(str(failure))), None)
    if by_class is None and by_text is None and isinstance(failure, AuthenticationError):
        return _PASSWORD
    return by_class or by_text


def diagnose(client: Redis, failure: RedisError) -> Cause | None:
    """Return the cause of an error. If the error does not state one, open a connection to the server to find it."""
    cause = cause_of(failure)
    if cause is None and isinstance(failure, ConnectionError | TimeoutError):
        return _probe(client.connection_pool)
    return cause


def _is_about_a_record(failure: RedisError) -> bool:
    # Errors within a script name its line.
    return type(failure) is ResponseError and "user_script" in str(failure)


def _probe(pool: Any) -> Cause | None:
    options = pool.connection_kwargs
    if "host" not in options:
        return None
    address = (str(options["host"]), int(options.get("port", 6379)))
    with_tls = hasattr(pool.connection_class, "_wrap_socket_with_ssl") or "ssl_cert_reqs" in options
    with suppress(OSError), socket.create_connection(address, timeout=_PROBE_S) as connection:
        if with_tls:
            connection.sendall(b"PING\r\n")
            return NO_TLS if connection.recv(1) in _FIRST_BYTES else None
        return NEEDS_TLS if _speaks_tls(connection) else None
    return None


def _speaks_tls(connection: socket.socket) -> bool:
    # Nothing is sent over this connection, so the certificate does not matter.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(connection):
            return True
    except ssl.SSLError as failure:
        # A TLS alert is TLS too.
        return "ALERT" in str(failure.reason)
