"""The probe's mailbox over IMAP with TLS: which message it takes, what it leaves alone, and how each failure is named."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost_core.probe_results import Cause
from gatepost_operations.probing.code_source import ProbeFailure
from support.free_ports import free_port
from support.mailboxes import USER, MailServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_operations.probing.imap_mailbox import ImapMailbox
    from support.mailboxes import Mailbox
    from support.tls_authority import Authority

ADDRESS = "probe+canary-w4t8@example.com"


def soon(seconds: float = 60) -> float:
    return time.monotonic() + seconds


def cause_of(call: Callable[..., Any], *arguments: Any) -> Cause:
    """Return why a call fails. Its error shows neither the password nor the user."""
    with pytest.raises(ProbeFailure) as failed:
        call(*arguments)
    assert "canary" not in f"{failed.value!r} {failed.value.detail}"
    assert USER not in f"{failed.value!r} {failed.value.detail}"
    assert failed.value.__context__ is None
    return failed.value.cause


def test_the_newest_message_for_the_address_is_taken(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox]
) -> None:
    """Not an old one, not one to another address, not a late one of an earlier run; their bodies are not even read."""
    mailbox.write(ADDRESS, "Code 111111")
    source = open_mailbox()
    source.prepare()
    mailbox.write("probe@example.com", "Code 222222")
    mailbox.write(ADDRESS, "Code 333333", date=format_datetime(datetime.now(UTC) - timedelta(minutes=5)))
    first = mailbox.write(ADDRESS, "Code 444444")
    newest = mailbox.write(ADDRESS, "Code 555555")
    mailbox.write("ana@example.com", "Code 666666")

    code = source.code(soon())
    source.use()
    source.close()

    assert code.get_secret_value() == "555555"
    assert mailbox.bodies == [newest]
    assert {mail.uid for mail in mailbox.messages} == {1, 2, 3, first, 6}


def test_an_old_message_that_is_the_last_one_is_not_taken(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox]
) -> None:
    """A server gives the last message for an open range too, even if it is below its beginning."""
    mailbox.write(ADDRESS, "Code 111111")
    source = open_mailbox()
    source.prepare()

    assert cause_of(source.code, soon(0)) is Cause.MESSAGE_LATE


@pytest.mark.parametrize("login", ["IMAP4rev1 AUTH=PLAIN UIDPLUS", "IMAP4rev1 UIDPLUS"])
def test_the_wait_ends_when_the_message_arrives(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox], login: str
) -> None:
    """Messages of others that arrive meanwhile do not end it; both commands of a login work."""
    mailbox.capabilities = login
    looks: list[float] = []

    def arrive(seconds: float) -> None:
        looks.append(seconds)
        mailbox.write(*[("ana@example.com", "Code 999999"), (ADDRESS, "Code 123456")][len(looks) - 1])

    source = open_mailbox(sleep=arrive)
    source.prepare()

    code = source.code(soon())

    assert code.get_secret_value() == "123456"
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("used", "capabilities", "left"),
    [
        ("delete", "AUTH=PLAIN UIDPLUS", [{"Deleted"}]),
        # An expunge would remove what others marked.
        ("delete", "AUTH=PLAIN", [{"Deleted"}, {"Seen", "Deleted"}]),
        ("mark", "AUTH=PLAIN UIDPLUS", [{"Deleted"}, {"Seen"}]),
        ("keep", "AUTH=PLAIN UIDPLUS", [{"Deleted"}, set()]),
    ],
)
def test_a_used_message_is_deleted_marked_or_kept(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox], used: str, capabilities: str, left: list[set[str]]
) -> None:
    """As GATEPOST_PROBE_USED_MESSAGES says; other messages stay, also those that another program has marked for deletion."""
    mailbox.capabilities = f"IMAP4rev1 {capabilities}"
    mailbox.write("ana@example.com", "Code 999999")
    mailbox.messages[0].flags.add("Deleted")
    source = open_mailbox(used)
    source.prepare()
    mailbox.write(ADDRESS, "Code 123456")
    source.code(soon())

    source.use()
    source.close()

    assert [mail.flags for mail in mailbox.messages] == left
    assert b"999999" in mailbox.messages[0].raw


@pytest.mark.parametrize(
    ("texts", "cause"),
    [
        ([], Cause.MESSAGE_LATE),
        (["You asked for a code"], Cause.MESSAGE_WITHOUT_CODE),
        (["https://acme.auth0.com/passwordless/verify_redirect?verification_code=123456"], Cause.MESSAGE_WITH_LINK),
        (["Code 123456, number 654321"], Cause.SEVERAL_CODES),
    ],
)
def test_a_message_without_a_code_is_named_when_the_time_is_up(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox], texts: list[str], cause: Cause
) -> None:
    """Until then one with a code may come, and the message is left for a person to look at."""
    source = open_mailbox()
    source.prepare()
    for text in texts:
        mailbox.write(ADDRESS, text)

    assert cause_of(source.code, soon(0)) is cause
    source.use()
    assert [mail.flags for mail in mailbox.messages] == [set() for _ in texts]


def test_a_refused_password_is_named(mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox]) -> None:
    """By both commands of a login, and a password beyond ASCII too."""
    mailbox.capabilities = "IMAP4rev1"
    by_login = cause_of(open_mailbox(password=SecretStr("canary-wrong")).prepare)
    mailbox.capabilities = "IMAP4rev1 AUTH=PLAIN"
    by_sasl = cause_of(open_mailbox(password=SecretStr("canary-wröng")).prepare)

    assert (by_login, by_sasl) == (Cause.MAILBOX_LOGIN_REFUSED, Cause.MAILBOX_LOGIN_REFUSED)


@pytest.mark.parametrize(
    ("command", "answer", "cause"),
    [
        ("AUTHENTICATE", "NO [UNAVAILABLE] the directory is away", Cause.MAILBOX_UNREACHABLE),
        ("AUTHENTICATE", "close", Cause.MAILBOX_UNREACHABLE),
        ("AUTHENTICATE", "NO [ALERT] enable IMAP first", Cause.MAILBOX_LOGIN_REFUSED),
        ("SELECT", "NO [NOPERM] no", Cause.MAILBOX_FAILED),
        ("SELECT", "close", Cause.MAILBOX_UNREACHABLE),
        ("UID FETCH", "BAD what", Cause.MAILBOX_FAILED),
        ("UID SEARCH", "close", Cause.MAILBOX_UNREACHABLE),
        ("NOOP", "close", Cause.MAILBOX_UNREACHABLE),
    ],
)
def test_a_server_that_fails_is_named(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox], command: str, answer: str, cause: Cause
) -> None:
    """A refusal after the login is the folder's, a closed connection the network's."""

    def whole_use() -> None:
        source.prepare()
        mailbox.write(ADDRESS, "Code 123456")
        source.code(soon())

    mailbox.answer = lambda said: answer if said.startswith(command) else None
    source = open_mailbox()

    assert cause_of(whole_use) is cause
    source.close()


def test_a_folder_that_does_not_exist_is_named(open_mailbox: Callable[..., ImapMailbox]) -> None:
    """Its name may hold quotes, which end no command."""
    assert cause_of(open_mailbox(folder='x" "y').prepare) is Cause.MAILBOX_FAILED


def test_a_server_that_cannot_be_trusted_gets_no_password(
    mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox], authority: Authority
) -> None:
    """A certificate of another authority or for another name, no TLS at all, or a bundle that is missing."""
    heard: list[str] = []
    mailbox.answer = heard.append  # type: ignore[func-returns-value] # None is the usual answer
    with MailServer(lambda *_: None) as plain:
        causes = [
            cause_of(open_mailbox(ca_bundle=None).prepare),
            cause_of(open_mailbox(host="127.0.0.1").prepare),
            cause_of(open_mailbox(ca_bundle="/nowhere.pem").prepare),
            cause_of(open_mailbox(port=int(plain.server.rpartition(":")[2])).prepare),
        ]

    assert causes == [Cause.MAILBOX_TLS_FAILED] * 4
    assert heard == []


def test_a_server_that_is_not_there_is_named(open_mailbox: Callable[..., ImapMailbox]) -> None:
    """A port without a server, and a name without an address."""
    assert cause_of(open_mailbox(port=free_port()).prepare) is Cause.MAILBOX_UNREACHABLE
    assert cause_of(open_mailbox(host="mail.invalid").prepare) is Cause.MAILBOX_UNREACHABLE
