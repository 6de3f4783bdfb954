"""The far side of the wall: what runs in a worker process. It holds the package's only global."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from . import _wire
from .outcomes import Failure, attempt

# OpenBLAS, OpenMP and MKL read these when they are loaded, so they are set before NumPy is.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

_state: Any = None


def start(state: bytes) -> bytes:
    """Make this process a worker that holds the unpickled `state`; answer with its pid."""
    use_one_native_thread()
    # Ctrl-C goes to the whole process group, and only the parent knows what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, name="aioaug-parent-watch", daemon=True).start()
    return _answer(_hold, state)


def call(request: bytes) -> bytes:
    """Run the pickled `(fn, args)` as `fn(state, *args)`; answer with the pickled outcome."""
    return _answer(_serve, request)


def is_worker() -> bool:
    """Whether this process is a worker of some pool."""
    return _state is not None


def refuse_nested_pool() -> None:
    """Raise `RuntimeError` where a pool must not be built: in a worker, or on its way to be one."""
    if is_worker():
        raise RuntimeError("a pool cannot be built inside a worker of another pool")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "a pool was built while a worker imported the main script; "
            "put what the script does under: if __name__ == '__main__':"
        )


def use_one_native_thread() -> None:
    """Keep native libraries from starting threads of their own: the workers are the threads."""
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def _hold(data: bytes) -> int:
    global _state
    _state = _wire.loads(data)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)
    return os.getpid()


def _serve(data: bytes) -> Any:
    fn, args = _wire.loads(data)
    return fn(_state, *args)


def _answer(fn: Callable[[bytes], Any], data: bytes) -> bytes:
    try:
        return _wire.dumps(attempt(fn, data))
    except Exception as error:
        return _wire.dumps(Failure(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # A batch may be in the way of a normal exit, and there is nobody left to wait for it.
        os._exit(1)
