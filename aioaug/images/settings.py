"""All that a generator is told when it is built, and what it does to one picture."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from .._base import system
from .._base.arguments import one_of, whole
from .._pictures import Array
from ..augmenters.kinds import check_augmenter
from ..engines import engine_class, is_cluster
from .affine import Plan
from .arrays import check_images
from .files import SAVE_FORMATS
from .normalization import Normalization, WhiteningMatrix
from .transforms import TransformRanges, identity

Held = TypeVar("Held", TransformRanges, Normalization)

_CALLBACKS = ("get_batch_function", "noaug_preprocessing_function", "preprocessing_function")
_SUBSETS = ("training", "validation", None)
_HELD_IN = {one.name: "ranges" for one in fields(TransformRanges)}
_HELD_IN |= {one.name: "normalization" for one in fields(Normalization)}


@dataclass(kw_only=True, eq=False, repr=False)
class GeneratorSettings:
    """The arguments of `ParallelImageDataGenerator`, checked, and Keras' methods for a picture.

    It travels to the workers, where callbacks are given it. The arguments are attributes, as in
    Keras, and may be set later, too. What they mean together, `ranges` and `normalization`, is held
    until one of them is set.
    """

    # Those of `TransformRanges`.
    rotation_range: float = 0
    width_shift_range: Any = 0.0
    height_shift_range: Any = 0.0
    brightness_range: tuple[float, float] | None = None
    contrast_range: tuple[float, float] | None = None
    shear_range: float = 0.0
    zoom_range: Any = 0.0
    channel_shift_range: float = 0.0
    fill_mode: str = "nearest"
    cval: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    noise: Any = None
    interpolation_order: int = 1
    # Those of `Normalization`. What `fit` finds out may be set by hand, as from an earlier run.
    featurewise_center: bool = False
    samplewise_center: bool = False
    featurewise_std_normalization: bool = False
    samplewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6
    rescale: float | None = None
    mean: Array | None = field(default=None, init=False)
    std: Array | None = field(default=None, init=False)
    zca_whitening_matrix: Array | WhiteningMatrix | None = field(default=None, init=False)
    # Those of a flow as a whole.
    dtype: Any = "float32"
    data_format: str = "channels_last"  # or `None`, which is the same
    cores: float = 0.25
    debug: bool = False
    engine: Any = None
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
        self.zoom_range, self.noise = self.ranges.zoom_range, self.ranges.noise
        self.data_format = self.data_format or "channels_last"
        one_of("data_format", self.data_format, ("channels_last", "channels_first"))
        self.dtype = np.dtype("float32" if self.dtype is None else self.dtype)
        if self.zca_whitening:
            self._override("featurewise_center", True, "zca_whitening")
            self._override("featurewise_std_normalization", False, "zca_whitening")
        if self.featurewise_std_normalization:
            self._override("featurewise_center", True, "featurewise_std_normalization")
        if self.samplewise_std_normalization:
            self._override("samplewise_center", True, "samplewise_std_normalization")
        worker_share(self.cores)
        if self.engine is not None and self.debug:
            raise ValueError(
                f"engine={self.engine!r} and debug=True: debug stands for engine='thread'; leave "
                "one of them out"
            )
        engine_class(self.engine or "process")
        whole("max_batches_pending", self.max_batches_pending, low=1)
        whole("max_samples_per_class", self.max_samples_per_class, low=-1)
        for name in _CALLBACKS:
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, got {type(function).__name__}")
        if self.augmenter is not None:
            check_augmenter(self.augmenter)
        one_of("on_error", self.on_error, ("raise", "skip"))
        self.validation_split = self.validation_split or 0.0
        if self.validation_split and not 0 < self.validation_split < 1:
            raise ValueError(
                f"validation_split must be between 0 and 1, got {self.validation_split!r}"
            )

    def _override(self, name: str, value: bool, because: str) -> None:
        if getattr(self, name) is not value:
            warnings.warn(f"{because} sets {name} to {value}", stacklevel=4)
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        vars(self).pop(_HELD_IN.get(name, ""), None)

    @functools.cached_property
    def ranges(self) -> TransformRanges:
        """What is drawn for a picture, as the attributes say."""
        return self._held(TransformRanges)

    @functools.cached_property
    def normalization(self) -> Normalization:
        """What is done to the numbers of a picture, as the attributes say."""
        return self._held(Normalization)

    def _held(self, kind: type[Held]) -> Held:
        return kind(**{one.name: getattr(self, one.name) for one in fields(kind)})

    def normalize_by(self, normalization: Normalization) -> None:
        """Set all that `normalization` says."""
        vars(self).update(vars(normalization), normalization=normalization)

    @property
    def channel_axis(self) -> int:
        """The axis of channels in a batch."""
        return 3 if self.data_format == "channels_last" else 1

    @property
    def default_transform(self) -> Plan:
        """The plan that changes nothing, as a new dict."""
        return identity()

    def standardize(self, x: Array) -> Array:
        """Normalise one picture or a batch of them in place, and return it.

        The order: rescale, samplewise center and std (over all of `x`), featurewise center and
        std, whitening. Integers raise `TypeError`, as NumPy does: they cannot hold the result.
        """
        return self.normalization.standardize(x)

    def get_random_transform(self, img_shape: tuple[int, ...], seed: Any = None) -> Plan:
        """Draw a plan for a picture of this shape; the same for the same seed."""
        if not self.random_transforms_enabled:
            return self.default_transform
        rng = self._rng if seed is None else np.random.default_rng(seed)
        first = self.channel_axis == 1
        height, width = img_shape[1:3] if first else img_shape[:2]
        return self.ranges.draw(height, width, rng)

    def apply_transform(self, x: Array, transform_parameters: Plan) -> Array:
        """Apply a plan, or some keys of one, to one picture; the result has the same shape."""
        if self.channel_axis == 3:
            return self.ranges.transform(x, transform_parameters)
        turned = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        return np.moveaxis(self.ranges.transform(turned, transform_parameters), -1, 0)

    def random_transform(self, x: Array, seed: Any = None) -> Array:
        """Draw a plan and apply it to one picture."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Find out what featurewise normalisation and whitening need from some data (N,...).

        `augment` does so on `rounds` random transformations of each sample. `x` stays as it is.
        Batches that are begun from now on are normalised by the result.
        """
        x = np.array(x, self.dtype)
        check_images(x, self.channel_axis, stacklevel=3)
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
        self.normalize_by(self.normalization.fitted(x, self.channel_axis))

    def split_of(self, subset: str | None) -> tuple[float, float] | None:
        """The part of the data that a subset stands for; `ValueError` if there is none."""
        if one_of("subset", subset, _SUBSETS) is None:
            return None
        if subset == "training":
            return (self.validation_split or 0.0, 1)
        if not self.validation_split:
            raise ValueError("subset='validation' needs a validation_split")
        return (0, self.validation_split)

    def __getstate__(self) -> dict[str, Any]:
        # An engine may hold connections, and workers have no use for one.
        named = self.engine if isinstance(self.engine, str) else None
        return {**vars(self), "engine": named}

    @property
    def runs_on(self) -> Any:
        """The engine of a flow, as `AsyncPool` takes it."""
        return "thread" if self.debug else self.engine or "process"

    def workers_for(self, subset: str | None) -> int | None:
        """The number of workers of a flow; `None` where that is a cluster's affair."""
        if is_cluster(self.runs_on):
            return None
        workers = worker_share(self.cores)
        return max(1, workers // 2) if subset == "validation" else workers

    def saving(self, directory: str | None, prefix: str | None, form: str) -> dict[str, Any]:
        """Where pictures are saved: the generator's own settings win."""
        return {
            "save_to_dir": self.save_to_dir or directory,
            "save_prefix": self.save_prefix or prefix,
            "save_format": one_of("save_format", self.save_format or form, SAVE_FORMATS),
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
