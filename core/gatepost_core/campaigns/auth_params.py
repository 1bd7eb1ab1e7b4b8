"""A campaign's `authParams`: sealed in its record, because they can hold a state or a hint that names somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gatepost_core.sealing import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_core.sealing import Keyring


def seal_auth_params(params: Mapping[str, Any] | None, keyring: Keyring, campaign_id: str) -> str:
    """Return them sealed for this campaign; an empty text for none."""
    if params is None:
        return ""
    return keyring.seal(json.dumps(params).encode(), Purpose.auth_params(campaign_id))


def open_auth_params(sealed: str, keyring: Keyring, campaign_id: str) -> dict[str, Any] | None:
    """Return what `seal_auth_params` sealed.

    Raises:
        SealError: they were changed or moved, or their key is not in the ring.
    """
    if not sealed:
        return None
    opened: dict[str, Any] = json.loads(keyring.open(sealed, Purpose.auth_params(campaign_id)))
    return opened
