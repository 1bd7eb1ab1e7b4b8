"""The values that the canary journey plants: each is in one form that occurs nowhere else."""

from __future__ import annotations

from typing import Final

NAME: Final = "canary-q7x2v9"
"""The name of most people."""
PHONE: Final = "+447700900847"
TYPED: Final = "canary-t4p8w3"
"""The name of people whom an operator types or uploads in the console."""
REVEALED: Final = "canary-r6v3n1"
"""The name of a person in the operator's file whose address the operator reveals."""
CODE: Final = "9143770451"
"""A code of wrong requests."""
TOKEN: Final = "cAnArYt0kEn" + "x" * 32
"""A redeem token of wrong requests."""
REDIS_PASSWORD: Final = "canary-password-k3w8"
FINGERPRINT_KEY: Final = "canary-fingerprint-key-5z1m-of-32-or-more"
CONSOLE_KEY: Final = "canary-console-key-8h2d-of-32-or-more"
