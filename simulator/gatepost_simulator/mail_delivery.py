"""Delivers the tenant's e-mails to an SMTP server, so that they arrive in a real mailbox."""

from __future__ import annotations

import smtplib
import sys
import threading
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from html import escape
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatepost_simulator.outbox import Message
    from gatepost_simulator.settings import Smtp

_TIMEOUT_S: Final = 10.0
# A colour and a year, as real templates have them: numbers that are no code.
_HTML: Final = (
    "<html><head><style>p {{ color: #333333 }}</style></head>"
    "<body><p>{text}</p><p style='color:#999999'>Example Ltd, 2026</p></body></html>"
)


class MailDelivery:
    """Delivers messages one after the other, in a thread that the first message starts."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Message, Smtp]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def deliver(self, message: Message, smtp: Smtp) -> None:
        """Deliver a message soon, unless it is an SMS or no server is set."""
        if message.channel != "email" or not smtp.server:
            return
        self._waiting.put((message, smtp))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="simulator-mail", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            message, smtp = self._waiting.get()
            host, _, port = smtp.server.rpartition(":")
            try:
                with smtplib.SMTP(host, int(port), timeout=_TIMEOUT_S) as server:
                    server.send_message(written(message, smtp))
            except (OSError, smtplib.SMTPException) as error:
                sys.stderr.write(f"Simulator: an e-mail was not delivered to {smtp.server} ({type(error).__name__})\n")


def written(message: Message, smtp: Smtp) -> EmailMessage:
    """Return the e-mail as the tenant's template makes it: a text and an HTML part."""
    mail = EmailMessage()
    mail["From"] = smtp.sender
    mail["To"] = message.recipient
    mail["Subject"] = "Your sign-in message"
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.sent_at, UTC))
    mail["Message-ID"] = make_msgid(domain="simulator.invalid")
    text = _text(message, smtp)
    mail.set_content(text)
    mail.add_alternative(_HTML.format(text=escape(text)), subtype="html")
    return mail


def _text(message: Message, smtp: Smtp) -> str:
    if smtp.template == "without_code":
        return "Someone asked for a code to sign in."
    if smtp.template == "link" or message.link:
        return f"Sign in: {message.link or 'https://simulator.invalid/passwordless/verify_redirect?verification_code=' + message.code}"
    return f"Your verification code is: {message.code}"
