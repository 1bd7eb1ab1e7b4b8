"""The probe's mailbox over IMAP, with TLS (RFC 9051, RFC 8314)."""

from __future__ import annotations

import imaplib
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from gatepost_core.probe_results import Cause
from gatepost_operations.probing.code_source import ProbeFailure
from gatepost_operations.probing.message import RECIPIENT_HEADERS, code_in_message, is_own

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pydantic import SecretStr

    from gatepost_core.identifiers import OneTimeCode, Personal

_LOOK_EVERY_S: Final = 1.0
_ANSWER_S: Final = 20.0
# Octets. A template's pictures are links or come after its text.
_MOST_READ: Final = 262_144
_HEADERS: Final = f"(BODY.PEEK[HEADER.FIELDS (DATE {' '.join(RECIPIENT_HEADERS).upper()})])"
_BODY: Final = f"(BODY.PEEK[]<0.{_MOST_READ}>)"
_OK: Final = "OK"


@dataclass(frozen=True, slots=True)
class ImapAccess:
    """How to reach the mailbox.

    Attributes:
        host: the server.
        port: its port for TLS from the first byte.
        user: the user.
        password: the password.
        folder: the folder that messages arrive in.
        ca_bundle: trusted authorities; None for those of the system.
    """

    host: str
    port: int
    user: Personal
    password: SecretStr
    folder: str = "INBOX"
    ca_bundle: Path | None = None


class ImapMailbox:
    """Takes the code from the newest message that arrived after `prepare`, for the probe's address. Reads no other message's body.

    Args:
        access: how to reach the mailbox.
        address: the address that the probe sends to, normalised.
        pattern: matches a code.
        used: the fate of the message whose code was used.
        clock: the monotonic clock, in seconds.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        access: ImapAccess,
        address: Personal,
        pattern: re.Pattern[str],
        used: Literal["delete", "mark", "keep"] = "delete",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._access = access
        self._address = address
        self._pattern = pattern
        self._used = used
        self._clock = clock
        self._sleep = sleep
        self._imap: imaplib.IMAP4 | None = None
        self._since = datetime.now(UTC)
        self._next_uid = 1
        self._foreign: set[int] = set()
        self._taken: int | None = None

    def prepare(self) -> None:
        """Log in, and note which messages are there already. Errors are those of `CodeSource`."""
        self._since = datetime.now(UTC)
        self._imap = self._connected()
        self._log_in(self._imap)
        self._next_uid = self._asked(self._opened)

    def code(self, ends_at: float) -> OneTimeCode:
        """Return the code of the newest own message. A message without a code may be from another sender, so the wait continues."""
        failure = Cause.MESSAGE_LATE
        while True:
            for uid in self._asked(self._own_messages):
                found = code_in_message(self._asked(self._fetched, uid, _BODY), self._pattern)
                if not isinstance(found, Cause):
                    self._taken = uid
                    return found
                self._foreign.add(uid)
                failure = found
            left = ends_at - self._clock()
            if left <= 0:
                raise ProbeFailure(failure)
            self._sleep(min(_LOOK_EVERY_S, left))

    def use(self) -> None:
        """Delete or mark the message whose code was returned."""
        if self._imap is None or self._taken is None or self._used == "keep":
            return
        with suppress(imaplib.IMAP4.error, OSError):
            flags = r"(\Seen)" if self._used == "mark" else r"(\Seen \Deleted)"
            self._imap.uid("STORE", str(self._taken), "+FLAGS.SILENT", flags)
            # Without UIDPLUS, an expunge would also remove messages that others marked.
            if self._used == "delete" and "UIDPLUS" in self._imap.capabilities:
                self._imap.uid("EXPUNGE", str(self._taken))

    def close(self) -> None:
        """Log out."""
        if self._imap is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                self._imap.logout()
            # A logout that fails leaves the socket open.
            with suppress(OSError):
                self._imap.shutdown()
            self._imap = None

    def _connected(self) -> imaplib.IMAP4:
        access = self._access
        try:
            trusted = ssl.create_default_context(cafile=access.ca_bundle)
            return imaplib.IMAP4_SSL(access.host, access.port, ssl_context=trusted, timeout=_ANSWER_S)
        except ssl.SSLError as error:
            failure = ProbeFailure(Cause.MAILBOX_TLS_FAILED, getattr(error, "verify_message", None) or error.reason)
        except FileNotFoundError as error:
            failure = ProbeFailure(Cause.MAILBOX_TLS_FAILED, type(error).__name__)
        except (imaplib.IMAP4.error, OSError, UnicodeError) as error:
            failure = ProbeFailure(Cause.MAILBOX_UNREACHABLE, type(error).__name__)
        raise failure

    def _log_in(self, imap: imaplib.IMAP4) -> None:
        try:
            if "AUTH=PLAIN" in imap.capabilities:
                # A LOGIN command takes ASCII alone.
                imap.authenticate("PLAIN", self._credentials)
            else:
                imap.login(self._access.user.get_secret_value(), self._access.password.get_secret_value())
        except (imaplib.IMAP4.abort, OSError) as error:
            failure = ProbeFailure(Cause.MAILBOX_UNREACHABLE, type(error).__name__)
        except (imaplib.IMAP4.error, UnicodeError) as error:
            # RFC 5530: the server cannot check the password now.
            away = "[UNAVAILABLE]" in str(error).upper()
            failure = ProbeFailure(Cause.MAILBOX_UNREACHABLE if away else Cause.MAILBOX_LOGIN_REFUSED)
        else:
            return
        raise failure

    def _credentials(self, _challenge: bytes) -> bytes:
        access = self._access
        return f"\0{access.user.get_secret_value()}\0{access.password.get_secret_value()}".encode()

    def _opened(self, imap: imaplib.IMAP4) -> int:
        """Open the folder, and return the identifier that its next message will have."""
        folder = self._access.folder.replace("\\", "\\\\").replace('"', '\\"')
        _checked(imap.select(f'"{folder}"'))
        _, answers = imap.response("UIDNEXT")
        if answers and answers[0]:
            return int(answers[0])
        return max(self._uids(imap, "1:*"), default=0) + 1

    def _own_messages(self, imap: imaplib.IMAP4) -> list[int]:
        """Return the new messages for the probe's address, the newest first."""
        _checked(imap.noop())
        own = []
        for uid in sorted(set(self._uids(imap, f"{self._next_uid}:*")) - self._foreign, reverse=True):
            # The range also gives the last message before it.
            if uid >= self._next_uid and is_own(self._fetched(imap, uid, _HEADERS), self._address, self._since):
                own.append(uid)
            else:
                self._foreign.add(uid)
        return own

    def _uids(self, imap: imaplib.IMAP4, numbers: str) -> Iterator[int]:
        found = _checked(imap.uid("SEARCH", "UID", numbers))
        return (int(uid) for uid in (found[0] or b"").split())

    def _fetched(self, imap: imaplib.IMAP4, uid: int, parts: str) -> bytes:
        answers = _checked(imap.uid("FETCH", str(uid), parts))
        return next((bytes(answer[1]) for answer in answers if isinstance(answer, tuple)), b"")

    def _asked(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return ask(self._imap, *arguments)
        except (imaplib.IMAP4.abort, OSError) as error:
            failure = ProbeFailure(Cause.MAILBOX_UNREACHABLE, type(error).__name__)
        except (imaplib.IMAP4.error, ValueError) as error:
            failure = ProbeFailure(Cause.MAILBOX_FAILED, type(error).__name__)
        raise failure


def _checked(answer: tuple[str, list[Any]]) -> list[Any]:
    status, found = answer
    if status != _OK:
        raise imaplib.IMAP4.error(status)
    return found
