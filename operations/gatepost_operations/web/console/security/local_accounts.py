"""Local accounts: a file of names, access levels and password hashes, for a console on a single machine."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import ConfigurationError, FieldError, InvalidCommand
from gatepost_core.safe_text import visible
from gatepost_operations.files.output import output_file
from gatepost_operations.files.text_reader import FileError
from gatepost_operations.web.console.security.operators import Level, Operator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
# OWASP's Password Storage Cheat Sheet: 32 MiB a hash, and about a tenth of a second.
_COST: Final = (15, 8, 3)
_MOST_MEMORY: Final = 256 << 20
_SALT: Final = 16
_HASH: Final = re.compile(r"scrypt\$\d{1,2}\$\d{1,2}\$\d{1,2}\$[0-9a-f]{32}\$[0-9a-f]{64}")
# Anyone can ask for a hash.
_hashing: Final = BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """One line of the file.

    Attributes:
        name: the name.
        level: the access level.
        hash: the salted hash of the password.
    """

    name: str
    level: Level
    hash: str

    @property
    def operator(self) -> Operator:
        """The operator. `credential` changes with the password."""
        credential = hashlib.sha256(self.hash.encode()).hexdigest()[:16]
        return Operator(self.name, self.level, f"password:{self.name}", credential)

    def __repr__(self) -> str:
        return f"LocalAccount(name={self.name!r}, level={self.level})"


class LocalAccounts:
    """The accounts of one file. A change of the file takes effect at once, also for open sessions.

    Attributes:
        path: the file. It must be readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self._seen: tuple[int, ...] = ()
        self._accounts: Mapping[str, LocalAccount] = {}

    def read(self) -> Mapping[str, LocalAccount]:
        """Return the accounts by name.

        Raises:
            ConfigurationError: the file is missing, malformed, or readable by others.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                about = os.fstat(file.fileno())
                if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise ConfigurationError(
                        f"{self.path} is open to other users of this machine; run: chmod 600 {self.path}"
                    )
                seen = (about.st_ino, about.st_mtime_ns, about.st_size)
                if seen != self._seen:
                    self._accounts = {one.name: one for one in map(self._account, file.read().splitlines())}
                    self._seen = seen
        except (OSError, UnicodeDecodeError) as failure:
            problem = f"{self.path} cannot be read ({type(failure).__name__})"
        else:
            return self._accounts
        raise ConfigurationError(f"{problem}; make it with: gatepost console-users add NAME")

    def verify(self, name: str, password: str) -> Operator | None:
        """Return the operator with a name and a password; None if one of them is wrong. An unknown name takes as long as a known one."""
        accounts = self.read()
        account = accounts.get(name)
        # For an unknown name, another account's hash takes the time.
        compared = account or next(iter(accounts.values()), None)
        hashed = _hashed(password, bytes(_SALT)) if compared is None else compared.hash
        is_right = _matches(hashed, password)
        return account.operator if account is not None and is_right else None

    def current(self, operator: Operator) -> Operator | None:
        """Return an operator with today's level; None if the account was removed, or its password changed, since the sign-in."""
        account = self.read().get(operator.account.removeprefix("password:"))
        if account is None or account.operator.credential != operator.credential:
            return None
        return account.operator

    def add(self, name: str, level: Level, password: str) -> bool:
        """Add an account, or change its level and password. Return whether it is new.

        Raises:
            InvalidCommand: the name or the password cannot be used.
            ConfigurationError: the file cannot be read or written.
        """
        if not _NAME.fullmatch(name):
            raise InvalidCommand(
                [FieldError("name", "must be 1 to 64 letters, digits or . _ @ + -, and begin with a letter or digit")]
            )
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise InvalidCommand(
                [FieldError("password", f"must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters")]
            )
        accounts = dict(self.read()) if self.path.exists() else {}
        is_new = name not in accounts
        accounts[name] = LocalAccount(name, level, _hashed(password, secrets.token_bytes(_SALT)))
        self._write(accounts)
        return is_new

    def remove(self, name: str) -> bool:
        """Remove an account. Its sessions end at once. Return False if there is none."""
        accounts = dict(self.read())
        if accounts.pop(name, None) is None:
            return False
        self._write(accounts)
        return True

    def _write(self, accounts: Mapping[str, LocalAccount]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with output_file(self.path, replace=True) as file:
                for _, one in sorted(accounts.items()):
                    file.write(f"{one.name}:{one.level}:{one.hash}\n")
        except OSError as failure:
            problem = f"{self.path.parent} cannot be created ({type(failure).__name__})"
        except FileError as failure:
            problem = str(failure)
        else:
            return
        raise ConfigurationError(problem)

    def _account(self, line: str) -> LocalAccount:
        name, _, rest = line.partition(":")
        level, _, hashed = rest.partition(":")
        if not _NAME.fullmatch(name) or level not in map(str, Level) or not _HASH.fullmatch(hashed):
            raise ConfigurationError(f"{visible(str(self.path))} has a malformed line; each is NAME:LEVEL:HASH")
        return LocalAccount(name, Level.named(level), hashed)


def _hashed(password: str, salt: bytes, cost: tuple[int, int, int] = _COST) -> str:
    exponent, block, lanes = cost
    with _hashing:
        key = hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"),
            salt=salt,
            n=1 << exponent,
            r=block,
            p=lanes,
            maxmem=_MOST_MEMORY,
            dklen=32,
        )
    return f"scrypt${exponent}${block}${lanes}${salt.hex()}${key.hex()}"


def _matches(hashed: str, password: str) -> bool:
    _, exponent, block, lanes, salt, _ = hashed.split("$")
    cost = (int(exponent), int(block), int(lanes))
    return hmac.compare_digest(_hashed(password[:LONGEST_PASSWORD], bytes.fromhex(salt), cost), hashed)
