"""A folder of JPEGs to batches: pictures are read, decoded, cropped and flipped by each library."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from .._base.optional import need
from .trial_spec import TrialSpec
from .ways import by_data_loader, one_native_thread
from .workloads import FILE_SHAPE, photographs

if TYPE_CHECKING:
    from ..data import DatasetBatches
    from .workloads import Images

Read = Callable[[str], "Images"]
FileWay = Callable[[TrialSpec], AbstractContextManager[Iterator[Any]]]

_FILES, _HEIGHT, _WIDTH, _QUALITY = 2000, 375, 500, 90
ENDLESS = 1 << 40


def make_files(folder: str, count: int = _FILES) -> None:
    """Write JPEGs of 500x375, which are crops of photographs made larger."""
    import cv2

    rng = random.Random(0)
    # Photographs for whose crops there is room, and no two crops alike.
    large = [cv2.resize(each, (800, 600), interpolation=cv2.INTER_AREA) for each in photographs()]
    for number in range(count):
        top, left = rng.randint(0, 600 - _HEIGHT), rng.randint(0, 800 - _WIDTH)
        crop = large[number % len(large)][top : top + _HEIGHT, left : left + _WIDTH, ::-1]
        options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        cv2.imwrite(os.path.join(folder, f"{number:04}.jpg"), crop, options)


def our_batches(job: TrialSpec, **fit: Any) -> DatasetBatches:
    """The same for a pool: shuffled epochs without end."""
    from ..data import Files

    return Files(job.folder).batches(job.what.shape[0], shuffle=True, seed=1, epochs=None, **fit)


def with_pillow(path: str) -> Images:
    """A picture by Pillow, cropped and flipped."""
    import numpy as np
    from PIL import Image

    height, width = FILE_SHAPE[1:3]
    with Image.open(path) as image:
        left = random.randint(0, image.width - width)
        top = random.randint(0, image.height - height)
        cropped = image.convert("RGB").crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(cropped)


def with_opencv(path: str) -> Images:
    """A picture by OpenCV, cropped and flipped by NumPy."""
    import cv2
    import numpy as np

    height, width = FILE_SHAPE[1:3]
    image = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"OpenCV cannot read {path}")
    left = random.randint(0, image.shape[1] - width)
    top = random.randint(0, image.shape[0] - height)
    cropped = image[top : top + height, left : left + width]
    return np.ascontiguousarray(cropped[:, ::-1] if random.random() < 0.5 else cropped)


class WithAlbumentations:
    """A picture by OpenCV, cropped and flipped by Albumentations."""

    def __init__(self) -> None:
        self._pipeline: Any = None

    def __call__(self, path: str) -> Images:
        import cv2

        if self._pipeline is None:  # made in the worker
            self._pipeline = self._made()
        return self._augmented(cv2.imread(path, cv2.IMREAD_COLOR_RGB))

    def _augmented(self, image: Any) -> Images:
        result: Images = self._pipeline(image=image)["image"]
        return result

    def _made(self) -> Any:
        library = need("albumentations", extra="albumentations")
        crop = library.RandomCrop(*FILE_SHAPE[1:3])
        return library.Compose([crop, library.HorizontalFlip(p=0.5)])


class JpegFiles:
    """The pictures as a data set for others, again and again."""

    def __init__(self, folder: str, read: Read) -> None:
        self.paths = sorted(entry.path for entry in os.scandir(folder))
        self._read = read

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, number: Any) -> Images:
        return self._read(self.paths[int(number) % len(self.paths)])


class MakeBatch:
    """Makes the batch with a number."""

    def __init__(self, files: JpegFiles, size: int) -> None:
        self._files = files
        self._size = size

    def __call__(self, number: int) -> Images:
        import numpy as np

        first = int(number) * self._size
        return np.stack([self._files[first + place] for place in range(self._size)])


def data_loader(read: Callable[[], Read]) -> FileWay:
    """PyTorch's `DataLoader` over pictures that are read in this way."""

    @contextmanager
    def way(job: TrialSpec) -> Iterator[Iterator[Any]]:
        yield by_data_loader(job, JpegFiles(job.folder, read()), job.what.shape[0])

    return way


@contextmanager
def spdl_shared(job: TrialSpec) -> Iterator[Iterator[Any]]:
    """SPDL's threads in a process of their own, which read and decode; results in shared memory."""
    import numpy as np

    pipeline = need("spdl.pipeline", extra="bench")
    files = JpegFiles(job.folder, with_opencv)
    size = job.what.shape[0]
    stage = (
        pipeline.PipelineBuilder()
        .add_source(range(ENDLESS))
        .pipe(files.__getitem__, concurrency=job.workers)
        .aggregate(size)
        .pipe(np.stack)
    )
    most = int(job.what.megabytes * 1e6) + (1 << 16)
    yield iter(
        pipeline.run_pipeline_in_subprocess(
            stage.add_sink(max(1, job.lookahead // 2)).get_config(),
            num_threads=job.workers + 1,
            buffer_size=max(1, job.lookahead // 2),
            initializer=one_native_thread,
            arena=pipeline.SharedMemorySegmentPool(most, job.lookahead),
        )
    )


@contextmanager
def grain(job: TrialSpec) -> Iterator[Iterator[Any]]:
    """`mp_prefetch`: each worker makes whole batches."""
    lib = need("grain", extra="bench")
    options = lib.multiprocessing.MultiprocessingOptions(
        num_workers=job.workers, per_worker_buffer_size=max(1, job.lookahead // job.workers)
    )
    make = MakeBatch(JpegFiles(job.folder, with_opencv), job.what.shape[0])
    alone = lib.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    dataset = lib.MapDataset.range(ENDLESS).map(make).to_iter_dataset(alone)
    results = iter(dataset.mp_prefetch(options, worker_init_fn=one_native_thread))
    yield results
    results.close()


FILE_WAYS: dict[str, FileWay] = {
    "torch-pillow": data_loader(lambda: with_pillow),
    "torch-albumentations": data_loader(WithAlbumentations),
    "spdl-shared": spdl_shared,
    "grain": grain,
}
