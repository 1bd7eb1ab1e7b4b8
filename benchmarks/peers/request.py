"""Shared by the peers: where the stub and Redis are, and the request of one recipient."""

from __future__ import annotations

import os

REDIS_URL = os.environ["BENCH_REDIS_URL"]
BASE_URL = os.environ["BENCH_BASE_URL"]
CA_FILE = os.environ.get("BENCH_CA_FILE")
CALLS = int(os.environ.get("BENCH_CALLS", "100"))
URL = f"{BASE_URL}/passwordless/start"


def body(email: str) -> dict[str, str]:
    """Return the body of a passwordless start."""
    return {
        "client_id": "client",
        "client_secret": "secret",
        "connection": "email",
        "email": email,
        "send": "code",
    }


def emails(count: int) -> list[str]:
    """Return distinct addresses."""
    return [f"guest-{number:07}@example.com" for number in range(count)]
