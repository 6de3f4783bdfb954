"""What multiprocessing needs around it to start a process: a folder, and room for a socket.

Everything here blocks: use threads.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing import util
from multiprocessing.context import BaseContext

# The longest path of a socket, without the zero at its end.
_LONGEST = 107 if sys.platform == "linux" else 103
# The names that multiprocessing makes for its folder and for the socket in it.
_FOLDER, _SOCKET = "/pymp-12345678", "/listener-12345678"
_SHORT = ("/tmp", "/var/tmp", "/usr/tmp")

_lock = threading.Lock()


def prepare(context: BaseContext) -> None:
    """See to it that `context` can start a process; `RuntimeError` says what is in the way."""
    try:
        os.getcwd()
    except OSError as error:
        raise RuntimeError(
            "the working directory of this process was deleted, and worker processes start in "
            "it; call os.chdir() with one that exists before a pool starts"
        ) from error
    if context.get_start_method() == "forkserver":
        with _lock:
            _give_sockets_a_short_folder()


def _give_sockets_a_short_folder() -> None:
    """Have the fork server listen where the path of its socket is not too long for the system."""
    settings: dict[str, object] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    own = settings.get("tempdir")
    socket = f"{own}{_SOCKET}" if own else f"{tempfile.gettempdir()}{_FOLDER}{_SOCKET}"
    if len(os.fsencode(socket)) <= _LONGEST:
        return
    for place in _SHORT:
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="pymp-", dir=place)
            util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)
            settings["tempdir"] = folder
            return
    raise RuntimeError(
        f"the path of TMPDIR, {tempfile.gettempdir()}, is too long for a socket in it, which "
        "multiprocessing's fork server needs; set TMPDIR to a shorter one, or build the pool "
        "with start_method='spawn'"
    )
