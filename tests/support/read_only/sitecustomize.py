"""Makes files read-only for a Python process, outside of the directory in WRITABLE, as a container with a read-only file system does.

Python imports this module at its start if the folder is in PYTHONPATH. Standard library alone.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

_CHANGING = {
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.truncate",
    "os.chmod",
    "os.utime",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WRITABLE = (os.path.realpath(os.environ["WRITABLE"]), "/dev/", "/proc/self/")


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _CHANGING and not (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
        return
    path = arguments[0]
    if isinstance(path, (str, bytes, os.PathLike)) and not os.path.abspath(os.fsdecode(path)).startswith(_WRITABLE):  # noqa: PTH100 - at the start of every process
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path))


sys.addaudithook(_refuse)
