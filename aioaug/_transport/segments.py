"""Segments of memory that two processes share, and how arrays are laid into them.

Pickle protocol 5 can leave contiguous buffers out of a pickle. Large ones are copied into a
segment; the rest of the pickle, the head, is small and travels by socket. A segment is memory of
the parent whose descriptor is sent to workers. With `memfd_create` it has no name that could be
left behind, and the size of /dev/shm does not limit it. Systems without that, such as macOS, have
POSIX shared memory, whose name is removed as soon as it is open.
"""

from __future__ import annotations

import importlib
import mmap
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .._base.descriptors import above_standard, identity, standard_streams_filled, take_arrived

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Memory = NDArray[np.uint8]

Span = tuple[int, int]  # offset and length in bytes
# If this variable of the environment is set, segments are made as where there is no
# `memfd_create`: so that tests can do it everywhere.
POSIX = "AIOAUG_POSIX_MEMORY"
# Where buffers start: a cache line, and enough for any SIMD load.
_ALIGNMENT = 64


class NoRoom(Exception):
    """A segment is too small; `needed` is the size in bytes that would do."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class Address(NamedTuple):
    """Which memory is meant, in whose process, and under which descriptor there."""

    number: int
    size: int
    identity: tuple[int, int]  # of the kernel's file: device and inode
    pid: int
    fd: int


class Segment:
    """Memory mapped from a descriptor; `memory` is all of it, as bytes."""

    def __init__(self, number: int, fd: int, size: int) -> None:
        self.number = number
        self.fd = fd
        self.size = size
        self._identity = identity(fd)
        try:
            with standard_streams_filled():  # mmap duplicates the descriptor
                self._map = mmap.mmap(fd, size)
        except ValueError as error:  # mmap raises this if the file is shorter
            raise OSError(str(error)) from None
        self.memory = self.loan()
        # Each page is touched now, or the first batch would have to wait for a page fault for each.
        # NumPy lets the event loop run meanwhile, which mmap with MAP_POPULATE would not.
        pages = self.memory[:: mmap.PAGESIZE]
        pages |= 0

    @classmethod
    def create(cls, number: int, size: int) -> Segment:
        """New memory of `size` bytes; `OSError` where there is none, or no such thing."""
        has_memfd = hasattr(os, "memfd_create") and POSIX not in os.environ
        fd = above_standard(_anonymous() if has_memfd else _unlinked())
        try:
            _allocate(fd, size)
            if has_memfd:
                _seal(fd)
            return cls(number, fd, size)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def attach(cls, address: Address) -> Segment:
        """Map the memory of another process, by the descriptor that it sent.

        If it sent none, its own descriptor is opened through /proc. Raises `OSError` if that fails,
        or if it is another file: in a container, a number may belong to another process.
        """
        fd = take_arrived(address.identity)
        if fd is None:
            fd = _opened(address)
        try:
            _check(address, os.fstat(fd))
            segment = cls(address.number, fd, address.size)
        finally:
            os.close(fd)
        segment.fd = -1
        return segment

    def loan(self) -> Memory:
        """The memory as a new array, which lives as long as any view of it.

        A view of `memory` would not do: NumPy lets views of a view refer to the first array.
        """
        import numpy as np

        return np.frombuffer(self._map, np.uint8)

    @property
    def address(self) -> Address:
        """What `attach` needs in another process."""
        return Address(self.number, self.size, self._identity, os.getpid(), self.fd)

    def release(self) -> None:
        """Close the descriptor; the memory is freed with the last array that lies in it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def room_for(buffers: Iterable[memoryview]) -> int:
    """The size in bytes of a segment that holds these buffers."""
    return sum(_aligned(buffer.nbytes) for buffer in buffers)


def lay(buffers: Sequence[memoryview], memory: Memory, start: int = 0) -> list[Span]:
    """Copy buffers into `memory` from `start` on; those that lie in it already stay where they are.

    Raises `NoRoom` before anything is copied.
    """
    import numpy as np

    base = memory.__array_interface__["data"][0]
    arrays = [np.frombuffer(buffer, np.uint8) for buffer in buffers]
    inside = [_offset(array, base, memory.size) for array in arrays]
    needed = start + room_for(
        buffer for buffer, offset in zip(buffers, inside, strict=True) if offset is None
    )
    if needed > memory.size:
        raise NoRoom(needed)
    spans = []
    for array, offset in zip(arrays, inside, strict=True):
        if offset is None:
            offset = start
            memory[offset : offset + array.size] = array
            start += _aligned(array.size)
        spans.append((offset, array.size))
    return spans


def end_of(spans: Iterable[Span]) -> int:
    """Where free memory begins behind these spans."""
    return max((_aligned(offset + length) for offset, length in spans), default=0)


def views(memory: Memory, spans: Iterable[Span]) -> list[Memory]:
    """The spans as writable arrays over the memory itself."""
    return [memory[offset : offset + length] for offset, length in spans]


def _offset(array: Memory, base: int, size: int) -> int | None:
    offset: int = array.__array_interface__["data"][0] - base
    return offset if 0 <= offset <= size - array.size else None


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _anonymous() -> int:
    return os.memfd_create("aioaug", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _unlinked() -> int:
    """POSIX shared memory that has lost its name already: a descriptor is all that workers need."""
    try:
        posix = importlib.import_module("_posixshmem")  # of CPython; it has no type hints
    except ImportError:
        raise OSError("this system has no shared memory") from None
    name = f"/aioaug-{secrets.token_hex(8)}"  # macOS takes up to 31 characters
    fd: int = posix.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        posix.shm_unlink(name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _allocate(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        # Without this, a process is killed that writes to a page which the system cannot give.
        os.posix_fallocate(fd, 0, size)
    else:
        os.ftruncate(fd, size)


def _seal(fd: int) -> None:
    """Fix the size of this memory: if it could shrink, using what was cut off kills a process."""
    import fcntl

    with suppress(OSError, AttributeError):  # some sandboxes do not support seals
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)


def _opened(address: Address) -> int:
    path = f"/proc/{address.pid}/fd/{address.fd}"
    _check(address, os.stat(path))  # first, as opening some devices has effects
    return above_standard(os.open(path, os.O_RDWR | os.O_CLOEXEC))


def _check(address: Address, status: os.stat_result) -> None:
    """Raise `OSError` unless this is the memory that is meant, before anybody writes to it."""
    if (status.st_dev, status.st_ino) != tuple(address.identity) or status.st_size != address.size:
        raise OSError(f"descriptor {address.fd} of process {address.pid} is not what was meant")
