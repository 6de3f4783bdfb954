"""Keras' face: one object with all the settings, and three ways to make batches with them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

from .._base.arguments import one_of, whole
from .._base.seeding import check_seed
from .._pictures.reading import CHANNELS, INTERPOLATIONS
from .._worker.main import refuse_nested_pool
from .arrays import ArraySource, array_source
from .callbacks import ParallelProcessParams
from .file_source import FileSource
from .frames import frame_source
from .iterator import ImageIterator
from .keras_sequence import iterator_class
from .listing import Lister, directory_source
from .maker import BatchMaker
from .producer import BatchProducer
from .schedule import Schedule
from .settings import GeneratorSettings

_LEGACY = ("drop_duplicates", "has_ext", "sort")


@dataclass(kw_only=True, eq=False, repr=False)
class ParallelImageDataGenerator(GeneratorSettings):
    """Keras' `ImageDataGenerator` with every batch made in worker processes, ahead of time.

    A sample is loaded, converted and resized; then come `noaug_preprocessing_function`,
    `augmenter`, one random transformation, `preprocessing_function`, `standardize`, and the cast
    to `dtype`. Pictures are (H,W,C), or (C,H,W) with `data_format="channels_first"`.

    Files are PNG, JPEG, BMP, PPM, TIFF, GIF, WebP, of which the first frame is read, and `.npy`
    arrays. They are resized to `target_size`, (height, width); with `keep_aspect_ratio` their
    middle is, in the same proportions. With `exif` they are turned upright first, as the camera
    says.

    Building it starts nothing; each of the `flow` methods returns an `ImageIterator` with workers
    of its own. With the same seed it makes the same batches, whatever the number of workers,
    and the global generators of `random` and `numpy.random` stay as they are.

    Args:
        rotation_range: rotate by up to so many degrees.
        width_shift_range, height_shift_range: shift along the width or height. A float is a range
            to either side, a fraction of the size if below 1, otherwise pixels; an int k is whole
            pixels below k; a list is its elements, of either sign.
        shear_range: shear by up to so many degrees.
        zoom_range: the range of factors on each axis, above 1 zooming out; z is (1 - z, 1 + z).
        channel_shift_range: add up to so much to all channels, within the picture's extremes.
        brightness_range, contrast_range: a range of factors, 1 being the picture as it is, 0 black
            or its mean grey.
        horizontal_flip, vertical_flip: mirror every other picture.
        noise: a list of "gauss", "poisson", "s&p" and "speckle", one of them for each picture.
        fill_mode, cval: what is outside of the picture: "nearest", "constant" (`cval`),
            "reflect" (dcba|abcd|dcba) or "wrap" (abcd|abcd|abcd).
        interpolation_order: the order of the spline, 0 to 5.
        rescale: a factor on all values, after everything else.
        samplewise_center, samplewise_std_normalization: by each sample's mean and deviation.
        featurewise_center, featurewise_std_normalization, zca_whitening, zca_epsilon: by what
            `fit` found out.
        dtype: of the images that come out, and of labels made from classes.
        cores: the number of workers: a share of the CPUs that this process may use, or an exact
            number, or -1 for all; at least one, at most as many as there are. Flows of the
            validation subset have half of them.
        debug: use threads in place of processes, so that breakpoints work.
        engine: where batches are made, as in `AsyncPool`; `None` is "process". A cluster has the
            workers that it has, whatever `cores` says; names of files have to mean the same there,
            and `save_to_dir` is a directory of theirs.
        max_batches_pending: how many batches may exist at once, the one in use included.
        validation_augmentation_enabled: whether the validation subset is transformed, too.
        random_transforms_enabled: `False` leaves out random transformations, and `augmenter`.
        validation_split: the share of the data that `subset="validation"` stands for.
        max_samples_per_class: take the first so many of each class of a directory.
        get_batch_function: `(batch_index, filenames, classes, params) -> (batch_index, (x, y))`,
            in place of all that is done to files; the other callbacks are not called.
        noaug_preprocessing_function, preprocessing_function: `(params, x, **keywords) -> x`,
            with those of class_id, filename, batch_index, batch_class_ids and batch_filenames
            that it names; or Keras' `(x) -> x`, if it needs no other positional argument. `x` is
            `uint8` from files in the first and floats in the second.
        augmenter: one more step, by an imgaug augmenter or a callable, for a batch of images as
            they were loaded.
        on_error: "raise" ends the epoch with the error if a picture cannot be read; "skip" leaves
            the picture out and warns, so that its batch is smaller.
        disable_gpu_in_subprocesses: set CUDA_VISIBLE_DEVICES=-1 in the workers.
        save_to_dir, save_prefix, save_format: as in `flow`, and they win over these.
        batch_size: wins over that of `flow`; -1 is all samples.

    Functions and augmenters are sent to the workers, lambdas and closures too. What cannot be sent,
    such as a lock that one of them holds, works with `debug`.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.

    Example::

        generator = ParallelImageDataGenerator(cores=2, rotation_range=20, rescale=1 / 255)
        for x, y in generator.flow_from_directory("pictures", target_size=(64, 64), seed=1):
            model.train_on_batch(x, y)
    """

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
    ) -> ImageIterator:
        """Batches of arrays: `x`, `(x, y)` or `(x, y, sample_weight)`, without an end.

        `x` is an array (N,H,W,C); or a pair of it and an array, or a list of arrays, that are
        handed on beside it; or one of imgaug's batches, whose other columns `augmenter` moves
        along. The validation subset is the first samples; both subsets must have all labels, unless
        `ignore_class_split` says that these are no classes.
        """
        source = array_source(
            x,
            y,
            sample_weight,
            self.split_of(subset),
            self.channel_axis,
            ignore_class_split=ignore_class_split,
        )
        if source.columns is not None and self.ranges.moves_pixels:
            raise ValueError(
                "x has columns that only augmenter can move along: leave out the ranges and flips "
                "that move pixels"
            )
        if self.get_batch_function is not None:
            raise ValueError("get_batch_function is for files, and flow has none")
        told = {"subset": subset, **self.saving(save_to_dir, save_prefix, save_format)}
        return self._iterator(source, batch_size, shuffle, seed, told)

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        batch_shape: tuple[int, ...] | None = None,
        shuffle: bool = True,
        shuffle_index_dir: str | None = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str | None = None,
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str | None = "bilinear",
        list_valid_filenames_in_directory_function: Lister | None = None,
        class_counts: dict[str, int] | None = None,
        keep_aspect_ratio: bool = False,
        exif: bool = False,
        full_batches: bool = True,
    ) -> ImageIterator:
        """Batches of the pictures in a directory with one subdirectory a class, by the epoch.

        The last batch of an epoch is filled up with its first samples. With `full_batches=False` it
        is what is left, so that `predict` and `evaluate` get each sample once.

        The order within a class is that of an index in `shuffle_index_dir`, or in the directory,
        where it begins as the alphabetical one. The validation subset is the first files of each
        class. `class_counts` is filled with the number of files of each class. This call reads the
        directory, which takes a while for a large one.

        Raises:
            RuntimeError: a class has no pictures.
            FileNotFoundError: there is no such directory, or none for one of `classes`.
        """
        directory = str(directory)
        used = check_seed(seed)
        source = directory_source(
            directory,
            classes,
            self.split_of(subset),
            follow_links=follow_links,
            shuffle_index_dir=shuffle_index_dir,
            seed=used,
            limit=self.max_samples_per_class,
            lister=list_valid_filenames_in_directory_function,
            class_counts=class_counts,
            class_mode=class_mode,
            dtype=self.dtype,
        )
        told = _reading(directory, source, target_size, color_mode, interpolation)
        told |= self.saving(save_to_dir, save_prefix, save_format)
        told |= {"subset": subset, "keep_aspect_ratio": keep_aspect_ratio, "exif": exif}
        told["batch_shape"] = batch_shape
        return self._iterator(
            source, batch_size, shuffle, seed, told, ends=True, full_batches=full_batches, used=used
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str | None = "nearest",
        validate_filenames: bool = True,
        keep_aspect_ratio: bool = False,
        exif: bool = False,
        **kwargs: Any,
    ) -> ImageIterator:
        """Batches of the pictures that a pandas data frame names, without an end.

        `x_col` holds their names in `directory`, or whole paths, and `y_col` what `class_mode`
        asks for: strings, for "categorical" also lists of them; for "raw" and "multi_output" (a
        list of columns) any values. `classes` chooses classes and their numbers. The validation
        subset is the first rows. `dataframe` stays as it is.
        """
        class_mode = _modern(kwargs, class_mode)
        directory = None if directory is None else str(directory)
        source = frame_source(
            dataframe,
            directory,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            classes=classes,
            class_mode=class_mode,
            split=self.split_of(subset),
            validate_filenames=validate_filenames,
            dtype=self.dtype,
        )
        told = _reading(directory, source, target_size, color_mode, interpolation)
        told |= self.saving(save_to_dir, save_prefix, save_format)
        told |= {"subset": subset, "keep_aspect_ratio": keep_aspect_ratio, "exif": exif}
        return self._iterator(source, batch_size, shuffle, seed, told)

    def _iterator(
        self,
        source: ArraySource | FileSource,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        told: dict[str, Any],
        *,
        ends: bool = False,
        full_batches: bool = False,
        used: int | None = None,
    ) -> ImageIterator:
        refuse_nested_pool()
        if not len(source):
            raise ValueError("there are no samples")
        shape = told.get("batch_shape")
        size = whole("batch_size", self.batch_size or (shape[0] if shape else batch_size), low=-1)
        size = len(source) if size == -1 else whole("batch_size", size, low=1)
        if "target_size" in told:
            target, color = told["target_size"], told["color_mode"]
            told["batch_shape"] = _batch_shape(shape, size, target, color, self.data_format)
        params = ParallelProcessParams(image_data_generator=self, **told)
        used = check_seed(seed) if used is None else used
        schedule = Schedule(
            source,
            self,
            batch_size=size,
            shuffle=shuffle,
            seed=used,
            ends=ends,
            full_batches=full_batches,
        )
        producer = BatchProducer(
            schedule,
            BatchMaker(params),
            engine=self.runs_on,
            workers=self.workers_for(told["subset"]),
            window=self.max_batches_pending,
        )
        return iterator_class()(schedule, producer, params, seed=seed)


def _reading(
    directory: str | None,
    source: FileSource,
    target_size: tuple[int, int],
    color_mode: str,
    interpolation: str | None,
) -> dict[str, Any]:
    """What workers are told about files."""
    if len(target_size) not in (2, 3):
        raise ValueError(f"target_size must be (height, width), got {target_size!r}")
    height, width = target_size[:2]
    named = None if interpolation == "none" else interpolation
    return {
        "directory": directory,
        "class_indices": source.class_indices,
        "class_mode": source.class_mode,
        "target_size": (whole("target_size", height, low=1), whole("target_size", width, low=1)),
        "color_mode": one_of("color_mode", color_mode, tuple(CHANNELS)),
        "interpolation": one_of("interpolation", named, (*INTERPOLATIONS, None)),
    }


def _modern(legacy: dict[str, Any], class_mode: str | None) -> str | None:
    """Warn of what Keras once took; the class mode by its name of today."""
    for name in legacy:
        if name not in _LEGACY:
            raise TypeError(f"flow_from_dataframe has no argument {name!r}")
        warnings.warn(f"{name} has no effect any more", DeprecationWarning, stacklevel=3)
    if class_mode == "other":
        warnings.warn("class_mode 'other' is now 'raw'", DeprecationWarning, stacklevel=3)
        return "raw"
    return class_mode


def _batch_shape(
    given: tuple[int, ...] | None, size: int, target: tuple[int, int], color: str, layout: str
) -> tuple[int, ...]:
    """The shape of a batch of `size` pictures; of a shape that is given only the first changes."""
    if given is not None:
        return (size, *given[1:])
    channels = CHANNELS[color]
    return (size, *target, channels) if layout == "channels_last" else (size, channels, *target)
