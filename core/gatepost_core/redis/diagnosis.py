"""Why a Redis cannot be used: one cause for each way it refuses, in a sentence that says what to do.

Distinguishes causes that last until the configuration changes from temporary ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One cause.

    Attributes:
        found: the cause in a few words.
        sentence: the cause as a sentence, with the way out; `{url}` is replaced by the name of the setting.
        lasts: whether it lasts until the configuration changes.
        answered: whether the server reported it, and so did not carry out the call.
    """

    found: str
    sentence: str
    lasts: bool = True
    answered: bool = True

    def about(self, url: str) -> str:
        """Return the sentence with the setting's name."""
        return self.sentence.format(url=url)


_PASSWORD: Final = Trouble("wrong password", "Redis refuses the user name or password; correct {url}.")
_NO_PASSWORD: Final = Trouble("no password given", "Redis asks for a password, and {url} has none; add it.")
_PASSWORD_UNWANTED: Final = Trouble("no password expected", "Redis has no password; take it out of {url}.")
CLUSTER: Final = Trouble(
    "cluster mode", "Redis runs in cluster mode, which Gatepost does not support; {url} must name a single Redis."
)
REPLICA: Final = Trouble("a read-only replica", "Redis is a read-only replica; {url} must name the primary.")
_DATABASE: Final = Trouble("no such database", "Redis has no database of that number; correct the end of {url}.")
_ACL: Final = Trouble("not allowed", "Redis does not allow this user that command or key; correct its ACL.")
OLD: Final = Trouble("too old", "Redis is too old: 7.0 or newer, or Valkey, is needed; upgrade it.")
UNKNOWN: Final = Trouble(
    "a command is missing", "Redis lacks a command that Gatepost needs; it must not be renamed or disabled."
)
_PROTECTED: Final = Trouble(
    "protected mode", "Redis is in protected mode and takes only local connections; give it a password."
)
_PROTOCOL: Final = Trouble("not a Redis", "The server does not speak Redis's protocol; correct {url}.", answered=False)
_CERTIFICATE: Final = Trouble(
    "certificate not trusted",
    "The certificate of Redis is not trusted, or is for another name; check GATEPOST_REDIS_CA_BUNDLE and the host.",
    answered=False,
)
_ASKS_CERTIFICATE: Final = Trouble(
    "asks for a certificate",
    "Redis asks for a certificate; set GATEPOST_REDIS_CERTIFICATE and GATEPOST_REDIS_KEY.",
    answered=False,
)
NEEDS_TLS: Final = Trouble("speaks TLS", "Redis speaks TLS; write rediss:// in {url}.", answered=False)
NO_TLS: Final = Trouble("speaks no TLS", "Redis speaks no TLS; write redis:// in {url}.", answered=False)
_FULL: Final = Trouble("memory is full", "Redis refuses new data: its memory is full.", lasts=False)
_LOADING: Final = Trouble("still loading", "Redis is still loading its data; try again in a moment.", lasts=False)
_NO_PRIMARY: Final = Trouble(
    "no primary", "The replica has no connection to its primary; check the primary.", lasts=False
)
_NO_REPLICAS: Final = Trouble(
    "too few replicas", "Redis refuses writes until enough replicas are connected; check the replicas.", lasts=False
)
_NOT_SAVED: Final = Trouble(
    "cannot save", "Redis cannot save to disk and refuses writes; check its log and disk.", lasts=False
)
_BUSY: Final = Trouble("busy", "Redis is busy with a script; try again in a moment.", lasts=False)
_CLIENTS: Final = Trouble("too many clients", "Redis accepts no more connections; raise its maxclients.", lasts=False)
_POOL: Final = Trouble(
    "no connection left", "All connections of this process to Redis are in use; try again in a moment.", lasts=False
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
# By the text, because errors within a script and during the handshake have no class of their own. The first match counts.
_BY_TEXT: Final = [
    (re.compile(pattern, re.IGNORECASE), trouble)
    for pattern, trouble in (
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


def trouble_of(failure: BaseException) -> Trouble | None:
    """Return the cause of an error of redis-py's, or None when the server just did not answer, or the error is about stored data."""
    by_class = next((trouble for kind, trouble in _BY_CLASS.items() if isinstance(failure, kind)), None)
    by_text = next((trouble for pattern, trouble in _BY_TEXT if pattern.search(str(failure))), None)
    if by_class is None and by_text is None and isinstance(failure, AuthenticationError):
        return _PASSWORD
    return by_class or by_text
