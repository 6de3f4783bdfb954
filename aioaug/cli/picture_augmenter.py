"""Augments pictures one by one, so that each output can be made again by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._base.seeding import batch_seeds, seed_generators
from .._imgaug import private_rng
from .._pictures import Picture
from .._worker.augmentation import Augmentation
from ..augmenters import specs
from ..data.beside import LabelsBeside
from ..errors import AugmenterSpecError
from ..fast.trees import RELEASE, is_of_imgaug

if TYPE_CHECKING:
    import numpy as np

AugmentedPicture = tuple[Picture, LabelsBeside | None]


class PictureAugmenter:
    """Augments pictures by a spec, under a seed. It pickles small and loads the augmenter late.

    If a fingerprint is given, a file that has another one by then is refused. `accelerated` has
    the pictures made by `aioaug.fast.accelerate`, which only imgaug's augmenters have.

    What comes out depends on the spec, the seed, the picture and its index alone. A picture
    goes in as a list of one array; one that has labels or an alpha channel as an imgaug
    `UnnormalizedBatch` of one picture, the alpha channel being a heatmap, which moves with the
    picture and keeps its values.
    """

    def __init__(
        self, spec: str, seed: int, fingerprint: str = "", accelerated: bool = False
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.fingerprint = fingerprint
        self.accelerated = accelerated
        self._augmentation: Augmentation | None = None

    def __call__(
        self, index: int, picture: Picture, labels: LabelsBeside | None
    ) -> AugmentedPicture:
        """Augment one picture and its labels; what is passed in is not changed."""
        augmentation = self._augmentation = self._augmentation or self._load()
        pixels = picture.pixels.copy()
        items = {} if labels is None else labels.columns(pixels.shape)
        if not items and picture.alpha is None:
            new = replace(picture, pixels=_only(augmentation(index, [pixels])))
            return new, None if labels is None else labels.moved({}, new.pixels.shape)
        from imgaug.augmentables.batches import UnnormalizedBatch

        columns = {name: [item] for name, item in items.items()}
        if picture.alpha is not None:
            columns["heatmaps"] = [_heatmap(picture.alpha, pixels.shape)]
        done = augmentation(index, UnnormalizedBatch(images=[pixels], **columns))
        if not hasattr(done, "images_aug"):
            raise TypeError(f"the pipeline turned a batch into {type(done).__name__}")
        new = replace(picture, pixels=_only(done.images_aug), alpha=_alpha(done.heatmaps_aug))
        if labels is None:
            return new, None
        moved = {name: _first(getattr(done, f"{name}_aug")) for name in items}
        return new, labels.moved(moved, new.pixels.shape)

    def _load(self) -> Augmentation:
        # A spec may draw numbers while it is built; every worker has to draw the same.
        seeds = batch_seeds(self.seed, 0)
        seed_generators(seeds)
        with private_rng(seeds.library):
            augmenter = specs.load(self.spec, self.fingerprint)
        try:
            augmentation = Augmentation(
                augmenter, self.seed, owns_interpreter=True, accelerate=self.accelerated
            )
        except TypeError as error:
            known = is_of_imgaug(augmenter)
            why = f"it is not of imgaug {RELEASE}" if known else "it is no augmenter of imgaug's"
            raise AugmenterSpecError(
                f"{self.spec} cannot be made faster, for {why}; leave out --fast"
            ) from error
        return augmentation.clone()  # which has the faster forms


def _only(images: Any) -> np.ndarray[Any, Any]:
    """The one picture in a batch, checked: it comes from code that is not ours."""
    import numpy as np

    if images is None or len(images) != 1:
        count = "none" if images is None else len(images)
        raise ValueError(f"the pipeline turned 1 picture into {count}")
    pixels = np.asarray(images[0])
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"the pipeline made a picture of shape {pixels.shape}")
    if pixels.dtype == np.uint8 and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if (pixels.dtype.name, pixels.shape[2]) not in (("uint8", 3), ("uint16", 1)):
        raise ValueError(f"the pipeline made a picture of {pixels.dtype} {pixels.shape}")
    return pixels


def _heatmap(alpha: np.ndarray[Any, Any], shape: tuple[int, ...]) -> Any:
    import numpy as np
    from imgaug.augmentables import HeatmapsOnImage

    return HeatmapsOnImage(alpha.astype(np.float32) / 255, shape=shape)


def _alpha(heatmaps: Any) -> np.ndarray[Any, Any] | None:
    import numpy as np

    heatmap = _first(heatmaps)
    if heatmap is None:
        return None
    size: tuple[int, int] = heatmap.shape[:2]
    values: np.ndarray[Any, Any] = heatmap.resize(size).get_arr().reshape(size)
    alpha: np.ndarray[Any, Any] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return alpha


def _first(column: Any) -> Any:
    return column[0] if column else None
