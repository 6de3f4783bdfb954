"""Makes batches: everything that is done to a sample, on the worker's side of the wall."""

from __future__ import annotations

import copy
import os
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._base import pickling
from .._base.seeding import SEED_LIMIT, Seeds, borrowed_generators
from .._pictures import Array
from .._worker.augmentation import Augmentation
from ..engines import is_cluster
from ..errors import UnreadablePictureError
from .callbacks import Callback, ParallelProcessParams, check_batch
from .files import read_picture, save_picture
from .sample_rows import BatchJob, MadeBatch, SampleRows

# Set before anything of the user's is unpickled: frameworks read them when they are imported.
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


class BatchMaker:
    """Turns a `BatchJob` into a batch: the same job into the same batch, wherever it is done."""

    def __init__(self, params: ParallelProcessParams, augment: Augmentation | None = None) -> None:
        self.params = params
        generator = params.image_data_generator
        self._augment = augment or _augmentation(generator.augmenter)
        self._before = _callback("noaug_preprocessing_function", params)
        self._after = _callback("preprocessing_function", params)
        self._random = generator.random_transforms_enabled and (
            params.subset != "validation" or generator.validation_augmentation_enabled
        )
        # The user's code may draw from the global generators.
        self._foreign = bool(
            generator.get_batch_function or self._before or self._after or self._augment
        )

    def __call__(self, job: BatchJob, rng: np.random.Generator) -> MadeBatch:
        # The job has seeds of its own; asking for `rng` keeps the pool from seeding the global
        # generators, for which threads would have to queue.
        del rng
        if job.normalization is not None:
            self.params.image_data_generator.normalize_by(job.normalization)
        if not self._foreign:
            return self._make(job)
        state = np.random.SeedSequence((job.seed, job.epoch, job.batch)).generate_state(2)
        with borrowed_generators(Seeds(*(int(one) % SEED_LIMIT for one in state))):
            return self._make(job)

    def __deepcopy__(self, memo: dict[int, Any]) -> BatchMaker:
        # A thread's own one: imgaug's augmenters are not thread-safe. The user's functions stay
        # the same objects, whose state may be looked at in a debugger.
        generator = copy.copy(self.params.image_data_generator)
        params = replace(self.params, image_data_generator=generator)
        return BatchMaker(params, copy.deepcopy(self._augment, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        generator = self.params.image_data_generator
        # Workers of a cluster serve others, too, who may want the GPU.
        hidden = generator.disable_gpu_in_subprocesses and not is_cluster(generator.runs_on)
        environment = _NO_GPU if hidden else {}
        data = pickling.dumps((self.params, self._augment))
        return _restore, (environment, data)

    def _make(self, job: BatchJob) -> MadeBatch:
        whole = self.params.get_batch_function
        if whole is not None:
            made = whole(job.batch, job.rows.files, job.rows.classes, params=self.params)
            return MadeBatch(*check_batch(made), [], job.epoch, job.rows.numbers)
        images, kept, skipped = self._load(job.rows)
        rows = job.rows.only(kept) if skipped else job.rows
        images = [
            self._each(self._before, many, rows, place, job.batch)
            for place, many in enumerate(images)
        ]
        columns = rows.columns
        if self._augment is not None and self._random and images:
            images, columns = self._augmented(images, columns, job)
        finished = [
            self._finish(many, rows, place, job, kept[place]) for place, many in enumerate(images)
        ]
        x = self._stack(finished, rows)
        if self.params.save_to_dir is not None:
            self._save(x, rows, job)
        batch = _compose(x, rows, columns, self.params.class_mode)
        return MadeBatch(batch, len(rows), skipped, job.epoch, rows.numbers)

    def _load(self, rows: SampleRows) -> tuple[list[list[Array]], list[int], list[tuple[str, str]]]:
        """The images of each sample, which samples these are, and what cannot be read."""
        if rows.files is None:
            images = rows.images if rows.columns is None else rows.columns.images_unaug
            return [[x] for x in images], list(range(len(rows))), []  # type: ignore[union-attr]
        loaded, kept, skipped = [], [], []
        for place, file in enumerate(rows.files):
            try:
                loaded.append([self._read(name) for name in _names(file)])
                kept.append(place)
            except (OSError, UnreadablePictureError) as error:
                if self.params.image_data_generator.on_error == "raise":
                    raise
                skipped.append((str(file), str(error)))
        return loaded, kept, skipped

    def _read(self, name: str) -> Array:
        params = self.params
        path = os.path.join(params.directory or "", name)
        x = read_picture(
            path,
            params.color_mode or "rgb",
            params.target_size,
            params.interpolation,
            crop=params.keep_aspect_ratio,
            upright=params.exif,
        )
        return x if params.data_format == "channels_last" else np.moveaxis(x, -1, 0)

    def _each(
        self, callback: Callback | None, many: list[Array], rows: SampleRows, place: int, batch: int
    ) -> list[Array]:
        if callback is None:
            return many
        told = {
            "class_id": None if rows.classes is None else rows.classes[place],
            "filename": None if rows.files is None else rows.files[place],
            "batch_index": batch,
            "batch_class_ids": rows.classes,
            "batch_filenames": rows.files,
        }
        return [callback(self.params, x, told) for x in many]

    def _augmented(
        self, images: list[list[Array]], columns: Any, job: BatchJob
    ) -> tuple[list[list[Array]], Any]:
        """One more step, by imgaug or a function, for the images of all samples at once."""
        shapes = {x.shape for many in images for x in many}
        flat = [x for many in images for x in many]
        batch: Any = np.stack(flat) if len(shapes) == 1 else flat
        if columns is not None:
            columns.images_unaug = batch
            batch = columns
        state = np.random.SeedSequence((job.seed, job.epoch, job.batch, 1)).generate_state(1)
        result = self._augment(int(state[0]) % SEED_LIMIT, batch)  # type: ignore[misc]
        made = iter(result if columns is None else result.images_aug)
        return [[next(made) for _ in many] for many in images], (
            None if columns is None else result
        )

    def _finish(
        self, many: list[Array], rows: SampleRows, place: int, job: BatchJob, position: int
    ) -> list[Array]:
        seed = (job.seed, job.epoch, job.first + position)
        many = [self._transformed(x, seed) for x in many]
        many = self._each(self._after, many, rows, place, job.batch)
        return [self._standardized(x) for x in many]

    def _transformed(self, x: Array, seed: tuple[int, ...]) -> Array:
        generator = self.params.image_data_generator
        x = x.astype(_working_type(generator.dtype))
        if not self._random:
            return x
        return generator.apply_transform(x, generator.get_random_transform(x.shape, seed))

    def _standardized(self, x: Array) -> Array:
        if not x.flags.writeable or not np.issubdtype(x.dtype, np.floating):
            x = x.astype(_working_type(self.params.dtype))
        return self.params.image_data_generator.standardize(x)

    def _stack(self, samples: list[list[Array]], rows: SampleRows) -> Any:
        """The images (N,...) of the whole batch; a list of such, if samples have several."""
        width = max(map(len, samples), default=1)
        whole = [self._stack_one([many[i] for many in samples], rows) for i in range(width)]
        return whole[0] if width == 1 else whole

    def _stack_one(self, images: list[Array], rows: SampleRows) -> Array:
        shape = (self.params.batch_shape or (0,))[1:]
        if not shape and images:
            shape = images[0].shape
        batch = np.empty((len(images), *shape), self.params.dtype)
        for place, x in enumerate(images):
            if np.shape(x) != shape:
                name = rows.numbers[place] if rows.files is None else rows.files[place]
                raise ValueError(f"{name} has the shape {np.shape(x)} instead of {shape}")
            batch[place] = x
        return batch

    def _save(self, x: Any, rows: SampleRows, job: BatchJob) -> None:
        params = self.params
        folder = Path(params.save_to_dir or "")
        folder.mkdir(parents=True, exist_ok=True)
        for batch in x if isinstance(x, list) else [x]:
            for place, image in enumerate(batch):
                if params.data_format == "channels_first":
                    image = np.moveaxis(image, 0, -1)
                path = _free(folder, _name(params, rows, place, job), params.save_format)
                save_picture(path, image, params.save_format)


def _restore(environment: dict[str, str], data: bytes) -> BatchMaker:
    os.environ.update(environment)
    return BatchMaker(*pickle.loads(data))


def _augmentation(augmenter: Any) -> Augmentation | None:
    # The global generators are borrowed for it already.
    return None if augmenter is None else Augmentation(augmenter, 0, owns_interpreter=True)


def _callback(name: str, params: ParallelProcessParams) -> Callback | None:
    function = getattr(params, name)
    return None if function is None else Callback(name, function)


def _working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What is computed in: on the way to integers and to half precision, single precision."""
    return dtype if dtype == np.float64 else np.dtype(np.float32)


def _names(file: Any) -> tuple[str, ...]:
    return file if isinstance(file, tuple) else (file,)


def _compose(x: Any, rows: SampleRows, columns: Any, class_mode: str | None) -> Any:
    """What the user gets: images, or images and labels, or with weights as well."""
    images = x
    if columns is not None:
        columns.images_aug = x
        images = columns
    elif rows.extras:
        images = [x, *rows.extras]
    targets = copy.deepcopy(x) if class_mode == "input" else rows.targets
    if targets is None:
        return images
    return (images, targets) if rows.weights is None else (images, targets, rows.weights)


def _name(params: ParallelProcessParams, rows: SampleRows, place: int, job: BatchJob) -> str:
    prefix = f"{params.save_prefix}_" if params.save_prefix else ""
    if rows.files is None:
        return f"{prefix}{rows.numbers[place]}_{job.epoch}"
    name = _names(rows.files[place])[0].lstrip("/")
    return prefix + name.replace("\\", "-").replace("/", "-")


def _free(folder: Path, name: str, suffix: str) -> Path:
    """A file that nobody else has: the time in milliseconds tells apart what is saved again."""
    stamp = time.time_ns() // 1_000_000
    while True:
        path = folder / f"{name}_{stamp}.{suffix}"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            stamp += 1
        else:
            return path
