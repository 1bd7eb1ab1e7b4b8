"""Items of a request: read, checked against the API key, counted and recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatepost_core.commands import COMMANDS, Command, build, recipient_of
from gatepost_core.errors import GatepostError, InvalidCommand
from gatepost_core.kinds import Identifier, Kind
from gatepost_core.sealing.fingerprints import Origin
from gatepost_operations.web.api.idempotency import check_item_key
from gatepost_operations.web.api.problems import Problem, Type
from gatepost_operations.web.api.usage import Standing, check_recipient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost_core.enqueue import Enqueued
    from gatepost_operations.web.api.access import Caller

_KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Item:
    """One valid item.

    Attributes:
        command: its command.
        key: its idempotency key, which begins with the id of the API key.
        name: the key's name in Redis; empty without a key.
    """

    command: Command
    key: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Full:
    """A limit refused the item."""

    policy: str
    standing: Standing


def read_item(caller: Caller, given: Any, key: str | None, kinds: Sequence[Kind]) -> Item | Exception:
    """Read one item. Its idempotency key belongs to the API key, so that no key learns of the operations of another.

    Args:
        caller: the caller.
        given: the item as JSON.
        key: its idempotency key, unless it has one.
        kinds: the kinds that the endpoint takes.
    """
    try:
        return _read(caller, given, key, kinds)
    except (GatepostError, Problem) as failure:
        return failure


def _read(caller: Caller, given: Any, key: str | None, kinds: Sequence[Kind]) -> Item:
    if not isinstance(given, dict):
        raise InvalidCommand([("command", "must be an object of the command's fields")])
    fields = {name: value for name, value in given.items() if name != _KEY}
    chosen = check_item_key(given.get(_KEY)) or key
    command = build(COMMANDS[_kind(fields, kinds)], fields)
    check_command(caller, command)
    if chosen is None:
        return Item(command)
    owned = f"{caller.key.id}:{chosen}"
    return Item(command, owned, caller.services.producer.idempotency_name(Origin.HTTP, owned))


def _kind(given: Mapping[str, Any], kinds: Sequence[Kind]) -> Kind:
    named = given.get("kind")
    if named is None:
        by_field = Identifier.PHONE_NUMBER if Identifier.PHONE_NUMBER in given else Identifier.EMAIL
        return next(kind for kind in kinds if kind.identifier is by_field)
    found = next((kind for kind in kinds if kind == named), None) if isinstance(named, str) else None
    if found is None:
        raise InvalidCommand([("kind", f"must be one of {', '.join(kinds)}")])
    return found


def check_command(caller: Caller, command: Command) -> None:
    """Refuse a command that the API key does not allow.

    Raises:
        Problem: the key does not allow its tenant, its kind or its recipient.
        TenantMissing: its tenant is not configured.
    """
    caller.require_tenant(command.tenant)
    if refusal := check_recipient(caller.key.grant, command.kind, recipient_of(command)):
        raise Problem(Type.NOT_ALLOWED, f"{command.kind.identifier.value} {refusal}.")


def record_items(
    caller: Caller, items: Sequence[Item | Exception]
) -> tuple[Standing, list[Enqueued | Exception | Full]]:
    """Count and record items in two round trips, and return a result for each, in their order."""
    services, key = caller.services, caller.key
    sound = {number: item for number, item in enumerate(items) if isinstance(item, Item)}
    uses = [services.usage.of_command(key, one.command, one.name) for one in sound.values()]
    standing, refusals = services.usage.take(key, uses)
    results: dict[int, Enqueued | Exception | Full] = {
        number: item for number, item in enumerate(items) if not isinstance(item, Item)
    }
    for number, policy in zip(tuple(sound), refusals, strict=True):
        if policy:
            results[number] = Full(policy, standing)
            del sound[number]
    wanted = [(one.command, one.key) for one in sound.values()]
    enqueued = services.producer.enqueue_for(key.id, wanted, Origin.HTTP) if wanted else []
    for number, one in zip(sound, enqueued, strict=True):
        results[number] = one if one.error is None else one.error
    return standing, [results[number] for number in range(len(items))]
