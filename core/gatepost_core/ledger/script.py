"""Calls of the ledger's script: one at a time, or many in one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

from gatepost_core.doubt import rule_in_lua
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Kind
from gatepost_core.redis.errors import NOTHING_SENT, translate, translated_errors
from gatepost_core.redis.keys import ending, starting
from gatepost_core.redis.stored_values import as_text
from gatepost_core.states import OPEN_STATES, states_in_lua

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_SOURCE: Final = (
    states_in_lua(lambda state: state.value)
    + f"local OPEN = {{ {', '.join(f'{state} = true' for state in OPEN_STATES)} }}\n"
    + f"local QUEUE_OF = {{ {', '.join(f'{kind} = {kind.queue.value!r}' for kind in Kind)} }}\n"
    + rule_in_lua(lambda state: state.value)
    + resources.files("gatepost_core.ledger").joinpath("ledger.lua").read_text(encoding="utf-8")
)
_DISPATCH: Final = "\nreturn calls[ARGV[1]](unpack(ARGV, 3))\n"


class MemoryFull(Unavailable):
    """Redis refuses new data because its memory is full."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the script.

    Attributes:
        name: its name in the script.
        operation_id: the operation.
        arguments: what it takes.
        keys: the keys that it needs beside those of every call.
    """

    name: str
    operation_id: str
    arguments: Sequence[Any] = ()
    keys: Sequence[str] = ()


class LedgerScript:
    """Calls the script in one Redis. Thread-safe."""

    def __init__(self, client: Redis, keys: RedisKeys, *, library: str = "", calls: str = "") -> None:
        """Prepare the scripts; nothing is sent to Redis yet.

        Args:
            client: the connection.
            keys: the names in this Redis.
            library: Lua to put in front of the script.
            calls: Lua that adds calls to it.
        """
        self._redis = client
        self._keys = keys
        text = f"{library}\n{keys.lua}{_SOURCE}{calls}{_DISPATCH}"
        self._start = client.register_script(starting(text))
        self._end = client.register_script(ending(text))

    def texts(self, call: Call, *, starts: bool = False, if_lost: str = NOTHING_SENT) -> list[str]:
        """Make a call, and return its reply as texts. Arguments and errors are those of `reply`."""
        return [as_text(part) for part in self.reply(call, starts=starts, if_lost=if_lost)]

    def reply(self, call: Call, *, starts: bool = False, if_lost: str = NOTHING_SENT) -> list[Any]:
        """Make a call, and return its reply.

        Args:
            call: the call.
            starts: whether it starts something, so that Redis refuses it while its memory is full.
            if_lost: what to say if the reply is lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        script = self._start if starts else self._end
        with translated_errors(if_lost):
            reply: list[Any] = script(keys=self._keys_of(call), args=_arguments_of(call))
        return reply

    def start(self, call: Call) -> list[str]:
        """Make a call that starts something, and return its reply as texts.

        Raises:
            MemoryFull: Redis's memory is full.
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            try:
                reply = self._start(keys=self._keys_of(call), args=_arguments_of(call))
            except OutOfMemoryError as failure:
                full = MemoryFull(str(translate(failure)))
            else:
                return [as_text(part) for part in reply]
        raise full

    def start_many(self, calls: Sequence[Call], *, if_lost: str = NOTHING_SENT) -> list[list[str] | Unavailable]:
        """Make calls that start something in one round trip, and return a reply or an error for each.

        A call may be repeated after a broken connection; each call of the script gives the same answer then.

        Raises:
            Unavailable: Redis did not answer; any of the calls may have been carried out.
        """
        with translated_errors(if_lost):
            replies = self._pipelined(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                self._redis.script_load(self._start.script)
                replies = self._pipelined(calls)
        return [
            translate(reply, if_lost=if_lost) if isinstance(reply, RedisError) else [as_text(part) for part in reply]
            for reply in replies
        ]

    def _pipelined(self, calls: Sequence[Call]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:
            for call in calls:
                keys = self._keys_of(call)
                pipe.evalsha(self._start.sha, len(keys), *keys, *_arguments_of(call))
            return pipe.execute(raise_on_error=False)

    def _keys_of(self, call: Call) -> list[str]:
        return [self._keys.operation(call.operation_id), self._keys.due, self._keys.counts, *call.keys]


def _arguments_of(call: Call) -> list[Any]:
    return [call.name, call.operation_id, *call.arguments]
