"""Where the bytes of a picture are: small objects that go to workers, and are read there."""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

from .. import _pictures


class Reference(Protocol):
    """Where the bytes of a picture are. It is small, hashable, and pickles."""

    @property
    def name(self) -> str:
        """How messages and outputs call it: its path relative to the dataset's root, with `/`."""

    def read(self) -> bytes:
        """The bytes, as a worker reads them; `OSError` or `UnreadablePictureError`."""


class FileReference(NamedTuple):
    """A file of this machine, below `root`."""

    root: str
    name: str

    def read(self) -> bytes:
        """All bytes of the file; what is no file, such as a pipe, is refused."""
        return _pictures.load(os.path.join(self.root, self.name))
