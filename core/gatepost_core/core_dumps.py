"""No core dumps: the image of a process's memory has keys, tokens and addresses in clear, and would lie on a disk or at a collector."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

if sys.platform != "win32":
    import resource

# prctl(2).
_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Let this process leave no core dump, whatever ends it, and no other process of its user read its memory.

    The limit holds for files; Linux passes over it when `core_pattern` names a program, which the second call closes. A program that is
    started from here decides anew about the second.
    """
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
