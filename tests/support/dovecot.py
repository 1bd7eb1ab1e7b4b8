"""Debian's Dovecot on loopback: IMAP with TLS, and LMTP. It is unpacked, and runs in a mount namespace in which its files are below /usr."""

from __future__ import annotations

import grp
import os
import pwd
import smtplib
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from support.debian_packages import unpacked
from support.free_ports import free_port

if TYPE_CHECKING:
    from support.tls_authority import Authority

_PACKAGES = ("dovecot-core", "dovecot-imapd", "dovecot-lmtpd")
_OWNER = "nobody"
_START_S = 60
_CONFIGURATION = """
base_dir = {directory}/base
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap lmtp
default_internal_user = root
default_internal_group = root
default_login_user = {user}
first_valid_uid = 0
ssl = required
ssl_cert = <{directory}/chain.pem
ssl_key = <{directory}/key.pem
mail_location = maildir:{directory}/mail/%u
auth_failure_delay = 0
recipient_delimiter = +
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/passwords
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={directory}/mail/%u allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imap_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""


class Dovecot:
    """A running Dovecot with one mailbox. Use it as a context manager.

    Attributes:
        port: the IMAP port, with TLS.
        folder: the mailbox's directory, in the Maildir format.
    """

    def __init__(self, authority: Authority, user: str, password: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("Dovecot runs in a mount namespace, which needs root")
        # Not below the directory of pytest, which only its owner can enter: the mail has another.
        self._temporary = tempfile.TemporaryDirectory(prefix="gatepost-dovecot-")
        self._directory = directory = Path(self._temporary.name)
        directory.chmod(0o755)
        self._files = unpacked("dovecot", *_PACKAGES)
        self._user = user
        self.port, self._lmtp_port = free_port(), free_port()
        self.folder = directory / "mail" / user
        owner = pwd.getpwnam(_OWNER)
        (directory / "mail").mkdir()
        os.chown(directory / "mail", owner.pw_uid, owner.pw_gid)
        self.set_password(password)
        certificate = authority.authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(directory / "key.pem")
        for index, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(directory / "chain.pem", append=index > 0)
        text = _CONFIGURATION.format(
            directory=directory,
            user=_OWNER,
            group=grp.getgrgid(owner.pw_gid).gr_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            imap_port=self.port,
            lmtp_port=self._lmtp_port,
        )
        (directory / "dovecot.conf").write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def set_password(self, password: str) -> None:
        """Change the mailbox's password, as an administrator does."""
        (self._directory / "passwords").write_text(f"{self._user}:{password}\n", encoding="utf-8")

    def deliver(self, recipient: str, raw: bytes) -> None:
        """Deliver a message over LMTP, as a mail server does."""
        with smtplib.LMTP("127.0.0.1", self._lmtp_port, timeout=30) as server:
            server.sendmail("sender@example.net", [recipient], raw)

    def messages(self) -> list[Path]:
        """Return the files of the mailbox's messages."""
        return [path for part in ("new", "cur") for path in (self.folder / part).glob("*")]

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        below_usr = f"mount -t overlay overlay -o lowerdir={self._files}/usr:/usr /usr"
        dovecot = f"exec /usr/sbin/dovecot -F -c {self._directory}/dovecot.conf"
        self._process = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"{below_usr} && {dovecot}"])
        give_up = time.monotonic() + _START_S
        while not self._accepts():
            if self._process.poll() is not None:
                pytest.skip("Dovecot cannot run here: it needs a mount namespace with an overlay")
            assert time.monotonic() < give_up, (self._directory / "dovecot.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it with its services."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._temporary.cleanup()

    def _accepts(self) -> bool:
        try:
            for port in (self.port, self._lmtp_port):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return False
        return True
