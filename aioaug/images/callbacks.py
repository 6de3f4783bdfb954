"""The user's functions: what they are told about the flow, and how they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._base.signatures import accepts, required
from .settings import GeneratorSettings

KEYWORDS = ("class_id", "filename", "batch_index", "batch_class_ids", "batch_filenames")


@dataclass(frozen=True, kw_only=True)
class ParallelProcessParams:
    """The parameters of a flow: the first argument of every callback. It travels to the workers.

    `batch_shape` is (N,H,W,C), or (N,C,H,W) with `data_format="channels_first"`; `None` for flows
    of arrays, as are `directory`, `target_size`, `color_mode` and `interpolation`. `split` is the
    part of the data that `subset` stands for, as two fractions.

    Example::

        def crop(params: ParallelProcessParams, x: np.ndarray) -> np.ndarray:
            height, width = params.target_size
            return x[:height, :width]
    """

    image_data_generator: GeneratorSettings
    class_indices: dict[str, int] = field(default_factory=dict)
    class_mode: str | None = None
    directory: str | None = None
    target_size: tuple[int, int] | None = None
    batch_shape: tuple[int, ...] | None = None
    color_mode: str | None = None
    interpolation: str | None = None
    keep_aspect_ratio: bool = False
    exif: bool = False
    subset: str | None = None
    save_to_dir: str | None = None
    save_prefix: str | None = None
    save_format: str = "png"

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_indices)

    @property
    def split(self) -> tuple[float, float] | None:
        """The part of the data that the subset stands for."""
        return self.image_data_generator.split_of(self.subset)

    @property
    def validation_split(self) -> float:
        """The share of the data that is for validation."""
        return self.image_data_generator.validation_split

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the images that come out, and of labels that are made from classes."""
        dtype: np.dtype[Any] = self.image_data_generator.dtype
        return dtype

    @property
    def data_format(self) -> str:
        """`"channels_last"` or `"channels_first"`."""
        return self.image_data_generator.data_format

    @property
    def get_batch_function(self) -> Callable[..., Any] | None:
        """The generator's function that makes whole batches."""
        return self.image_data_generator.get_batch_function

    @property
    def preprocessing_function(self) -> Callable[..., Any] | None:
        """The generator's function for pictures after they were transformed."""
        return self.image_data_generator.preprocessing_function

    @property
    def noaug_preprocessing_function(self) -> Callable[..., Any] | None:
        """The generator's function for pictures before they are transformed."""
        return self.image_data_generator.noaug_preprocessing_function


class Callback:
    """A function for one picture: `(params, x, **some of KEYWORDS) -> x`, or Keras' `(x) -> x`."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._takes_params = required(function) != 1
        self._wanted = [name for name in KEYWORDS if accepts(function, name)]

    def __call__(self, params: Any, x: Any, told: dict[str, Any]) -> Any:
        given = (params, x) if self._takes_params else (x,)
        result = self._function(*given, **{name: told[name] for name in self._wanted})
        if result is None:
            raise TypeError(f"{self._name} returned None instead of the picture")
        return result


def check_batch(result: object) -> tuple[Any, int]:
    """The batch that a `get_batch_function` returned, and its size, or `TypeError`."""
    match result:
        case (_, batch):
            first = batch
            while isinstance(first, (tuple, list)) and first:
                first = first[0]
            if isinstance(first, np.ndarray) and first.ndim:
                return batch, len(first)
    raise TypeError(
        "get_batch_function must return (batch_index, (x, y)) or (batch_index, x), where x is an "
        f"array or several, got {type(result).__name__}"
    )
