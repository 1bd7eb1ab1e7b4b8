"""Slows failed sign-ins: each try is counted for the account and for the address before the password is checked."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, ending
from gatepost_operations.web.console.security.refusals import TooManyTries
from gatepost_operations.web.console.security.sessions import digest_of

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

# Tries without a wait, for an account and for an address. Several people can share an address.
_FREE: Final = (5, 20)
# Seconds: the first wait, which doubles with each try, and the longest.
_FIRST_WAIT_S: Final = 2
_LONGEST_WAIT_S: Final = 300
_FORGOTTEN_S: Final = 3600
_COUNT: Final = ending(
    SERVER_CLOCK
    + """
local now = math.floor(now_us / 1000000)
local wait = 0
for _, key in ipairs(KEYS) do
  wait = math.max(wait, (tonumber(redis.call('HGET', key, 'until')) or 0) - now)
end
if wait > 0 then return wait end
local first, longest, forgotten = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for number, key in ipairs(KEYS) do
  local over = redis.call('HINCRBY', key, 'tries', 1) - tonumber(ARGV[3 + number])
  if over >= 0 then
    redis.call('HSET', key, 'until', now + math.min(longest, first * 2 ^ math.min(over, 20)))
  end
  redis.call('EXPIRE', key, forgotten)
end
return 0
"""
)


class Tries:
    """Counts tries to sign in. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys
        self._count = client.register_script(_COUNT)

    def count(self, name: str, address: str) -> None:
        """Count a try before its password is checked, so that tries at the same time count, too.

        Args:
            name: the name of the account, which may not exist.
            address: the IP address of the browser.

        Raises:
            TooManyTries: the account or the address must wait. This try is not counted.
        """
        arguments = (_FIRST_WAIT_S, _LONGEST_WAIT_S, _FORGOTTEN_S, *_FREE)
        with translated_errors():
            wait_s = int(self._count(keys=self._keys_of(name, address), args=arguments))
        if wait_s > 0:
            raise TooManyTries(wait_s)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the tries of an account, and the last try of the address."""
        of_account, of_address = self._keys_of(name, address)
        with translated_errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(of_account)
            pipeline.hincrby(of_address, "tries", -1)
            pipeline.expire(of_address, _FORGOTTEN_S)
            pipeline.execute()

    def _keys_of(self, name: str, address: str) -> list[str]:
        # Hashed, because people type passwords into the field for the name.
        return [
            self._keys.console_tries(digest_of(text)[:32])
            for text in (f"name {name}", f"address {network_of(address)}")
        ]


def network_of(address: str) -> str:
    """Return the network of one subscriber, to which an IP address belongs; empty if it is no IP address."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    # One subscriber has a whole /64.
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
