"""Contact sheets: small pictures in rows, each with a label below it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .drawing import drawn_on
from .reading import Picture

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

_GAP = 10
_FONT_SIZE = 14
_CAPTION_SIZE = 10
_LINE = 2 * _GAP + _FONT_SIZE  # below each row: its labels and some space
_PAPER, _INK = (250, 250, 248), (40, 40, 40)
_MARK = "aioaug contact sheet"


class ShownLabels(Protocol):
    """Labels that can be drawn."""

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by the names of its columns."""

    def captions(self, shape: tuple[int, ...]) -> list[tuple[str, float, float]]:
        """The names of what is in a picture of this shape, and where it begins."""


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet, (H,W,3) uint8 and no larger than its square."""

    label: str
    pixels: np.ndarray[Any, Any]


def tile(label: str, picture: Picture, labels: ShownLabels | None, side: int) -> Tile:
    """A picture made to fit a square of this side, its labels drawn on it."""
    import numpy as np
    from PIL import Image

    pixels = picture.pixels
    if pixels.dtype == np.uint16:
        pixels = np.repeat((pixels >> 8).astype(np.uint8), 3, axis=2)
    elif picture.grey:  # a pipeline may colour it, but it is written grey
        pixels = np.array(Image.fromarray(pixels).convert("L").convert("RGB"))
    if labels is not None:
        pixels = drawn_on(pixels, labels.shown(pixels.shape))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if picture.alpha is not None:
        paper = Image.new("RGB", image.size, _PAPER)
        paper.paste(image, mask=Image.fromarray(picture.alpha))
        image = paper
    scale = side / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    small = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    if labels is not None:
        captions = labels.captions(picture.pixels.shape)
        _caption(small, [(text, x * scale, y * scale) for text, x, y in captions])
    return Tile(label, np.asarray(small))


def sheet(rows: Sequence[Sequence[Tile]], side: int) -> Image.Image:
    """Draw the tiles in these rows, each in the middle of its square."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_SIZE)
    heights = [max(one.pixels.shape[0] for one in row) for row in rows]
    width = _GAP + max(map(len, rows)) * (side + _GAP)
    image = Image.new("RGB", (width, _GAP + sum(heights) + len(rows) * _LINE), _PAPER)
    draw = ImageDraw.Draw(image)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, one in enumerate(row):
            left = _GAP + column * (side + _GAP)
            free = side - one.pixels.shape[1], height - one.pixels.shape[0]
            place = left + free[0] // 2, top + free[1] // 2
            image.paste(Image.fromarray(one.pixels), place)
            _write(draw, one.label, (left, top + height + 4), side, font)
        top += height + _LINE
    return image


def _caption(image: Image.Image, captions: Sequence[tuple[str, float, float]]) -> None:
    """Write the names of things on a small picture, above where they begin if there is room."""
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_CAPTION_SIZE)
    for text, x, y in captions:
        wide, high = draw.textlength(text, font), _CAPTION_SIZE + 2
        left = min(max(0, x), max(0, image.width - wide))
        top = min(max(0, y - high), image.height - high)
        draw.rectangle((left, top, left + wide, top + high), fill=_INK)
        draw.text((left, top), text, fill=_PAPER, font=font)


def encode(image: Image.Image) -> bytes:
    """The bytes of a sheet as PNG, marked as what it is."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", _MARK)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def is_sheet(path: Path) -> bool:
    """Whether this file was made by `encode`."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return bool(image.info.get("Software") == _MARK)
    except (OSError, ValueError, SyntaxError):
        return False


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[int, int],
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """One line in the middle of `width`; what does not fit is cut at its beginning."""
    shown = text
    while draw.textlength(shown, font) > width and len(shown) > 1:
        text = text[1:]
        shown = f"…{text}"
    x = corner[0] + (width - draw.textlength(shown, font)) / 2
    draw.text((x, corner[1]), shown, fill=_INK, font=font)
