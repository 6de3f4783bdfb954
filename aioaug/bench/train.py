"""A folder of JPEGs to normalised float tensors (N,C,H,W), as a training loop takes them."""

from __future__ import annotations

from typing import Any

from .. import ArrayFormat, AsyncPool
from .._base.optional import need
from .files import WithAlbumentations, data_loader, our_batches
from .trial_spec import TrialSpec
from .workloads import FILE_SHAPE

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pool_options() -> dict[str, Any]:
    """What our workers do beside augmenting: they make the floats where they are sent from."""
    return {"dump": ArrayFormat("NCHW", "float32", _MEAN, _STD), "accelerate": True}


def our_tensors(pool: AsyncPool, job: TrialSpec) -> Any:
    """Batches of tensors, in the memory that the workers wrote into."""
    tensors = need("aioaug.torch", extra="torch").tensors
    # As Albumentations' Resize does.
    batches = our_batches(job, resize=FILE_SHAPE[1:3], interpolation="linear")
    return tensors(pool.imap_batches(batches, 1, job.lookahead), layout=None)


class TrainingPicture(WithAlbumentations):
    """A picture by OpenCV, resized, moved, changed and normalised by Albumentations: a tensor."""

    def _made(self) -> Any:
        library = need("albumentations", extra="albumentations")
        return library.Compose(
            [
                library.Resize(*FILE_SHAPE[1:3]),
                library.HorizontalFlip(p=0.5),
                library.Affine(rotate=(-20, 20), scale=(0.9, 1.1), p=1),
                library.RandomBrightnessContrast(0.2, 0.2, p=1),
                library.Normalize(_MEAN, _STD),
                need("albumentations.pytorch", extra="albumentations").ToTensorV2(),
            ]
        )


class TorchvisionPicture(WithAlbumentations):
    """The same with torchvision's transforms in the place of Albumentations'."""

    def _augmented(self, image: Any) -> Any:
        return self._pipeline(image)

    def _made(self) -> Any:
        torch = need("torch", extra="torch")
        library = need("torchvision.transforms.v2", extra="torchvision")
        nearest = library.InterpolationMode.NEAREST
        return library.Compose(
            [
                library.ToImage(),
                library.Resize(FILE_SHAPE[1:3], interpolation=nearest, antialias=False),
                library.RandomHorizontalFlip(0.5),
                library.RandomAffine(
                    20, scale=(0.9, 1.1), interpolation=library.InterpolationMode.BILINEAR
                ),
                library.ColorJitter(brightness=0.2, contrast=0.2),
                library.ToDtype(torch.float32, scale=True),
                library.Normalize(_MEAN, _STD),
            ]
        )


TRAIN_WAYS = {
    "torch-train": data_loader(TrainingPicture),
    "torchvision-train": data_loader(TorchvisionPicture),
}
