"""The environment of a process that may write to one directory only, as in a container with a read-only file system."""

from __future__ import annotations

from pathlib import Path

_HOOK = Path(__file__).with_name("read_only")


def writing_only_to(directory: Path) -> dict[str, str]:
    """Return variables for a Python process: its temporary directory, and an error for each write elsewhere."""
    return {
        "WRITABLE": str(directory),
        "TMPDIR": str(directory),
        "PYTHONPATH": str(_HOOK),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
