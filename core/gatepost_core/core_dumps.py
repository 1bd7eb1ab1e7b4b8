"""Forbids core dumps: they hold keys, tokens and addresses in clear, and go to a disk or a collector."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

if sys.platform != "win32":
    import resource

# prctl(2).
_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Forbid core dumps of this process, and reads of its memory by other processes of the same user.

    The limit covers files. If `core_pattern` names a program, Linux ignores the limit, so `prctl` is needed too. Programs started by this
    process do not inherit the effect of `prctl`.
    """
    if sys.platform == "win32":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
