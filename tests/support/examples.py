"""How many generated inputs a test tries."""

from __future__ import annotations

import os

_SHARE = 3


def examples(most: int) -> int:
    """Return the whole number in CI. Elsewhere return a third: each run generates other inputs, and CI's are always the same."""
    return most if os.environ.get("CI") else -(-most // _SHARE)
