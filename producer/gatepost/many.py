"""Commands that are enqueued many at a time, given as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.commands import parse_command
from gatepost_core.enqueue import Enqueued
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import InvalidCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.commands import Command
    from gatepost_core.enqueue import Recorder

Item = Mapping[str, Any]
"""A command's fields, its `kind`, and its `idempotency_key` if it has one."""
CHUNK: Final = 100
"""How many commands are enqueued in one round trip."""
_KEY: Final = "idempotency_key"


def enqueue_chunk(recorder: Recorder, items: Sequence[Item]) -> list[Enqueued]:
    """Enqueue items in one round trip, and return a result for each, in their order."""
    commands: dict[int, tuple[Command, str | None]] = {}
    refused: dict[int, Enqueued] = {}
    for number, item in enumerate(items):
        try:
            commands[number] = _read(item)
        except InvalidCommand as failure:
            refused[number] = Enqueued(error=failure)
    enqueued = dict(zip(commands, recorder.enqueue_many(list(commands.values())), strict=True))
    results = [refused.get(number) or enqueued[number] for number in range(len(items))]
    for result in results:
        if result.error is not None:
            # Its frames hold the items.
            boundary.bare(result.error)
    return results


def _read(item: Item) -> tuple[Command, str | None]:
    if not isinstance(item, Mapping):
        raise InvalidCommand([("command", "must be a dictionary of its fields")])
    key = item.get(_KEY)
    if key is not None and not isinstance(key, str):
        raise InvalidCommand([(_KEY, "must be a text")])
    return parse_command({name: value for name, value in item.items() if name != _KEY}), key
