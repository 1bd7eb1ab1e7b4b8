"""Addresses that no other test uses."""

from __future__ import annotations

import uuid


def address(tag: str = "") -> str:
    """Return a new address; the simulator reads the tag as a request for a failure."""
    return f"guest-{uuid.uuid4().hex[:12]}{tag and '+' + tag}@example.com"
