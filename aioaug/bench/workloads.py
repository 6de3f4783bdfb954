"""What is augmented: real pictures in batches of several sizes, and the augmenters for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import _imgaug
from .._base.optional import need
from ..augmenters import presets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]

IMGAUG, ALBUMENTATIONS = "imgaug", "albumentations"  # libraries whose augmenters there are

# The size of all batches of one workload: more than the cache of a processor holds.
_POOL_BYTES = 96 << 20
_FEWEST, _MOST = 4, 64

_in_this_thread = threading.local()  # augmenters are not thread-safe


@dataclass(frozen=True)
class Workload:
    """One kind of batch and what is done to it.

    With `tasks`, so many tasks ask for one batch after the other; with `listed`, lists of so many
    go through `map_batches`; otherwise batches stream. Then `window` is the number of batches that
    may exist at once, if it is not the usual one. With `files`, pictures are read from JPEGs, and
    with `tensors` as well they become normalised floats (N,C,H,W).
    """

    name: str
    shape: tuple[int, int, int, int]
    make: Callable[[], Any]
    about: str
    chunksize: int = 1
    tasks: int = 0
    listed: int = 0
    window: int = 0
    augmenter: str = IMGAUG  # the library of which `make` makes one
    files: bool = False
    accelerate: bool = False  # aioaug runs the close forms
    tensors: bool = False

    @property
    def megabytes(self) -> float:
        """The size of one batch, whose dtype is uint8."""
        n, height, width, channels = self.shape
        return n * height * width * channels / 1e6

    @property
    def title(self) -> str:
        """Name, shape and augmenter in a line."""
        chunks = f", {self.chunksize} batches a call" if self.chunksize > 1 else ""
        tasks = f", {self.tasks} task{'s' * (self.tasks > 1)}" if self.tasks else ""
        window = f", {self.window} of them at once" if self.window else ""
        listed = f", {self.listed} of them in a list" if self.listed else ""
        shape = "x".join(map(str, self.shape))
        return f"{self.name}: {shape} uint8{chunks}{tasks}{window}{listed}, {self.about}"


def _identity() -> Any:
    import imgaug.augmenters as iaa

    return iaa.Identity()


def _flip() -> Any:
    import imgaug.augmenters as iaa

    return iaa.Fliplr(0.5)


def _typical() -> Any:
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.Affine(rotate=(-20, 20), scale=(0.9, 1.1)),
            iaa.Multiply((0.8, 1.2)),
            iaa.AdditiveGaussianNoise(scale=5),
        ]
    )


def _crop_and_flip() -> Any:
    import imgaug.augmenters as iaa

    height, width = FILE_SHAPE[1:3]
    return iaa.Sequential([iaa.CropToFixedSize(width=width, height=height), iaa.Fliplr(0.5)])


def _training() -> Any:
    import imgaug.augmenters as iaa

    return iaa.Sequential(
        [
            iaa.Fliplr(0.5),
            iaa.Affine(rotate=(-20, 20), scale=(0.9, 1.1)),
            iaa.Multiply((0.8, 1.2)),
            iaa.LinearContrast((0.8, 1.2)),
        ]
    )


def _typical_albumentations() -> Any:
    library = need(ALBUMENTATIONS, extra=ALBUMENTATIONS)
    return library.Compose(
        [
            library.HorizontalFlip(p=0.5),
            library.Affine(rotate=(-20, 20), scale=(0.9, 1.1), p=1),
            library.MultiplicativeNoise((0.8, 1.2), p=1),
            library.GaussNoise(std_range=(0.02, 0.02), per_channel=True, p=1),
        ]
    )


FILE_SHAPE = _USUAL = (64, 224, 224, 3)
_TINY = (1, 32, 32, 3)
_ASKED_FOR = {"tiny": _TINY, "usual": (1, 224, 224, 3), "full-hd": (1, 1080, 1920, 3)}

STREAMS = {
    workload.name: workload
    for workload in (
        Workload("identity", _USUAL, _identity, "nothing done"),
        Workload("flip", _USUAL, _flip, "half of the pictures flipped"),
        Workload("typical", _USUAL, _typical, "flip, affine, multiply, noise"),
        Workload("tutorial", (4, 224, 224, 3), presets.tutorial, "piecewise affine, flip, crop"),
        Workload("tiny", _TINY, _identity, "nothing done"),
        Workload("tiny-16", _TINY, _identity, "nothing done", chunksize=16),
        Workload("large", (256, 224, 224, 3), _identity, "nothing done"),
    )
}

BUFFERS = {
    workload.name: workload
    for workload in (
        *(
            Workload(f"buffer-{window}", _TINY, _identity, "nothing done", window=window)
            for window in (4, 8, 16, 64)
        ),
        Workload("list-3000", _TINY, _identity, "nothing done", listed=3000),
    )
}

REQUESTS = {
    workload.name: workload
    for workload in (
        Workload(f"requests-{size}-{tasks}", shape, _flip, "half of them flipped", tasks=tasks)
        for size, shape in _ASKED_FOR.items()
        for tasks in (1, 10, 100)
    )
}

OF_ALBUMENTATIONS = {
    "typical-albumentations": Workload(
        "typical-albumentations",
        _USUAL,
        _typical_albumentations,
        "flip, affine, multiply, noise of Albumentations",
        augmenter=ALBUMENTATIONS,
    )
}

OF_FILES = {
    "files": Workload(
        "files",
        FILE_SHAPE,
        _crop_and_flip,
        "decoded from JPEGs of 500x375, a random crop, half of them flipped",
        files=True,
    ),
    "train": Workload(
        "train",
        FILE_SHAPE,
        _training,
        "decoded from JPEGs of 500x375 and resized; flip, affine, brightness; normalised floats",
        files=True,
        tensors=True,
    ),
}

ACCELERATED = {
    "tutorial-close": Workload(
        "tutorial-close",
        (16, 225, 225, 3),
        presets.tutorial,
        "piecewise affine, flip, crop, with aioaug's close forms",
        accelerate=True,
    )
}

GROUPS = {"buffers": BUFFERS, "requests": REQUESTS}
WORKLOADS = STREAMS | BUFFERS | REQUESTS | OF_ALBUMENTATIONS | OF_FILES | ACCELERATED


def augmenter(name: str) -> Any:
    """The augmenter of a workload; each thread of each process makes its own."""
    own = vars(_in_this_thread)
    if name not in own:
        own[name] = WORKLOADS[name].make()
    return own[name]


@cache
def pictures(name: str) -> list[Images]:
    """Different batches of a workload: crops of photographs, tiled where they are too small."""
    import numpy as np

    n, height, width, _ = WORKLOADS[name].shape
    tiled = [_tiled(photograph, height, width) for photograph in photographs()]
    number = int(min(_MOST, max(_FEWEST, _POOL_BYTES // (WORKLOADS[name].megabytes * 1e6))))
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(number):
        batch = np.empty(WORKLOADS[name].shape, np.uint8)
        for place in range(n):
            whole = tiled[place % len(tiled)]
            top = rng.integers(0, whole.shape[0] - height + 1)
            left = rng.integers(0, whole.shape[1] - width + 1)
            batch[place] = whole[top : top + height, left : left + width]
        batches.append(batch)
    return batches


def touch(result: Any) -> int:
    """What every consumer does with a result: read its first and its last byte."""
    images = getattr(result, "images_aug", getattr(result, "images", result))
    return int(images[0][0, 0, 0]) + int(images[-1][-1, -1, -1])


class WorkloadSource:
    """Batches without end, until `stop`; the pictures are made before the first one."""

    def __init__(self, workload: Workload) -> None:
        self._pictures = pictures(workload.name)
        self._stopped = False

    def stop(self) -> None:
        """Let the source end."""
        self._stopped = True

    def __iter__(self) -> Iterator[Any]:
        from imgaug.augmentables.batches import UnnormalizedBatch

        # A new view each time, so that no library recognises an array that it had before.
        while True:
            for images in self._pictures:
                if self._stopped:
                    return
                yield UnnormalizedBatch(images=images[:])

    def lists(self, length: int) -> Iterator[list[Any]]:
        """The batches in lists of this length."""
        batches = iter(self)
        while True:
            yield list(islice(batches, length))


class AugmentedDataset:
    """The batches as a data set whose items the workers make themselves, already augmented."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, index: Any) -> Images:
        return augmented(self._name, int(index))


class AugmentedPictures:
    """The pictures as a data set, each augmented alone: how DataLoaders use Albumentations."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._per_batch = WORKLOADS[name].shape[0]

    def __len__(self) -> int:
        return self._per_batch << 40

    def __getitem__(self, index: Any) -> Images:
        batch, place = divmod(int(index), self._per_batch)
        batches = pictures(self._name)
        result: Images = augmenter(self._name)(image=batches[batch % len(batches)][place])["image"]
        return result


def augmented(name: str, index: int) -> Images:
    """One batch of a workload, augmented here."""
    from imgaug.augmentables.batches import UnnormalizedBatch

    images = pictures(name)[index % len(pictures(name))]
    result: Images = augmenter(name).augment_batch_(UnnormalizedBatch(images=images)).images_aug
    return result


def photographs() -> list[Images]:
    """Real pictures of several sizes."""
    from skimage import data

    return [data.astronaut(), data.coffee(), data.chelsea(), _imgaug.quokka()]


def _tiled(photograph: Images, height: int, width: int) -> Images:
    import numpy as np

    tall, wide, _ = photograph.shape
    return np.tile(photograph, (-(-height // tall), -(-width // wide), 1))
