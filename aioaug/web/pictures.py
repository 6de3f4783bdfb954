"""What a worker does with a request: picture files and JSON in, the bytes of the answer out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from .. import _pictures
from .._base.arguments import one_of, whole
from .._base.joining import Joined, Stages, finished
from .._pictures import Array, Picture
from ..errors import UnreadablePictureError
from .annotations import PictureMarks
from .frames import data_uri
from .limits import WebLimits
from .multipart import AnswerPart, FormReader, as_json_part, as_multipart, as_zip, boundary_of
from .problems import RequestRefused

PictureFormat = Literal["jpeg", "png", "webp"]
Bundle = Literal["auto", "multipart", "zip", "json"]
PICTURE_FORMATS: tuple[PictureFormat, ...] = ("jpeg", "png", "webp")
BUNDLES: tuple[Bundle, ...] = ("auto", "multipart", "zip", "json")
_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
_FIELDS = ("image", "options")
_OPTIONS = ("format", "quality", "annotations")

_SMALL = 1 << 20  # bytes of pixels

AugmentBatch = Callable[[Any], Any]


class Encoding(NamedTuple):
    """How pictures are written: in which format, and JPEG and WebP in which quality, 1 to 100."""

    format: PictureFormat = "jpeg"
    quality: int = 90

    def checked(self) -> Encoding:
        """Itself; `RequestRefused` if a client asked for what there is not."""
        try:
            one_of("format", self.format, PICTURE_FORMATS)
            whole("quality", self.quality, low=1, high=100)
        except (TypeError, ValueError) as error:
            raise RequestRefused(400, str(error)) from None
        return self

    @property
    def media_type(self) -> str:
        """Of a picture."""
        return f"image/{self.format}"

    @property
    def suffix(self) -> str:
        """Of the names of files."""
        return _SUFFIXES[self.format]

    def encode(self, pixels: Any) -> bytes:
        """The bytes of a file of what an augmenter made: (H,W,3), (H,W,1) or (H,W) uint8."""
        import numpy as np

        pixels = np.asarray(pixels)
        if pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        fine = pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3)
        if not fine or 0 in pixels.shape:
            raise TypeError(
                f"the pipeline made {pixels.dtype} {pixels.shape}; pictures are uint8 (H,W,3) or "
                "(H,W,1), so leave out of a pipeline for the web what makes something else"
            )
        grey = pixels.shape[2] == 1
        colour = np.repeat(pixels, 3, axis=2) if grey else np.ascontiguousarray(pixels)
        return _pictures.encode(Picture(colour, grey=grey), self.suffix, self.quality)


@dataclass(frozen=True)
class PictureAnswer(Joined):
    """What a worker made of a request, when it began, and the seconds of its stages."""

    body: bytes
    media_type: str
    etag: str
    pictures: int = 1
    begun: int = 0  # ns since 1970
    seconds: dict[str, float] = field(default_factory=dict)
    taken: float = 0.0  # seconds of all stages


@dataclass(frozen=True)
class PostedPictures:
    """The body of a request with pictures, as it came: what a pool takes for a batch.

    A worker takes it apart, decodes the pictures, augments them with what is marked on them, and
    encodes the answer. Each pool of an augmenter of pictures takes it and returns a
    `PictureAnswer`. Of a picture that has 16 bits a channel eight are used, and transparency is
    left out.
    """

    body: Any  # bytes, or an array of them, which goes through shared memory
    content_type: str
    encoding: Encoding = field(default_factory=Encoding)
    bundle: Bundle = "auto"
    limits: WebLimits = field(default_factory=WebLimits)

    def __augment__(self, augment_batch: AugmentBatch) -> PictureAnswer:
        return self.answer(augment_batch)

    def answer(self, augment_batch: AugmentBatch) -> PictureAnswer:
        """Everything, with this function for imgaug's `UnnormalizedBatch`."""
        return finished(self.stages(augment_batch))

    def stages(self, augment_batch: AugmentBatch) -> Stages[PictureAnswer]:
        """The same in three stages. Large pictures make no pause: many would take much memory."""
        begun, watch = time.time_ns(), Stopwatch()
        files, options = self._parts()
        encoding, marks = self._options(options, len(files))
        pixels = decoded(files, self.limits.pixels)
        is_small = sum(each.nbytes for each in pixels) <= _SMALL
        watch.lap("decode")
        if is_small:
            yield
            watch.go_on()
        images, told = _augmented(augment_batch, pixels, marks)
        watch.lap("augment")
        if is_small:
            yield
            watch.go_on()
        parts = [
            AnswerPart(f"image-{place}{encoding.suffix}", encoding.media_type, encoding.encode(one))
            for place, one in enumerate(images)
        ]
        media_type, body = _bundled(parts, told, self.bundle)
        watch.lap("encode")
        return PictureAnswer(
            body, media_type, etag_of(body), len(parts), begun, watch.seconds, watch.taken
        )

    def _parts(self) -> tuple[list[bytes], dict[str, Any]]:
        """The files of pictures, and the options of a form, if it is one."""
        boundary = boundary_of(self.content_type)
        if boundary is None:
            files, options = [bytes(self.body)], {}
        else:
            fields = FormReader(boundary, self.limits.pictures + 1).read(self.body)
            if strange := [part.name for part in fields if part.name not in _FIELDS]:
                raise RequestRefused(422, f"{strange[0]!r}: a form's fields are image and options")
            files = [bytes(part.content) for part in fields if part.name == "image"]
            texts = [bytes(part.content) for part in fields if part.name == "options"]
            options = _json_object(texts[0]) if texts else {}
            if len(texts) > 1 or not files or len(files) > self.limits.pictures:
                raise RequestRefused(
                    413 if len(files) > self.limits.pictures else 422,
                    f"a form has 1 to {self.limits.pictures} fields image, and one options at most",
                )
        if not files[0]:
            raise RequestRefused(422, "there is no picture in the request")
        return files, options

    def _options(
        self, options: dict[str, Any], count: int
    ) -> tuple[Encoding, list[PictureMarks] | None]:
        if strange := [key for key in options if key not in _OPTIONS]:
            raise RequestRefused(422, f"{strange[0]!r}: options are {', '.join(_OPTIONS)}")
        encoding = Encoding(
            options.get("format", self.encoding.format),
            options.get("quality", self.encoding.quality),
        ).checked()
        given = options.get("annotations")
        if given is None:
            return encoding, None
        if not isinstance(given, list) or len(given) != count:
            raise RequestRefused(422, f"annotations must be a list of {count}, one for each image")
        return encoding, [PictureMarks.of_json(each, self.limits.marks) for each in given]


class Stopwatch:
    """Adds up how long stages take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage has ended, and the next begins."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now

    def go_on(self) -> None:
        """What was done since the last stage does not count."""
        self._last = time.perf_counter()

    @property
    def taken(self) -> float:
        """Of all stages so far."""
        return sum(self.seconds.values())


def decoded(files: Sequence[bytes], most: int) -> list[Array]:
    """Pixels (H,W,3) uint8 of picture files, of no more than so many pixels together.

    Raises `RequestRefused`: 415 for what is no picture, 413 for too many pixels, before they are
    decoded.
    """
    sizes = [_pictures.size_of(each) for each in files]
    for place, size in enumerate(sizes, 1):
        if size is None or 0 in size:
            raise RequestRefused(415, f"image {place} of {len(files)} is not a picture")
    total = sum(height * width for height, width in filter(None, sizes))
    if total > most:
        raise RequestRefused(413, f"pictures of {most:,} pixels at most, got {total:,}")
    pixels = []
    for place, each in enumerate(files, 1):
        try:
            pixels.append(eight_bits(_pictures.decode_upright(each)[0]))
        except UnreadablePictureError as error:
            raise RequestRefused(415, f"image {place} of {len(files)}: {error}") from None
    return pixels


def eight_bits(pixels: Array) -> Array:
    """Deep grey pixels (H,W,1) as (H,W,3) uint8; others are that already."""
    import numpy as np

    if pixels.dtype == np.uint16:
        return np.repeat((pixels >> 8).astype(np.uint8), 3, axis=2)
    return pixels


def etag_of(body: bytes) -> str:
    """A strong validator of an answer: the same for the same bytes on every server."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _augmented(
    augment_batch: AugmentBatch, pixels: list[Array], marks: list[PictureMarks] | None
) -> tuple[Sequence[Any], list[dict[str, Any]] | None]:
    from imgaug.augmentables.batches import UnnormalizedBatch

    rows = [one.columns(each.shape) for one, each in zip(marks or (), pixels, strict=False)]
    columns = _filled(rows, pixels)
    done = augment_batch(UnnormalizedBatch(images=pixels, **columns))
    images = done.images_aug
    if images is None or len(images) != len(pixels):
        raise TypeError("the pipeline must make one picture of each")
    if marks is None:
        return images, None
    moved = {name: getattr(done, f"{name}_aug") for name in columns}
    told = [
        one.moved({name: moved[name][place] for name in row})
        for place, (one, row) in enumerate(zip(marks, rows, strict=True))
    ]
    return images, told


def _filled(rows: list[dict[str, Any]], pixels: list[Array]) -> dict[str, list[Any]]:
    """The columns of all pictures; those on which nothing of a kind is marked have empty ones."""
    names = sorted({name for row in rows for name in row})
    return {
        name: [
            row[name] if name in row else _empty(name, image.shape)
            for row, image in zip(rows, pixels, strict=True)
        ]
        for name in names
    }


def _empty(name: str, shape: tuple[int, ...]) -> Any:
    import numpy as np
    from imgaug import augmentables

    if name == "segmentation_maps":
        return augmentables.SegmentationMapsOnImage(np.zeros(shape[:2], np.int32), shape)
    kinds = {
        "bounding_boxes": augmentables.BoundingBoxesOnImage,
        "keypoints": augmentables.KeypointsOnImage,
        "polygons": augmentables.PolygonsOnImage,
    }
    return kinds[name]([], shape)


def _bundled(
    parts: list[AnswerPart], told: list[dict[str, Any]] | None, bundle: Bundle
) -> tuple[str, bytes]:
    if bundle == "json":
        content = {"images": [data_uri(part.content, part.media_type) for part in parts]}
        whole_ = content if told is None else {**content, "annotations": told}
        return "application/json", json.dumps(whole_).encode()
    if told is not None:
        parts = [as_json_part("annotations.json", told), *parts]
    if bundle == "auto" and len(parts) == 1:
        return parts[0].media_type, parts[0].content
    return as_zip(parts) if bundle == "zip" else as_multipart(parts)


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RequestRefused(422, "options are no JSON") from None
    if not isinstance(value, dict):
        raise RequestRefused(422, "options must be an object of JSON")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
