"""The scheduler that `--beat` starts inside of a worker: it ends with the worker, also when that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Final

_LOOK_EVERY_S: Final = 0.5


def end_with_parent() -> None:
    """Watch the parent from a thread, and end this process when another one has taken its place."""
    parent = os.getppid()
    # Ctrl-C reaches both; the worker finishes its calls first, and then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="gatepost-parent", daemon=True).start()
