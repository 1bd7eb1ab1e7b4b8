"""The sealed parts of a campaign: batches of recipients as compressed columns, and its `authParams`."""

from __future__ import annotations

import json
import zlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.row import MESSAGE_FIELDS, Row
from gatepost_core.errors import NewerForm
from gatepost_core.kinds import CHANNELS
from gatepost_core.sealing import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost_core.sealing import Keyring

BATCH_ROWS: Final = 256
"""Most rows in a batch: a row's number fits into a byte."""

ROWS_FORM: Final = 1
"""The number of the form of packed rows."""
_RAW: Final = -15
_CHANNEL_OF_LETTER: Final = {channel.letter: channel for channel in CHANNELS}


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Return rows as compressed columns. Empty columns are left out."""
    columns: list[Any] = [
        ROWS_FORM,
        "".join([row.kind.letter for row in rows]),
        [row.recipient for row in rows],
        *(_column(list(map(attrgetter(field), rows))) for field in MESSAGE_FIELDS),
    ]
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    return packer.compress(text) + packer.flush()


def unpack_rows(packed: bytes) -> list[Row]:
    """Return the rows that `pack_rows` packed. Their line numbers are not kept.

    Raises:
        NewerForm: this version does not know the form.
    """
    form, kinds, recipients, *columns = json.loads(zlib.decompress(packed, _RAW))
    is_known = form == ROWS_FORM and _CHANNEL_OF_LETTER.keys() >= set(kinds) and len(columns) <= len(MESSAGE_FIELDS)
    if not is_known:
        raise NewerForm
    nothing = [None] * len(recipients)
    channels = [_CHANNEL_OF_LETTER[letter] for letter in kinds]
    own = (column or nothing for column in columns)
    return [Row(0, *values) for values in zip(channels, recipients, *own, strict=True)]


def rows_form(packed: bytes) -> int:
    """Return the number of the form of packed rows, which this version may not know."""
    return int(json.loads(zlib.decompress(packed, _RAW))[0])


def seal_rows(rows: Sequence[Row], keyring: Keyring, campaign_id: str, batch: int) -> str:
    """Return a batch's rows, sealed for this campaign and number."""
    return keyring.seal(pack_rows(rows), Purpose.rows(campaign_id, batch))


def open_rows(sealed: str, keyring: Keyring, campaign_id: str, batch: int) -> list[Row]:
    """Return the rows that `seal_rows` sealed.

    Raises:
        SealError: they were changed or moved, or their key is not in the ring.
    """
    return unpack_rows(keyring.open(sealed, Purpose.rows(campaign_id, batch)))


def seal_auth_params(params: Mapping[str, Any] | None, keyring: Keyring, campaign_id: str) -> str:
    """Return a campaign's `authParams` sealed for its record; empty for none. They can name a person."""
    if params is None:
        return ""
    return keyring.seal(json.dumps(params).encode(), Purpose.auth_params(campaign_id))


def open_auth_params(sealed: str, keyring: Keyring, campaign_id: str) -> dict[str, Any] | None:
    """Return the `authParams` that `seal_auth_params` sealed.

    Raises:
        SealError: they were changed or moved, or their key is not in the ring.
    """
    if not sealed:
        return None
    opened: dict[str, Any] = json.loads(keyring.open(sealed, Purpose.auth_params(campaign_id)))
    return opened


def _column(values: list[str | None]) -> list[str | None] | None:
    return values if any(value is not None for value in values) else None
