"""A folder of JPEGs to normalised float tensors (N,C,H,W), as a training loop takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .. import ArrayFormat, AsyncPool
from .._base.optional import need
from .files import ENDLESS, JpegFiles, our_batches
from .trial_spec import TrialSpec
from .ways import one_native_thread
from .workloads import FILE_SHAPE

TrainWay = Callable[[TrialSpec], AbstractContextManager[Iterator[Any]]]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pool_options() -> dict[str, Any]:
    """What our workers do beside augmenting: they make the floats where they are sent from."""
    return {"dump": ArrayFormat("NCHW", "float32", _MEAN, _STD), "accelerate": True}


def our_tensors(pool: AsyncPool, job: TrialSpec) -> Any:
    """Batches of tensors, in the memory that the workers wrote into."""
    tensors = need("aioaug.torch", extra="torch").tensors
    batches = our_batches(job, resize=FILE_SHAPE[1:3])
    return tensors(pool.imap_batches(batches, 1, job.lookahead), layout=None)


class TrainingPicture:
    """A picture by OpenCV, resized, moved, changed and normalised by Albumentations: a tensor."""

    def __init__(self) -> None:
        self._pipeline: Any = None

    def __call__(self, path: str) -> Any:
        import cv2

        if self._pipeline is None:
            library = need("albumentations", extra="albumentations")
            self._pipeline = library.Compose(
                [
                    library.Resize(*FILE_SHAPE[1:3]),
                    library.HorizontalFlip(p=0.5),
                    library.Affine(rotate=(-20, 20), scale=(0.9, 1.1), p=1),
                    library.RandomBrightnessContrast(0.2, 0.2, p=1),
                    library.Normalize(_MEAN, _STD),
                    need("albumentations.pytorch", extra="albumentations").ToTensorV2(),
                ]
            )
        return self._pipeline(image=cv2.imread(path, cv2.IMREAD_COLOR_RGB))["image"]


@contextmanager
def data_loader(job: TrialSpec) -> Iterator[Iterator[Any]]:
    """PyTorch's `DataLoader` over such pictures."""
    loader = need("torch.utils.data", extra="bench").DataLoader(
        JpegFiles(job.folder, TrainingPicture()),
        batch_size=job.what.shape[0],
        sampler=range(ENDLESS),
        num_workers=job.workers,
        prefetch_factor=max(1, job.lookahead // job.workers),
        worker_init_fn=one_native_thread,
    )
    yield (tensor.numpy() for tensor in loader)


TRAIN_WAYS: dict[str, TrainWay] = {"torch-train": data_loader}
