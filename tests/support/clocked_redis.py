"""A real Redis or Valkey whose scripts go by a clock that a test sets."""

from __future__ import annotations

from typing import Any

import redis

_CLOCK_KEY = "test:clock"
_CLOCK = f"""
local server = redis
local redis = setmetatable({{
  call = function(command, ...)
    if command ~= 'TIME' then return server.call(command, ...) end
    local ms = tonumber(server.call('GET', '{_CLOCK_KEY}'))
    return {{ math.floor(ms / 1000), ms % 1000 * 1000 }}
  end,
}}, {{ __index = server }})
"""


class ClockedRedis(redis.Redis):
    """A client whose scripts read the time that `set_clock` has set in place of the server's."""

    def set_clock(self, epoch_ms: int) -> None:
        self.set(_CLOCK_KEY, epoch_ms)

    def register_script(self, script: Any) -> Any:
        """Put the clock between a script's first line, which names its engine, and the rest."""
        engine, _, source = str(script).partition("\n")
        return super().register_script(f"{engine}\n{_CLOCK}{source}")
