"""Calls of the ledger's script."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import OutOfMemoryError

from gatepost_core.doubt import rule_in_lua
from gatepost_core.errors import OperationFailed, OperationNotFound, OutcomeUnknown, Unavailable
from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import PERHAPS_RECORDED, translate, translated_errors
from gatepost_core.redis.keys import as_text, ending, event_recorder, starting
from gatepost_core.redis.quick import QuickScript
from gatepost_core.states import OPEN_STATES, states_in_lua

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_ERRORS: Final = {
    "OUTCOME_UNKNOWN": OutcomeUnknown.__name__,
    "OPERATION_FAILED": OperationFailed.__name__,
    "OPERATION_NOT_FOUND": OperationNotFound.__name__,
    "ERRORS": OperationFailed.__module__,
}


def _file(name: str) -> str:
    return resources.files("gatepost_core.ledger").joinpath(name).read_text(encoding="utf-8")


_SOURCE: Final = (
    states_in_lua(lambda state: state.value)
    + f"local OPEN = {{ {', '.join(f'{state} = true' for state in OPEN_STATES)} }}\n"
    + f"local QUEUE_OF = {{ {', '.join(f'{kind} = {kind.queue.value!r}' for kind in Kind)} }}\n"
    + rule_in_lua(lambda state: state.value)
    + f"local ERROR_OF = {{ {', '.join(f'{reason} = {reason.error!r}' for reason in Reason)} }}\n"
    + "".join(f"local {name} = {text!r}\n" for name, text in _ERRORS.items())
    + _file("celery_result.lua")
    + _file("ledger.lua")
)
_RECORDING: Final = states_in_lua(lambda state: state.value) + _file("recording.lua")
_DISPATCH: Final = "\nreturn calls[ARGV[1]](unpack(ARGV, 3))\n"


class MemoryFull(Unavailable):
    """Redis refuses new data because its memory is full."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the script.

    Attributes:
        name: its name in the script.
        operation_id: the operation.
        arguments: the arguments of the call.
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
        self._keys = keys
        text = f"{library}\n{keys.lua}{event_recorder()}{_SOURCE}{calls}{_DISPATCH}"
        self._start = QuickScript(client, starting(text))
        self._end = QuickScript(client, ending(text))
        self._recording = QuickScript(client, starting(keys.lua + _RECORDING))

    def texts(self, call: Call) -> list[str]:
        """Make a call, and return its reply as texts.

        Raises:
            Unavailable: Redis did not answer.
        """
        return [as_text(part) for part in self.reply(call)]

    def reply(self, call: Call) -> list[Any]:
        """Make a call, and return its reply.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            reply: list[Any] = self._end(keys=self._keys_of(call), args=_arguments_of(call))
        return reply

    def record(self, *arguments: Any) -> list[Any]:
        """Record new operations, and return the script's reply.

        Raises:
            Unavailable: Redis did not answer, or its memory is full. After a lost answer, the operations may have been recorded.
        """
        keys = [self._keys.operation(""), self._keys.due, self._keys.counts]
        with translated_errors(PERHAPS_RECORDED):
            reply: list[Any] = self._recording(keys=keys, args=arguments)
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

    def _keys_of(self, call: Call) -> list[str]:
        return [self._keys.operation(call.operation_id), self._keys.due, self._keys.counts, *call.keys]


def _arguments_of(call: Call) -> list[Any]:
    return [call.name, call.operation_id, *call.arguments]
