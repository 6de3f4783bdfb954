"""What one looks at in a notebook: the pictures of a batch, and how far a stream is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._aio.tasks import AsyncBatches, in_thread
from ._base import atomic
from ._base.optional import need
from ._pictures.drawing import drawn_on
from .augmenters import batch_forms
from .augmenters.compound import NAMES

if TYPE_CHECKING:
    import numpy as np


class PictureGrid:
    """Pictures side by side, as `show` makes them; notebooks display it as a PNG.

    `pixels` are (H,W,3) uint8, RGB.
    """

    def __init__(self, pixels: np.ndarray[Any, Any]) -> None:
        self.pixels = pixels

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<{type(self).__name__} of {width}x{height} pixels>"

    def _repr_png_(self) -> bytes:
        return self._encoded(".png")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file whose suffix names the format, `.png` or another one that OpenCV writes.

        It is written as a whole or not at all. Raises `ValueError` for an unknown suffix.
        """
        place = Path(path)
        atomic.write(place, self._encoded(place.suffix))

    def _encoded(self, suffix: str) -> bytes:
        import cv2

        try:
            done, data = cv2.imencode(suffix, cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR))
        except cv2.error:
            done = False
        if not done:
            raise ValueError(f"path must end in the suffix of an image format, got {suffix!r}")
        return bytes(data)


def show(batch: Any, *, most: int = 16, columns: int | None = None, size: int = 224) -> PictureGrid:
    """The pictures of a batch in a grid, with the points, boxes, shapes and maps of each on it.

    `batch` has any of the forms that pools take; of imgaug's batches the augmented side is shown,
    if there is one. At most `most` pictures are drawn, in rows of `columns`, each made smaller if
    its longer side has more than `size` pixels. Floats are taken for brightness from 0 to 1 if none
    is larger, 16 bits are cut to the upper 8. Of an image with more than three channels the first
    three are drawn, of maps with several the first. The batch is not changed.

    Example::

        aioaug.show(batch).save("batch.png")

    Raises:
        ValueError: the batch has no images, or a number is less than 1.
        TypeError: it has none of the forms.
    """
    for name, number in (("most", most), ("columns", columns), ("size", size)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be 1 or more, got {number!r}")
    import imgaug

    pictures = [_made_to_fit(picture, size) for picture in _drawn(batch, most)]
    if not pictures:
        raise ValueError("the batch must have images to be shown, got none")
    return PictureGrid(imgaug.draw_grid(pictures, cols=columns and min(columns, len(pictures))))


class Progress(AsyncBatches):
    """The batches of a stream, with a bar that shows how far it is; see `progress`."""

    def __init__(self, stream: AsyncIterable[Any], options: dict[str, Any]) -> None:
        self._stream = stream
        self._batches = aiter(stream)
        self._options = options
        self._bar: Any = None

    async def __anext__(self) -> Any:
        if self._bar is None:
            # Importing it reads files, which would hold up the loop.
            tqdm = await in_thread(partial(need, "tqdm.auto", extra="notebook"))
            self._bar = tqdm.tqdm(**self._options)
        try:
            batch = await anext(self._batches)
        except StopAsyncIteration:
            self._bar.close()
            raise
        self._bar.update()
        return batch

    async def aclose(self) -> None:
        """End the stream, as its own `aclose` does, and the bar. Idempotent."""
        try:
            if hasattr(self._stream, "aclose"):
                await self._stream.aclose()
        finally:
            if self._bar is not None:
                self._bar.close()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()


def progress(stream: AsyncIterable[Any], total: int | None = None, **options: Any) -> Progress:
    """Batches as `stream` gives them, with tqdm's bar of them: in a notebook one of its own.

    `total` is how many there will be, if that is known; `options` are those of `tqdm.auto.tqdm`.
    Leaving `async with` ends the stream, as leaving the stream itself does. The first batch raises
    `MissingExtra` without tqdm (`pip install 'aioaug[notebook]'`).

    Example::

        async with aioaug.progress(pool.imap_batches(source), total=100) as batches:
            async for batch in batches:
                ...
    """
    if not isinstance(stream, AsyncIterable):
        raise TypeError(f"stream must be read by 'async for', got {type(stream).__name__}")
    return Progress(stream, {"total": total, "unit": "batch", **options})


def _drawn(batch: Any, most: int) -> Iterator[np.ndarray[Any, Any]]:
    rows = _columns_of(batch)
    images = [] if rows.images_unaug is None else rows.images_unaug
    for number, image in enumerate(images[:most]):
        columns = {name: getattr(rows, f"{name}_unaug") for name in NAMES - {"images"}}
        items = {name: column[number] for name, column in columns.items() if column is not None}
        yield drawn_on(_as_rgb(image), items)


def _columns_of(batch: Any) -> Any:
    """An imgaug batch whose columns are objects of imgaug's own classes."""
    found = []

    def unchanged(columns: Any) -> Any:
        found.append(columns.to_normalized_batch())
        batch_forms.pass_through(columns)
        return columns

    batch_forms.augment(batch_forms.as_input(batch), unchanged)
    return found[0]


def _as_rgb(image: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    pixels = np.atleast_3d(image)
    if pixels.dtype == np.uint16:
        pixels = pixels >> 8
    elif pixels.dtype == bool or (pixels.dtype.kind == "f" and pixels.max(initial=0) <= 1):
        pixels = pixels * 255.0
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    count = pixels.shape[2]
    channels = [0, 1, 2] if count >= 3 else [0, 0, 0]
    return np.ascontiguousarray(pixels[:, :, channels])


def _made_to_fit(pixels: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    import cv2
    import numpy as np

    scale = size / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
