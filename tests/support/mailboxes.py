"""A mailbox over IMAP with TLS, and an SMTP server that delivers into it: the small part of both protocols that the probe and the simulator use."""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.controller import Controller

from support.free_ports import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from support.tls_authority import Authority

USER = "probe-user"
PASSWORD = "canary-mail-password-9d2f"


@dataclass
class Mail:
    """One message of the mailbox."""

    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)


class Mailbox:
    """The messages, and an IMAP server for them. Use it as a context manager.

    Attributes:
        messages: the messages, the oldest first.
        answer: answers a command in place of the server; the text after the tag, or None for the usual answer.
        capabilities: what the server offers.
        bodies: the identifiers of the messages whose body was read.
    """

    def __init__(self, authority: Authority, name: str = "localhost") -> None:
        self.messages: list[Mail] = []
        self.answer: Callable[[str], str | None] = lambda _: None
        self.capabilities = "IMAP4rev1 AUTH=PLAIN UIDPLUS"
        self.bodies: list[int] = []
        self._next = 1
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self, authority.server_context(name))
        self.port = self._server.server_address[1]

    def put(self, raw: bytes) -> int:
        """Deliver a message, and return its identifier."""
        with self._lock:
            uid, self._next = self._next, self._next + 1
            self.messages.append(Mail(uid, raw))
        return uid

    def write(self, to: str, text: str, *, date: str | None = None, html: str | None = None) -> int:
        """Deliver a message of these words."""
        headers = [f"To: {to}", "From: someone@example.net", "Subject: hello"] + ([f"Date: {date}"] if date else [])
        kind, body = ("html", html) if html is not None else ("plain", text)
        lines = [*headers, f'Content-Type: text/{kind}; charset="utf-8"', "", body, ""]
        return self.put("\r\n".join(lines).encode())

    @property
    def uid_next(self) -> int:
        return self._next

    def remove(self, uid: int) -> None:
        with self._lock:
            self.messages = [mail for mail in self.messages if mail.uid != uid]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], mailbox: Mailbox, context: ssl.SSLContext) -> None:
        super().__init__(address, _Session)
        self.mailbox = mailbox
        self.context = context

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what some tests are about."""


class _Session(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with self.server.context.wrap_socket(self.request, server_side=True) as secured:
            self.lines = secured.makefile("rb")
            self.send = secured.sendall
            self._say("* OK ready")
            for line in self.lines:
                tag, _, command = line.decode().rstrip("\r\n").partition(" ")
                answer = self.server.mailbox.answer(command)
                if answer == "close":
                    return
                self._say(f"{tag} {answer if answer is not None else self._done(command)}")
                if command.upper() == "LOGOUT":
                    return

    def _say(self, text: str) -> None:
        self.send(f"{text}\r\n".encode())

    def _done(self, command: str) -> str:
        mailbox = self.server.mailbox
        match command.upper().split():
            case ["CAPABILITY"]:
                self._say(f"* CAPABILITY {mailbox.capabilities}")
            case ["AUTHENTICATE", "PLAIN"]:
                self._say("+ ")
                given = base64.b64decode(self.lines.readline()).decode()
                return "OK in" if given == f"\0{USER}\0{PASSWORD}" else "NO [AUTHENTICATIONFAILED] no"
            case ["LOGIN", *_]:
                return "OK in" if command == f'LOGIN {USER} "{PASSWORD}"' else "NO [AUTHENTICATIONFAILED] no"
            case ["SELECT", '"INBOX"']:
                self._say(f"* {len(mailbox.messages)} EXISTS")
                self._say(f"* OK [UIDNEXT {mailbox.uid_next}] next")
            case ["SELECT", *_]:
                return "NO [NONEXISTENT] no such folder"
            case ["UID", "SEARCH", "UID", numbers]:
                first = int(numbers.partition(":")[0])
                uids = [mail.uid for mail in mailbox.messages]
                # As servers do: `*` is the last message, even if it is below the beginning.
                shown = [uid for uid in uids if uid >= first or uid == max(uids)]
                self._say(f"* SEARCH {' '.join(map(str, shown))}")
            case ["UID", verb, uid, *_]:
                return self._about(verb, int(uid), command)
        return "OK done"

    def _about(self, verb: str, uid: int, command: str) -> str:
        mailbox = self.server.mailbox
        mail = next(mail for mail in mailbox.messages if mail.uid == uid)
        if verb == "STORE":
            mail.flags |= set(re.findall(r"\\(\w+)", command))
        elif verb == "EXPUNGE":
            if "Deleted" in mail.flags:
                mailbox.remove(uid)
        else:
            headers = "HEADER.FIELDS" in command
            if not headers:
                mailbox.bodies.append(uid)
            content = mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if headers else mail.raw
            self.send(f"* 1 FETCH (UID {uid} BODY[] {{{len(content)}}}\r\n".encode() + content + b")\r\n")
        return "OK done"


class _Handler:
    def __init__(self, deliver: Callable[[str, bytes], None]) -> None:
        self._deliver = deliver

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        raw = bytes(envelope.content)
        assert message_from_bytes(raw)["To"]
        for recipient in envelope.rcpt_tos:
            self._deliver(recipient, raw)
        return "250 OK"


class MailServer:
    """An SMTP server that hands each message to `deliver`. Use it as a context manager.

    Attributes:
        server: `host:port`, for the simulator.
    """

    def __init__(self, deliver: Callable[[str, bytes], None]) -> None:
        port = free_port()
        self._controller = Controller(_Handler(deliver), hostname="127.0.0.1", port=port)
        self.server = f"127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop(no_assert=True)
