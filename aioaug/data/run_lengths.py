"""Masks as the lengths of their runs, as COCO has them: column by column, zeros first.

COCO's compressed form writes each length as the difference to the one two before, in groups of five
bits with a sign, the lowest first; a sixth bit says that another group follows, and 48 is added to
make it a character. This is done with NumPy here, because pycocotools gives whatever was in memory
where lengths are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_GROUP, _SIGN, _MORE, _SHIFT, _FIRST = 31, 16, 32, 5, 48


@dataclass(frozen=True, slots=True)
class RunLengths:
    """The mask of one thing: `size` is (height, width), `counts` COCO's compressed form.

    `listed` says that the file had the lengths as a list of numbers, and shall have them again.
    """

    size: tuple[int, int]
    counts: bytes
    listed: bool = False

    @classmethod
    def from_pixels(cls, pixels: np.ndarray[Any, Any], listed: bool = False) -> RunLengths:
        """The runs of a mask (H,W), whose pixels are set where they are not 0."""
        import numpy as np

        flat = (pixels != 0).ravel(order="F")
        ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        lengths = np.diff(np.concatenate(([0], ends, [flat.size])))
        if flat.size and flat[0]:
            lengths = np.concatenate(([0], lengths))
        height, width = pixels.shape
        return cls((height, width), _compressed(lengths), listed)

    @classmethod
    def from_lengths(cls, lengths: Any, size: tuple[int, int]) -> RunLengths:
        """From COCO's list of numbers; `ValueError` if they are none or do not fill the mask."""
        import numpy as np

        numbers = np.asarray(lengths)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise ValueError("the counts are no list of whole numbers")
        _check(numbers, size)
        return cls(size, _compressed(numbers.astype(np.int64)), listed=True)

    def lengths(self) -> np.ndarray[Any, Any]:
        """The lengths of the runs, of zeros and ones in turn; `ValueError` if they do not fit."""
        import numpy as np

        codes = np.frombuffer(self.counts, np.uint8).astype(np.int64) - _FIRST
        if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & _MORE:
            raise ValueError("the counts are not COCO's compressed form")
        ends = np.flatnonzero(codes & _MORE == 0)
        starts = np.concatenate(([0], ends[:-1] + 1))
        places = np.arange(codes.size) - np.repeat(starts, ends - starts + 1)
        if places.max() > 6:
            raise ValueError("the counts are too large")
        lengths = np.add.reduceat((codes & _GROUP) << (_SHIFT * places), starts)
        lengths -= np.where(codes[ends] & _SIGN, 1 << (_SHIFT * (places[ends] + 1)), 0)
        # The first three are written as they are.
        lengths[1::2] = np.cumsum(lengths[1::2])
        lengths[2::2] = np.cumsum(lengths[2::2])
        _check(lengths, self.size)
        return lengths

    def pixels(self) -> np.ndarray[Any, Any]:
        """The mask as (H,W) of `bool`."""
        import numpy as np

        lengths = self.lengths()
        values = np.zeros(lengths.size, bool)
        values[1::2] = True
        return np.repeat(values, lengths).reshape(self.size, order="F")

    def as_json(self) -> dict[str, Any]:
        """As COCO's JSON has it."""
        counts = self.lengths().tolist() if self.listed else self.counts.decode()
        return {"size": list(self.size), "counts": counts}

    def area(self) -> int:
        """The number of pixels that are set."""
        return int(self.lengths()[1::2].sum())

    def box(self) -> tuple[float, float, float, float] | None:
        """The edges of the pixels that are set, `None` if there are none."""
        import numpy as np

        lengths = self.lengths()
        ends = np.cumsum(lengths)[1::2]
        set_ = lengths[1::2] > 0
        ends, starts = ends[set_], (ends - lengths[1::2])[set_]
        if not ends.size:
            return None
        height = self.size[0]
        left, right = starts // height, (ends - 1) // height
        if (left != right).any():  # a run that goes on in the next column
            top, bottom = 0, height
        else:
            top, bottom = int((starts % height).min()), int(((ends - 1) % height).max()) + 1
        return float(left[0]), float(top), float(right[-1] + 1), float(bottom)


def box_of_pixels(pixels: np.ndarray[Any, Any]) -> tuple[float, float, float, float] | None:
    """The edges (x1, y1, x2, y2) of the pixels that are set, `None` if there are none."""
    import numpy as np

    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _check(lengths: np.ndarray[Any, Any], size: tuple[int, int]) -> None:
    height, width = size
    if (lengths < 0).any():
        raise ValueError("the counts have negative lengths")
    if int(lengths.sum()) != height * width:
        raise ValueError(f"the counts are of {int(lengths.sum())} pixels, not {height} x {width}")


def _compressed(lengths: np.ndarray[Any, Any]) -> bytes:
    import numpy as np

    left = lengths.copy()
    left[3:] -= lengths[1:-2]
    groups = []
    going = np.ones(left.size, bool)
    while going.any():
        group = left & _GROUP
        left >>= _SHIFT
        more = np.where(group & _SIGN, left != -1, left != 0)
        groups.append(np.where(going, group + _FIRST + np.where(more, _MORE, 0), 0))
        going &= more
    codes = np.stack(groups, axis=1).ravel() if groups else np.zeros(0)
    return bytes(codes[codes != 0].astype(np.uint8))
