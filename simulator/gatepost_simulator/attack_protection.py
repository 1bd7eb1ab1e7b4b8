"""Brute-force protection: failed logins per IP and identifier, and the block they end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_simulator.settings import BruteForce


class BruteForceProtection:
    """Blocks an identifier for an IP after too many failures. It counts logins, never sends.

    Source: https://auth0.com/docs/secure/attack-protection/brute-force-protection
    """

    def __init__(self, settings: BruteForce) -> None:
        self._settings = settings
        self._failures: dict[tuple[str, str], int] = {}
        self._blocked_until: dict[tuple[str, str], float] = {}

    def blocks(self, ip: str, identifier: str, now: float) -> bool:
        """Say whether this IP may not log in as this identifier now."""
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
