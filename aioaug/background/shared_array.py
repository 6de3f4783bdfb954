"""Arrays in memory that processes share, handed around by reference."""

from __future__ import annotations

import ctypes
import itertools
import math
import multiprocessing
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from .._transport import segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

_numbers = itertools.count(1)


class SharedArray:
    """A flat array in shared memory. Pickled, it is a reference: the other side sees the same.

    It can be indexed like the arrays of `multiprocessing`, and is what `SharedMem.shm2ndarray`
    makes an array of. The memory lives as long as anything that refers to it; the process that
    made it has to be there, with the handle, until the others have opened it. It needs a system
    with `memfd_create`, such as Linux; elsewhere making one is an `OSError`.

    Args:
        dtype: any NumPy dtype of a fixed size, as a type, a name or a `numpy.dtype`.
        length: the number of items.
        lock: whether to have a lock made for it, or one that exists, for `get_lock`.
    """

    def __init__(self, dtype: DTypeLike, length: int, lock: Any = False) -> None:
        import numpy as np

        self.dtype = np.dtype(dtype)
        if self.dtype.hasobject:
            raise TypeError(f"dtype must not hold Python objects, got {self.dtype}")
        size = max(1, length * self.dtype.itemsize)
        segment = segments.Segment.create(next(_numbers), size)
        self._open(
            segment, segment.address, length, multiprocessing.RLock() if lock is True else lock
        )
        # Arrays made from it need the memory, not the descriptor.
        weakref.finalize(self, segment.release)

    def get_lock(self) -> AbstractContextManager[Any]:
        """The lock to hold while writing; one without any effect if none was asked for."""
        return self._lock or nullcontext()

    def view(self, shape: int | Sequence[int] | None = None) -> NDArray[Any]:
        """The memory as an array, flat or with a shape."""
        import numpy as np

        size = self._length * self.dtype.itemsize
        if size == 0:
            flat = np.empty(self._length, self.dtype)
        else:
            flat = np.frombuffer(self._segment.loan(), np.uint8, size).view(self.dtype)
        return flat if shape is None else flat.reshape(shape)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: Any) -> Any:
        return self.view()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.view()[key] = value

    def __reduce__(self) -> tuple[Callable[..., SharedArray], tuple[Any, ...]]:
        return _attached, (tuple(self._address), self.dtype, self._length, self._lock)

    def _open(
        self, segment: segments.Segment, address: segments.Address, length: int, lock: Any
    ) -> None:
        self._segment = segment
        self._address = address
        self._length = length
        self._lock = lock


class SharedMem:
    """Ways between arrays and shared memory; the base of `BackgroundProc` and `SharedQ`.

    Example::

        handle = SharedMem.puthandle(np.float16, (3, 4), data=1)
        multiprocessing.Process(target=fill, args=(handle,)).start()
        array = SharedMem.shm2ndarray(handle, (3, 4))  # shows what the process writes
    """

    @staticmethod
    def shm2ndarray(mp_array: Any, shape: int | Sequence[int] | None = None) -> NDArray[Any]:
        """An array over shared memory itself, flat or with a shape: what is written is seen.

        `mp_array` is a `SharedArray`, an array of `multiprocessing` with or without a lock, or
        one that a `SharedQ` passed to its target.
        """
        import numpy as np

        if isinstance(mp_array, SharedArray):
            return mp_array.view(shape)
        if hasattr(mp_array, "get_obj"):
            mp_array = mp_array.get_obj()
        if isinstance(mp_array, ctypes.Array):
            array = np.ctypeslib.as_array(mp_array)
        elif hasattr(mp_array, "dtype"):
            array = np.asarray(mp_array)
        else:
            raise TypeError(
                "mp_array must be a SharedArray or an array of multiprocessing, "
                f"got {type(mp_array).__name__}"
            )
        return array if shape is None else array.reshape(shape)

    @staticmethod
    def ndarray2shm(arr: Any, lock: Any = False) -> SharedArray:
        """A new flat shared array with a copy of `arr`, of any order, in C order."""
        import numpy as np

        arr = np.asarray(arr)
        return SharedMem.puthandle(arr.dtype, arr.shape, arr, lock)

    @staticmethod
    def puthandle(
        dtype: DTypeLike, shape: int | Sequence[int], data: Any = None, lock: Any = False
    ) -> SharedArray:
        """A new shared array for `shape`, of zeros, or filled with `data` cast to `dtype`."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        handle = SharedArray(dtype, math.prod(shape), lock)
        if data is not None:
            handle.view(shape)[...] = data
        return handle


def _attached(address: Sequence[Any], dtype: np.dtype[Any], length: int, lock: Any) -> SharedArray:
    handle = SharedArray.__new__(SharedArray)
    handle.dtype = dtype
    whole = segments.Address(*address)
    handle._open(segments.Segment.attach(whole), whole, length, lock)
    return handle
