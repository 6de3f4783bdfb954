"""All that a generator is told when it is built, and what it does to one picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._base import system
from .._base.arguments import whole
from ..augmenters.kinds import check_augmenter
from ._types import Array, Plan
from .callbacks import check_callback
from .files import SAVE_FORMATS
from .normalization import Normalization
from .transforms import Ranges

_CALLBACKS = ("get_batch_function", "noaug_preprocessing_function", "preprocessing_function")
_SUBSETS = ("training", "validation", None)


@dataclass(kw_only=True, eq=False, repr=False)
class GeneratorSettings(Ranges, Normalization):
    """The arguments of `ParallelImageDataGenerator`, checked, and Keras' methods for a picture."""

    cores: float = 0.25
    debug: bool = False
    max_batches_pending: int = 4
    get_batch_function: Callable[..., Any] | None = None
    preprocessing_function: Callable[..., Any] | None = None
    noaug_preprocessing_function: Callable[..., Any] | None = None
    augmenter: Any = None
    on_error: str = "raise"
    validation_augmentation_enabled: bool = True
    random_transforms_enabled: bool = True
    max_samples_per_class: int = -1
    validation_split: float = 0.0
    disable_gpu_in_subprocesses: bool = True
    save_to_dir: str | None = None
    save_prefix: str | None = None
    save_format: str | None = None
    batch_size: int | None = None
    _rng: np.random.Generator = field(default_factory=np.random.default_rng, init=False)

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_normalization()
        worker_share(self.cores)
        whole("max_batches_pending", self.max_batches_pending, low=1)
        whole("max_samples_per_class", self.max_samples_per_class, low=-1)
        for name in _CALLBACKS:
            check_callback(name, getattr(self, name))
        if self.augmenter is not None:
            check_augmenter(self.augmenter)
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {self.on_error!r}")
        self.validation_split = self.validation_split or 0.0
        if self.validation_split and not 0 < self.validation_split < 1:
            raise ValueError(
                f"validation_split must be between 0 and 1, got {self.validation_split!r}"
            )

    def get_random_transform(self, img_shape: tuple[int, ...], seed: Any = None) -> Plan:
        """Draw a plan for a picture of this shape; the same for the same seed."""
        if not self.random_transforms_enabled:
            return self.default_transform
        rng = self._rng if seed is None else np.random.default_rng(seed)
        first = self.channel_axis == 1
        height, width = img_shape[1:3] if first else img_shape[:2]
        return self.draw(height, width, rng)

    def apply_transform(self, x: Array, transform_parameters: Plan) -> Array:
        """Apply a plan, or some keys of one, to one picture; the result has the same shape."""
        if self.channel_axis == 3:
            return self.transform(x, transform_parameters)
        turned = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        return np.moveaxis(self.transform(turned, transform_parameters), -1, 0)

    def random_transform(self, x: Array, seed: Any = None) -> Array:
        """Draw a plan and apply it to one picture."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Find out what featurewise normalisation and whitening need from some data (N,...).

        `augment` does so on `rounds` random transformations of each sample. `x` stays as it is.
        Batches that are begun from now on are normalised by the result.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ValueError(f"x must have rank 4, got an array of the shape {x.shape}")
        if x.shape[self.channel_axis] not in (1, 3, 4):
            warnings.warn(
                f"x has {x.shape[self.channel_axis]} channels on axis {self.channel_axis}; "
                "images have 1, 3 or 4",
                stacklevel=2,
            )
        if self.rescale:
            x *= self.rescale
        if augment:
            rng = np.random.default_rng(seed)
            x = np.stack(
                [
                    self.apply_transform(one, self.get_random_transform(one.shape, rng))
                    for _ in range(whole("rounds", rounds, low=1))
                    for one in x
                ]
            )
        self._fit_statistics(x)

    def split_of(self, subset: str | None) -> tuple[float, float] | None:
        """The part of the data that a subset stands for; `ValueError` if there is none."""
        if subset not in _SUBSETS:
            raise ValueError(f"subset must be one of {_SUBSETS}, got {subset!r}")
        if subset is None:
            return None
        if subset == "training":
            return (self.validation_split, 1)
        if not self.validation_split:
            raise ValueError("subset='validation' needs a validation_split")
        return (0, self.validation_split)

    def workers_for(self, subset: str | None) -> int:
        """The number of workers of a flow."""
        workers = worker_share(self.cores)
        return max(1, workers // 2) if subset == "validation" else workers

    def saving(self, directory: str | None, prefix: str | None, form: str) -> dict[str, Any]:
        """Where pictures are saved: the generator's own settings win."""
        form = self.save_format or form
        if form not in SAVE_FORMATS:
            raise ValueError(f"save_format must be one of {SAVE_FORMATS}, got {form!r}")
        return {
            "save_to_dir": self.save_to_dir or directory,
            "save_prefix": self.save_prefix or prefix,
            "save_format": form,
        }


def worker_share(cores: float) -> int:
    """The number of workers that `cores` means: a share, an exact number, or -1 for all."""
    present = system.available()
    if isinstance(cores, float):
        if not 0 < cores <= 1:
            raise ValueError(f"cores must be above 0 and at most 1 as a float, got {cores}")
        return max(1, round(present * cores))
    number = whole("cores", cores)
    return present if number == -1 else min(max(1, number), present)
