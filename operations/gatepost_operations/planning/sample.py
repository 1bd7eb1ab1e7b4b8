"""The message of a row as a campaign would send it, for test sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.row import Field
from gatepost_core.commands import COMMANDS, IN_REQUEST
from gatepost_core.kinds import CAMPAIGN_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.campaigns.model import Options
    from gatepost_core.campaigns.row import Row
    from gatepost_core.kinds import Channel, Identifier


def first_rows(rows: Iterable[Row], wanted: set[Identifier], number: int) -> dict[Identifier, list[Row]]:
    """Return the first rows of each kind, those with different messages before those with the same."""
    found: dict[Identifier, list[Row]] = {identifier: [] for identifier in wanted}
    spare: dict[Identifier, list[Row]] = {identifier: [] for identifier in wanted}
    seen = set()
    for row in rows:
        identifier = row.kind.identifier
        if identifier not in found or len(found[identifier]) == number:
            continue
        message = identifier, row.language, row.auth_params
        (spare if message in seen else found)[identifier].append(row)
        seen.add(message)
        del spare[identifier][number:]
        if all(len(one) == number for one in found.values()):
            break
    return {identifier: (found[identifier] + spare[identifier])[:number] for identifier in wanted}


def message_of(kind: Channel, options: Options, row: Row | None = None) -> dict[str, Any]:
    """Return the fields of a message as the campaign would send it, without the recipient.

    The recipient's IP address is left out: it belongs to the recipient.
    """
    model = COMMANDS[CAMPAIGN_KINDS[kind]]
    shared = IN_REQUEST.keys() & model.model_fields.keys() & type(options).model_fields.keys()
    own = {name: value for name, value in (row.message_fields() if row else {}).items() if name != Field.CLIENT_IP}
    fields = {name: getattr(options, name) for name in (*sorted(shared), "tenant", "on_unknown")}
    return {name: value for name, value in {**fields, **own}.items() if value is not None}
