"""The order of axes, the dtype and the range that a model wants its images in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from .._base.arguments import one_of
from .._transport import room
from . import compound

_LAYOUTS = ("NHWC", "NCHW")
_HIGHEST = {"u1": 255.0, "u2": 65535.0}  # what becomes 1; floats stay as they are
_IN_TABLES = 256  # values of a dtype that are looked up


class ArrayFormat:
    """Brings the images of a batch into the layout, dtype and range that a model wants.

    It is called with a batch as a pool gives it: an array (N,H,W,C) or (N,H,W), or a list of such
    arrays of one shape; a tuple `(images, ...)`, or a mapping, named tuple or dataclass with
    `images`. It returns the batch in the same form; what is not images stays as it is. To have it
    called in the workers, give it to a pool as `dump=`: then what it makes lies in shared memory
    at once.

    Integers are brought to the range from 0 to 1 first: by 255 for 8 bits, by 65535 for 16. Then
    `mean` is subtracted, and the result divided by `std`, as torchvision's `Normalize` does. All
    of this is one pass over the images, which reads each value once and writes it once. Without
    `dtype`, `mean` and `std` nothing is computed: the result is a view, of the same memory, and for
    "NCHW" it has the strides that PyTorch calls `channels_last`.

    Args:
        layout: "NHWC", or "NCHW", which comes in C order where `dtype` is a dtype; `None` leaves
            the axes as they are, and channels are the last one.
        dtype: of floats; `None` is float32 where there is a mean or a standard deviation, and
            else the dtype that the images have.
        mean, std: for all channels, or one number for each; `None` is 0 and 1.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type. When called: the
            images have other numbers of channels, other shapes, or a dtype that has no range.
    """

    def __init__(
        self,
        layout: str | None = "NHWC",
        dtype: Any = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        import numpy as np

        self.layout = layout if layout is None else one_of("layout", layout, _LAYOUTS)
        if dtype is None and (mean is not None or std is not None):
            dtype = "float32"
        self.dtype = None if dtype is None else _float_dtype(dtype)
        self.mean = _per_channel("mean", mean, 0.0)
        self.std = _per_channel("std", std, 1.0)
        if not (self.std > 0).all():
            raise ValueError(f"std must be above 0, got {std!r}")
        try:
            np.broadcast_shapes(self.mean.shape, self.std.shape)
        except ValueError:
            raise ValueError(
                f"mean and std must have one number, or one for each channel, got {len(self.mean)} "
                f"and {len(self.std)}"
            ) from None
        self._tables: dict[tuple[str, int], Any] = {}

    def __repr__(self) -> str:
        dtype = None if self.dtype is None else str(self.dtype)
        return (
            f"{type(self).__name__}(layout={self.layout!r}, dtype={dtype!r}, "
            f"mean={self.mean.tolist()}, std={self.std.tolist()})"
        )

    @property
    def computes(self) -> bool:
        """Whether it makes new arrays, and not only views."""
        return self.dtype is not None

    def __call__(self, batch: Any) -> Any:
        """The batch with its images in this format."""
        return with_images(batch, self.images)

    def images(self, images: Any) -> Any:
        """Images (N,H,W,C) or (N,H,W), or a list of such without N, in this format."""
        import numpy as np

        array = images
        if isinstance(images, (list, tuple)):
            shapes = {image.shape for image in images}
            if len(shapes) > 1:
                raise ValueError(
                    "images of several shapes do not fit into one array: have them all resized, "
                    f"got {', '.join(map(str, sorted(shapes)[:3]))}"
                )
            if not self.computes and images:
                array = np.stack(images)
        elif not isinstance(array, np.ndarray):
            array = np.asarray(array)  # a tensor's own memory
        if not self.computes:
            return self._turned(array)
        return self._computed(array)

    def _turned(self, array: Any) -> Any:
        if self.layout != "NCHW":
            return array
        _check_axes(array)
        return array[:, None] if array.ndim == 3 else array.transpose(0, 3, 1, 2)

    def _computed(self, images: Any) -> Any:
        import numpy as np

        if not len(images):
            raise ValueError("a batch without images has no shape, so it cannot become an array")
        first = images[0]
        grey = first.ndim == 2
        if not grey and first.ndim != 3:
            raise ValueError(f"images must be (N,H,W,C) or (N,H,W), got (N,) + {first.shape}")
        channels = 1 if grey else first.shape[2]
        self._check_channels(channels)
        shape: tuple[int, ...] = (len(images), *first.shape)
        if self.layout == "NCHW":
            shape = (len(images), channels, *first.shape[:2])
        result = room.empty(shape, np.dtype(self.dtype))
        # Planes of the result, one for each channel, wherever they lie.
        planes = result if self.layout == "NCHW" else result.reshape(*shape[:3], channels)
        if self.layout != "NCHW":
            planes = planes.transpose(0, 3, 1, 2)
        for image, channels_of in zip(images, planes, strict=True):
            for number, plane in enumerate(channels_of):
                self._fill(plane, image if grey else image[..., number], image, number)
        return result

    def _fill(self, plane: Any, source: Any, image: Any, channel: int) -> None:
        """Compute one channel of one image; it is small enough to stay in the processor's cache."""
        import numpy as np

        if source.dtype == np.uint8 and plane.dtype == np.float32 and plane.flags.c_contiguous:
            import cv2

            if image.ndim == 3 and image.shape[2] > 1 and image.flags.c_contiguous:
                source = cv2.extractChannel(image, channel)
            cv2.LUT(np.ascontiguousarray(source), self._table(channel), dst=plane)
            return
        factor, shift = self._line(source.dtype, channel)
        values = (
            np.multiply(source, factor, dtype=np.float64)
            if plane.itemsize > 4
            else (np.multiply(source, np.float32(factor), dtype=np.float32))
        )
        values += values.dtype.type(shift)
        plane[...] = values

    def _line(self, dtype: Any, channel: int) -> tuple[float, float]:
        """What values are multiplied by, and what is added then."""
        highest = _HIGHEST.get(dtype.str[1:], 1.0 if dtype.kind == "f" else None)
        if highest is None:
            raise ValueError(
                f"images of {dtype} have no range that becomes 0 to 1: have the augmenter return "
                "uint8, uint16 or floats"
            )
        mean, std = (float(each[channel % len(each)]) for each in (self.mean, self.std))
        return 1 / (highest * std), -mean / std

    def _table(self, channel: int) -> Any:
        """What each of 256 values becomes."""
        import numpy as np

        key = "u1", channel
        if key not in self._tables:
            mean, std = (float(each[channel % len(each)]) for each in (self.mean, self.std))
            values = (np.arange(_IN_TABLES) / _HIGHEST["u1"] - mean) / std
            self._tables[key] = values.astype(np.float32)
        return self._tables[key]

    def _check_channels(self, channels: int) -> None:
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                raise ValueError(
                    f"{name} has {len(numbers)} numbers, but images have {channels} channels"
                )


def with_images(batch: Any, change: Callable[[Any], Any]) -> Any:
    """A batch, in the same form, with what `change` makes of its images; else `TypeError`."""
    if _is_images(batch):
        return change(batch)
    if hasattr(batch, "images_aug"):
        done = copy.copy(batch)
        done.images_aug = change(batch.images_aug)
        return done
    path = compound.columns_of(batch).get("images") if compound.is_compound(batch) else None
    if path is None:
        raise TypeError(f"a batch must have images, got {type(batch).__name__}")
    return compound.with_parts(batch, {path: change(compound.part_at(batch, path))})


def _is_images(batch: Any) -> bool:
    """Whether a batch is nothing but images."""
    if isinstance(batch, list):
        return bool(batch) and getattr(batch[0], "ndim", 0) in (2, 3)
    return hasattr(batch, "ndim") and hasattr(batch, "__array__")


def _check_axes(array: Any) -> None:
    if array.ndim not in (3, 4):
        raise ValueError(f"images must be (N,H,W,C) or (N,H,W), got {array.shape}")


def _float_dtype(dtype: Any) -> Any:
    import numpy as np

    found = np.dtype(dtype)
    if found.kind != "f":
        raise ValueError(
            f"dtype must be one of floats, or None for that of the images, got {dtype!r}"
        )
    return found


def _per_channel(name: str, value: Any, default: float) -> Any:
    import numpy as np

    numbers = np.atleast_1d(np.asarray(default if value is None else value, np.float64))
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be a number, or one for each channel, got {value!r}")
    return numbers
