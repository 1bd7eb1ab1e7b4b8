"""Everything the simulator can do wrong, drawn at random under a seed and written into recipients' addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

_SERVER_ERRORS: Final = tuple(
    f"{status}{form}-{when}"
    for status in (500, 502, 503, 504)
    for form in ("", "-b", "-c", "-d", "-html", "-text", "-empty")
    for when in ("before", "after")
)
_BROKEN: Final = tuple(f"{how}-{when}" for how in ("drop", "reset", "truncate") for when in ("before", "after"))
_HUNG: Final = ("hang-before", "hang-after")
_DEFERRED: Final = ("too-many-requests-once", "429-once", "429-html-once")

# Not "blocked": a 429 is waited for until the deadline, which is a day away.
_OF_A_START: Final = (
    *("bad-email", "bad-phone", "bad-connection", "bad-request", "bad-send", "provider-error"),
    *("invalid-number", "unreachable-number", "region-disabled", "unsubscribed", "not-mobile", "gateway-503"),
    *("gateway-503-sent", "gateway-timeout", "empty-200", "empty-object", "not-json-200", "server-error", "slow"),
    *("503-after-once", "503-before-once", "drop-before-once", "drop-after-once"),
)
# A campaign pauses for these, because it could send nothing.
_OF_EVERY_START: Final = ("bad-tenant", "invalid-client", "unauthorized-client", "captcha", "gateway-401", "404-c")
_OF_A_TOKEN: Final = (
    *("wrong-code", "code-expired", "code-exhausted", "too-many-attempts", "too-many-logins", "access-denied"),
    *("mfa", "mfa-without-token", "mfa-challenge", "user-blocked", "grant-not-allowed", "invalid-request"),
    *("invalid-scope", "unsupported-grant", "unsupported-response", "endpoint-disabled", "dpop-nonce"),
    *("temporarily-unavailable", "token-slow", "token-429-once"),
    *(f"idtoken-{fault}" for fault in ("bad-iss", "bad-aud", "expired", "unknown-kid", "bad-signature", "no-exp")),
    *(f"idtoken-{fault}" for fault in ("alg-none", "hs256", "not-a-jwt", "not-json", "empty", "empty-object")),
)


class Trouble:
    """Draws addresses; about every third asks for a fault.

    Args:
        random: seeded.
        hung: the share of calls that hang until their deadline.
        deferred: the share that is answered 429 once, which stops everybody for a second.
    """

    def __init__(self, random: Random, *, hung: float, deferred: float) -> None:
        self._random = random
        self._hung = hung
        self._deferred = deferred
        self._drawn = 0

    def of_a_send(self) -> str:
        """Return an address for a single send."""
        return self._address((*_OF_A_START, *_OF_EVERY_START, *_SERVER_ERRORS, *_BROKEN), "")

    def of_a_row(self) -> str:
        """Return an address for a campaign."""
        return self._address((*_OF_A_START, *_SERVER_ERRORS, *_BROKEN), "")

    def of_a_login(self) -> str:
        """Return an address whose send succeeds and whose login has a random result."""
        general = tuple(f"token-{tag}" for tag in (*_SERVER_ERRORS, *_BROKEN))
        return self._address((*_OF_A_TOKEN, *general), "token-")

    def _address(self, tags: tuple[str, ...], prefix: str) -> str:
        self._drawn += 1
        name = f"guest{self._drawn}-{self._random.getrandbits(40):x}"
        drawn = self._random.random()
        if drawn < self._hung:
            tag = prefix + self._random.choice(_HUNG)
        elif drawn < self._hung + self._deferred:
            tag = prefix + self._random.choice(_DEFERRED)
        elif drawn < 1 / 3:
            tag = self._random.choice(tags)
        else:
            return f"{name}@example.com"
        return f"{name}+{tag}@example.com"
