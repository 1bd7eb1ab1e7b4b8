"""One-time codes: one for each recipient and connection, with a lifetime and a limit of tries; and brute-force protection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatepost_simulator.settings import BruteForce, Connection

# Expired codes are kept this long, to distinguish late use from a wrong code.
_REMEMBER_EXPIRED_S = 600.0


class CodeCheck(StrEnum):
    """The result of checking a code."""

    GOOD = "good"
    WRONG = "wrong"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


@dataclass(slots=True)
class LiveCode:
    """A code that was sent; for a magic link also the values that the link passes to the application."""

    code: str
    expires_at: float
    tries_left: int
    link: dict[str, Any] | None = None


class LiveCodes:
    """The codes of one connection by recipient, oldest first. New codes displace expired ones."""

    def __init__(self, connection: Connection, *, tries_across_resends: bool) -> None:
        self._connection = connection
        self._carry_tries = tries_across_resends
        self._codes: dict[str, LiveCode] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def issue(self, recipient: str, now: float, link: dict[str, Any] | None = None) -> LiveCode:
        """Return a new code for a recipient; the older one becomes void."""
        older = self._codes.pop(recipient, None)
        self._forget(now)
        digits = self._connection.digits
        tries = self._connection.tries
        if self._carry_tries and older is not None and now < older.expires_at:
            tries = older.tries_left
        code = LiveCode(
            str(secrets.randbelow(10**digits)).zfill(digits), now + self._connection.lifetime_s, tries, link
        )
        self._codes[recipient] = code
        return code

    def find(self, recipient: str) -> LiveCode | None:
        """Return the recipient's code, live or not."""
        return self._codes.get(recipient)

    def check(self, recipient: str, code: str, now: float) -> CodeCheck:
        """Return whether a code is good. A good code is spent; a wrong one costs a try."""
        live = self._codes.get(recipient)
        if live is None:
            return CodeCheck.WRONG
        if live.tries_left <= 0:
            return CodeCheck.EXHAUSTED
        if now >= live.expires_at:
            return CodeCheck.EXPIRED
        if not secrets.compare_digest(live.code.encode(), code.encode()):
            live.tries_left -= 1
            return CodeCheck.WRONG
        del self._codes[recipient]
        return CodeCheck.GOOD

    def spend_try(self, recipient: str) -> None:
        """Count a try without a check (switch `limited_requests_spend_tries`)."""
        live = self._codes.get(recipient)
        if live is not None:
            live.tries_left -= 1

    def _forget(self, now: float) -> None:
        for _ in range(2):
            oldest = next(iter(self._codes), None)
            if oldest is None or self._codes[oldest].expires_at + _REMEMBER_EXPIRED_S > now:
                return
            del self._codes[oldest]


class BruteForceProtection:
    """Blocks an identifier for an IP after too many failed logins. Sends do not count.

    Source: https://auth0.com/docs/secure/attack-protection/brute-force-protection
    """

    def __init__(self, settings: BruteForce) -> None:
        self._settings = settings
        self._failures: dict[tuple[str, str], int] = {}
        self._blocked_until: dict[tuple[str, str], float] = {}

    def blocks(self, ip: str, identifier: str, now: float) -> bool:
        """Return whether this IP may not log in as this identifier now."""
        return self._settings.enabled and self._blocked_until.get((ip, identifier), 0.0) > now

    def failed(self, ip: str, identifier: str, now: float) -> None:
        """Count a failed login."""
        key = (ip, identifier)
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        if failures >= self._settings.failures:
            self._blocked_until[key] = now + self._settings.block_s
            del self._failures[key]

    def succeeded(self, ip: str, identifier: str) -> None:
        """Forget the failures before a success."""
        self._failures.pop((ip, identifier), None)
