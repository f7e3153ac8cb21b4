"""The sandbox that all rewards of a process share: started when first needed, ended with the process."""

import atexit
import os
import threading

from iterpref.sandbox import Sandbox

_lock = threading.Lock()
_started: dict[int, Sandbox] = {}
"""By process: one that was forked has none of its own yet, and may not close its parent's."""


def shared_sandbox() -> Sandbox:
    with _lock:
        own = _started.get(os.getpid())
        if own is None or own.pool.closed:
            own = _started[os.getpid()] = Sandbox()
            atexit.register(own.close)
        return own


def share_of(workers: int) -> int:
    """Of a sandbox's workers, those for this process of a training with several on this machine."""
    return max(1, workers // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
