"""Files that are replaced as a whole, or not at all.

A file is first written under a random name in the same folder. Such a draft must not exist before,
so no link that somebody put there is followed. A link in the place of the file is replaced. Drafts
that killed processes have left are recognised by their names.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_DRAFT = re.compile(r"\.aioaug-[0-9a-f]{16}(\.|$)")
_LONGEST_SUFFIX = 32


def write(path: Path, data: bytes) -> None:
    """Put a file in its place, and make the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """An empty file that takes the place of `path` at the end, unless the body raises.

    Libraries that need a name may open it by its `name`, which has the suffix of `path`. Devices
    and pipes are written to directly.
    """
    if _is_device(path):
        with open(path, "wb") as file:
            yield file
        return
    folder, name = os.path.split(os.fspath(path))
    # Libraries choose the format and the compression by the suffix.
    suffix = "".join(Path(name).suffixes[-2:])[-_LONGEST_SUFFIX:]
    draft = os.path.join(folder, f".aioaug-{secrets.token_hex(8)}{suffix}")
    with open(draft, "xb", opener=not_following) as file:
        try:
            yield file
            file.close()  # Windows cannot move open files
            os.replace(draft, path)
        except BaseException:
            file.close()
            with suppress(OSError):
                os.unlink(draft)
            raise


def not_following(name: str, flags: int) -> int:
    """An opener for `open` that fails if `name` is a link."""
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def remove_drafts(folder: Path) -> None:
    """Remove the drafts of killed processes; nobody may be writing to the folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _DRAFT.match(entry.name):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_device(path: str | os.PathLike[str]) -> bool:
    # Links in these folders lead to devices and to open files, for example /dev/stdout.
    folder = os.path.dirname(os.path.abspath(path))
    if folder == "/dev" or folder.startswith(("/dev/fd", "/proc/")):
        return True
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))
