"""How log lines name operators and browsers: not by an e-mail address, a phone number or an IP address."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from gatepost_core.logs import shows_a_person
from gatepost_operations.web.console.security.tries import network_of

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gatepost_operations.web.console.security.operators import Operator

_DIGITS: Final = 16


class LogNames:
    """Names for log lines. Digests are keyed, because a plain hash of an address can be guessed.

    Args:
        key: the console's key for the API. The console has no fingerprint key.
    """

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def operator(self, operator: Operator) -> str:
        """Return the account, such as `password:otto` or `oidc:SUBJECT`, with a digest in place of a name that is an address or a number."""
        way, _, name = operator.account.partition(":")
        return f"{way}:{self._digest('operator', name)}" if shows_a_person(unquote(name)) else operator.account

    def browser(self, address: str) -> str:
        """Return the digest of the network that an IP address belongs to. Tries to sign in are counted for the same network."""
        return self._digest("address", network_of(address))

    def _digest(self, kind: str, text: str) -> str:
        key = self._key.get_secret_value().encode()
        return hmac.new(key, f"{kind} {text}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]
