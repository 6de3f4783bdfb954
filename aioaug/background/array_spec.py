"""The dtypes and shapes of the arrays that a target returns."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Bytes that may stay unused behind each array in shared memory, so that the next is aligned.
_ALIGNMENT = 64


class ArraySpec:
    """Dtypes and shapes, one of each for every array; `None` is any."""

    def __init__(
        self,
        dtypes: Sequence[np.dtype[Any]] | None,
        shapes: Sequence[tuple[int, ...]] | None,
    ) -> None:
        self.dtypes = dtypes
        self.shapes = shapes

    @classmethod
    def checked(cls, dtypes: Any, shapes: Any) -> ArraySpec:
        """What a user declared; `TypeError` or `ValueError` if that is not possible."""
        import numpy as np

        if dtypes is not None:
            dtypes = [np.dtype(dtype) for dtype in _sequence("dtypes", dtypes)]
        if shapes is not None:
            shapes = [_shape(shape) for shape in _sequence("shapes", shapes)]
        if dtypes is not None and shapes is not None and len(dtypes) != len(shapes):
            raise ValueError(
                f"dtypes and shapes must be of the same length, got {len(dtypes)} and {len(shapes)}"
            )
        return cls(dtypes, shapes)

    @property
    def complete(self) -> bool:
        """Whether both are known."""
        return self.dtypes is not None and self.shapes is not None

    @property
    def nbytes(self) -> int:
        """The memory in bytes that such arrays take; both must be known."""
        return sum(
            math.prod(shape) * dtype.itemsize + _ALIGNMENT
            for dtype, shape in zip(self.dtypes or (), self.shapes or (), strict=True)
        )

    def completed(self, result: Any) -> ArraySpec:
        """The same, with what was not declared taken from a result."""
        arrays = listed(result)
        return ArraySpec.checked(
            [array.dtype for array in arrays] if self.dtypes is None else self.dtypes,
            [array.shape for array in arrays] if self.shapes is None else self.shapes,
        )

    def apply(self, result: Any) -> tuple[NDArray[Any], ...]:
        """The arrays of a result, cast to the dtypes and broadcast to the shapes.

        Raises `ValueError` if there are more or fewer of them, or one does not broadcast.
        """
        arrays = listed(result)
        if self.dtypes is None or self.shapes is None:
            return tuple(arrays)
        if len(arrays) != len(self.dtypes):
            raise ValueError(
                f"the target returned {len(arrays)} arrays where {len(self.dtypes)} were declared"
            )
        declared = zip(arrays, self.dtypes, self.shapes, strict=True)
        return tuple(_fitted(*one, place) for place, one in enumerate(declared))


def listed(result: Any) -> list[NDArray[Any]]:
    """A target's result, one array or a tuple or list of them, without what is `None` in it."""
    import numpy as np

    members = result if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(member) for member in members if member is not None]


def _fitted(
    array: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...], place: int
) -> NDArray[Any]:
    import numpy as np

    if array.dtype != dtype:
        array = array.astype(dtype)
    if array.shape == shape:
        return array
    try:
        return np.broadcast_to(array, shape).copy()
    except ValueError:
        raise ValueError(
            f"array {place} that the target returned must have the shape {shape}, got {array.shape}"
        ) from None


def _sequence(name: str, value: Any) -> list[Any]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a list with one item for each array, got {value!r}")
    return list(value)


def _shape(shape: Any) -> tuple[int, ...]:
    try:
        sizes = tuple(map(operator.index, (shape,) if isinstance(shape, int) else shape))
    except TypeError:
        raise TypeError(f"shapes must hold shapes, got {shape!r}") from None
    if any(size < 0 for size in sizes):
        raise ValueError(f"a shape must not be negative, got {shape!r}")
    return sizes
