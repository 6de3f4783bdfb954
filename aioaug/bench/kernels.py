"""How long single augmenters take for a picture: plain imgaug, faster forms, Albumentations.

All run in this thread, on the same photograph, in turns. What is measured is the processor's time,
which other programs disturb little. Augmenters may change the batch itself, as in the workers of a
pool; it is made anew before each run, outside of what is measured. Albumentations leaves a list of
pictures, or writes each into a batch, as a data loader needs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from time import thread_time
from typing import Any, NamedTuple

from .. import __version__
from .._base.optional import need
from .._base.versions import installed_version
from ..fast import accelerate, exact
from .measure import this_machine
from .tables import NOTHING, TIMES, table

PLAIN, EXACT, CLOSE, ALBUMENTATIONS, BATCHED = WAYS = (
    "imgaug",
    "aioaug",
    "close",
    "albumentations",
    "albumentations, batches",
)
Work = Callable[[Any], object]  # with a batch of pictures, which it may change


# Packages that bring a module `albumentations`, of which only one can be in an environment.
ALBUMENTATIONS_X = "AlbumentationsX"
LIBRARIES = {"albumentationsx": ALBUMENTATIONS_X, "albumentations": "Albumentations"}


class Kernel(NamedTuple):
    """An augmenter of imgaug's, and what is nearest to it in Albumentations."""

    augmenter: Callable[[Any], Any]
    transform: Callable[[Any], Any] | None = None


KERNELS: Mapping[str, Kernel] = {
    "flip": Kernel(lambda iaa: iaa.Fliplr(1), lambda A: A.HorizontalFlip(p=1)),
    "turn by 90 degrees": Kernel(lambda iaa: iaa.Rot90((1, 3)), lambda A: A.RandomRotate90(p=1)),
    "affine": Kernel(
        lambda iaa: iaa.Affine(rotate=(-25, 25)), lambda A: A.Affine(rotate=(-25, 25), p=1)
    ),
    "crop and resize": Kernel(
        lambda iaa: iaa.Crop(percent=(0, 0.1)), lambda A: A.CropAndPad(percent=(-0.1, 0), p=1)
    ),
    "resize to 128": Kernel(lambda iaa: iaa.Resize(128), lambda A: A.Resize(128, 128, 2)),
    "add": Kernel(
        lambda iaa: iaa.Add((-40, 40)),
        lambda A: A.RandomBrightnessContrast((-0.16, 0.16), (0, 0), p=1),
    ),
    "multiply": Kernel(
        lambda iaa: iaa.Multiply((0.8, 1.2)), lambda A: A.MultiplicativeNoise((0.8, 1.2), p=1)
    ),
    "invert": Kernel(lambda iaa: iaa.Invert(1), lambda A: A.InvertImg(p=1)),
    "solarize": Kernel(lambda iaa: iaa.Solarize(1), lambda A: A.Solarize(p=1)),
    "posterize": Kernel(lambda iaa: iaa.Posterize((2, 6)), lambda A: A.Posterize((2, 6), p=1)),
    "gamma": Kernel(lambda iaa: iaa.GammaContrast((0.7, 1.5)), lambda A: A.RandomGamma(p=1)),
    "linear contrast": Kernel(
        lambda iaa: iaa.LinearContrast((0.6, 1.4)),
        lambda A: A.RandomBrightnessContrast((0, 0), (-0.4, 0.4), p=1),
    ),
    "equalize": Kernel(lambda iaa: iaa.pillike.Equalize(), lambda A: A.Equalize(p=1)),
    "clahe": Kernel(lambda iaa: iaa.CLAHE(), lambda A: A.CLAHE(p=1)),
    "grayscale": Kernel(lambda iaa: iaa.Grayscale(1), lambda A: A.ToGray(p=1)),
    "hue and saturation": Kernel(
        lambda iaa: iaa.AddToHueAndSaturation((-20, 20)),
        lambda A: A.HueSaturationValue((-20, 20), (-20, 20), (0, 0), p=1),
    ),
    "gaussian noise": Kernel(
        lambda iaa: iaa.AdditiveGaussianNoise(scale=(0, 25)),
        lambda A: A.GaussNoise((0, 0.1), per_channel=False, p=1),
    ),
    "dropout": Kernel(lambda iaa: iaa.Dropout((0.0, 0.2)), lambda A: A.PixelDropout(0.1, p=1)),
    "coarse dropout": Kernel(
        lambda iaa: iaa.CoarseDropout((0.02, 0.1), size_percent=0.1),
        lambda A: A.CoarseDropout(p=1),
    ),
    "salt and pepper": Kernel(
        lambda iaa: iaa.SaltAndPepper(0.05), lambda A: A.SaltAndPepper((0.05, 0.05), p=1)
    ),
    "gaussian blur": Kernel(
        lambda iaa: iaa.GaussianBlur((0.5, 2.0)),
        lambda A: A.GaussianBlur((0, 0), (0.5, 2.0), p=1),
    ),
    "median blur": Kernel(lambda iaa: iaa.MedianBlur(5), lambda A: A.MedianBlur((5, 5), p=1)),
    "motion blur": Kernel(lambda iaa: iaa.MotionBlur(7), lambda A: A.MotionBlur((7, 7), p=1)),
    "sharpen": Kernel(lambda iaa: iaa.Sharpen((0.2, 0.5)), lambda A: A.Sharpen(p=1)),
    "emboss": Kernel(lambda iaa: iaa.Emboss((0.2, 0.5)), lambda A: A.Emboss(p=1)),
    "average pooling": Kernel(lambda iaa: iaa.AveragePooling(3)),
    "maximum pooling": Kernel(lambda iaa: iaa.MaxPooling(3)),
    "jpeg": Kernel(
        lambda iaa: iaa.JpegCompression((30, 70)),
        lambda A: A.ImageCompression(quality_range=(30, 70), p=1),
    ),
    "blend": Kernel(lambda iaa: iaa.BlendAlpha((0.2, 0.8), iaa.Invert(1))),
    "perspective": Kernel(
        lambda iaa: iaa.PerspectiveTransform((0.02, 0.1)), lambda A: A.Perspective((0.02, 0.1), p=1)
    ),
    "elastic": Kernel(
        lambda iaa: iaa.ElasticTransformation(40, 5), lambda A: A.ElasticTransform(40, 5, p=1)
    ),
    "piecewise affine": Kernel(
        lambda iaa: iaa.PiecewiseAffine((0.01, 0.03)),
        lambda A: A.PiecewiseAffine((0.01, 0.03), p=1),
    ),
}


def measure_kernels(
    names: Sequence[str], rounds: int = 7, batch: int = 64, side: int = 224
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Each kernel's name and its figures: what each way takes for a picture, in ms.

    A figure is the median of the rounds; `None` where there is nothing like it, or it fails, and
    for close forms where the exact ones are taken.
    """
    import imgaug
    import numpy as np

    pictures = np.stack([imgaug.quokka_square((side, side))] * batch)
    for name in names:
        with _alone():
            ways = _ways(KERNELS[name])
            given = pictures.copy()
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(rounds + 1):  # the first makes what is made once
                for way, work in ways.items():
                    np.copyto(given, pictures)
                    begun = thread_time()
                    work(given)
                    if turn:
                        times[way].append(thread_time() - begun)
        yield (
            name,
            {way: median(times[way]) / batch * 1000 if way in times else None for way in WAYS},
        )


def as_document(
    figures: dict[str, dict[str, float | None]], rounds: int, batch: int, side: int
) -> dict[str, Any]:
    """Figures with what they depend on, fit for JSON."""
    return {
        "aioaug": __version__,
        "machine": this_machine(),
        "albumentations": " ".join(_library()),
        "settings": {"rounds": rounds, "batch": batch, "side": side},
        "kernels": figures,
    }


def mark() -> str:
    """What stands before the table on a page, which has one for each of the libraries."""
    beside = f", {ALBUMENTATIONS_X}" if ALBUMENTATIONS_X in _library() else ""
    return f"<!-- aioaug bench kernels{beside} -->"


def as_table(figures: Mapping[str, Mapping[str, float | None]], markdown: bool = False) -> str:
    """One row for each kernel: ms a picture, and how many times faster than plain imgaug."""
    library = " ".join(_library())
    rows: list[Sequence[str]] = [
        ("ms a picture", PLAIN, EXACT, "faster", CLOSE, "faster", library, "in a batch")
    ]
    for name, found in figures.items():
        plain, *ours = (found[way] for way in (PLAIN, EXACT, CLOSE))
        row = [name, _figure(plain)]
        for time in ours:
            row += [_figure(time), f"{plain / time:.2f}{TIMES}" if plain and time else NOTHING]
        rows.append((*row, _figure(found[ALBUMENTATIONS]), _figure(found[BATCHED])))
    return table(rows, markdown)


def _figure(time: float | None) -> str:
    return NOTHING if time is None else f"{time:.3f}"


def _ways(kernel: Kernel) -> dict[str, Work]:
    """What runs a kernel once over all pictures of a batch."""
    import imgaug.augmenters as iaa

    plain = kernel.augmenter(iaa)
    plain.seed_(1)
    faster, close = exact(plain), accelerate(plain)
    ways: dict[str, Work] = {PLAIN: _in_place(plain), EXACT: _in_place(faster)}
    if _kinds(close) != _kinds(faster):
        ways[CLOSE] = _in_place(close)
    transform = _transform(kernel)
    if transform is not None:
        ways[ALBUMENTATIONS] = lambda given: [transform(image=picture) for picture in given]
        ways[BATCHED] = lambda given: _batched(transform, given)
    return ways


def _in_place(augmenter: Any) -> Work:
    from imgaug.augmentables.batches import _BatchInAugmentation

    return lambda given: augmenter.augment_batch_(_BatchInAugmentation(images=given))


def _batched(transform: Any, given: Any) -> Any:
    """What Albumentations makes of pictures, all of one size, in an array."""
    import numpy as np

    done: Any = None
    for place, picture in enumerate(given):
        result = transform(image=picture)["image"]
        if done is None:
            done = np.empty((len(given), *result.shape), result.dtype)
        done[place] = result
    return done


def _kinds(augmenter: Any) -> list[type]:
    from ..fast.parts import objects_in

    return [type(found) for found in objects_in(augmenter)]


def _transform(kernel: Kernel) -> Any:
    """Albumentations' transform, if it is there and of a release that knows these arguments."""
    if kernel.transform is None or not any(map(installed_version, LIBRARIES)):
        return None
    library = need(ALBUMENTATIONS, extra=ALBUMENTATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it warns of arguments that it does not know
        try:
            return kernel.transform(library)
        except Exception:
            return None


def _library() -> tuple[str, ...]:
    """The name and version of the library that is installed, if any."""
    for package, name in LIBRARIES.items():
        version = installed_version(package)
        if version:
            return name, version
    return (LIBRARIES["albumentations"],)


@contextmanager
def _alone() -> Iterator[None]:
    """OpenCV uses this thread only, as it does in workers."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
