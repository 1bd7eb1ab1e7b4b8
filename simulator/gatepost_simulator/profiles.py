"""The tenant's users: their connection, whether they are blocked, and whether they need a second factor."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

Mfa = Literal["none", "required", "required_without_token", "required_with_challenge"]


@dataclass(slots=True)
class Profile:
    """A user of one connection."""

    user_id: str
    connection: str
    strategy: str
    identifier: str
    verified: bool = False
    blocked: bool = False
    mfa: Mfa = "none"
    logins: int = 0

    @property
    def subject(self) -> str:
        """The `sub` of this user's tokens: the strategy and the id."""
        return f"{self.strategy}|{self.user_id}"


class Profiles:
    """Profiles by connection and identifier; the first good code creates one."""

    def __init__(self) -> None:
        self._profiles: dict[tuple[str, str], Profile] = {}

    def find(self, connection: str, identifier: str) -> Profile | None:
        """Return the user, if it exists."""
        return self._profiles.get((connection, identifier))

    def ensure(self, connection: str, strategy: str, identifier: str) -> Profile:
        """Return the user, created if necessary."""
        profile = self._profiles.get((connection, identifier))
        if profile is None:
            profile = Profile(secrets.token_hex(12), connection, strategy, identifier)
            self._profiles[connection, identifier] = profile
        return profile

    def __len__(self) -> int:
        return len(self._profiles)
