"""Callbacks that tests of flows send to workers, and folders of pictures for them."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
from aioaug.images import ParallelImageDataGenerator
from PIL import Image
from skimage import data


def make_pictures(folder: Path, counts: dict[str, int], size=(40, 50), suffix="png") -> Path:
    """Cuttings of a photograph, so many a class, each different from all others."""
    photo = data.astronaut()
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            y, x = 11 * i, 37 * number
            cut = photo[y : y + size[0], x : x + size[1]]
            Image.fromarray(cut).save(folder / name / f"{i:03}.{suffix}", quality=95)
    return folder


class Sevens(ParallelImageDataGenerator):
    def standardize(self, x):
        return x * 0 + 7


def mark_pid(params, x):
    return np.full_like(x, os.getpid() % 251)


def two_arguments(params, x):
    return x * 0 + 7


def seven(x):
    return x * 0 + 7


def with_a_default(x, data_format=None):
    return x * 0 + (8 if data_format is None else 9)


def all_arguments(params, x, class_id, filename, batch_index, batch_class_ids, batch_filenames):
    place = batch_filenames.index(filename)
    assert batch_class_ids[place] == class_id
    assert params.class_indices[filename.split(os.sep)[0]] == class_id
    x = x.copy()
    x[0, 0] = class_id, batch_index, len(batch_filenames)
    return x


def any_keywords(params, x, **keywords):
    return x * 0 + len(keywords)


def remember(params, x):
    """Leaves in the first pixel what it was given: the type's size, the height and the width."""
    x = x.copy()
    x[0, 0] = x.dtype.itemsize, min(x.shape[0], 255), min(x.shape[1], 255)
    return x


def brighter_by_100(params, x):
    return x + 100


def draw(params, x):
    return x * 0 + random.random() + np.random.rand()


def environment(params, x):
    return x * 0 + (os.environ.get("CUDA_VISIBLE_DEVICES") == "-1")


def told(params, x):
    """Raises unless `params` says what `flow_from_directory` was asked for."""
    generator = params.image_data_generator
    expected = {
        "class_indices": {"a": 0, "b": 1},
        "class_mode": "sparse",
        "target_size": (16, 24),
        "batch_shape": (4, 16, 24, 3),
        "color_mode": "rgb",
        "data_format": "channels_last",
        "interpolation": "bilinear",
        "subset": "training",
        "split": (0.25, 1),
        "validation_split": 0.25,
        "n_classes": 2,
        "dtype": np.dtype("float32"),
        "save_to_dir": None,
        "save_prefix": None,
        "save_format": "png",
        "get_batch_function": None,
        "preprocessing_function": told,
        "noaug_preprocessing_function": None,
    }
    found = {name: getattr(params, name) for name in expected}
    assert found == expected, found
    assert os.path.isdir(params.directory)
    assert generator.rotation_range == 5
    return x


def fail_on_class_1(params, x, class_id):
    if class_id == 1:
        raise ZeroDivisionError("not this class")
    return x


def die(params, x):
    os._exit(3)


def nothing_at_all(params, x):
    return None


def cut_to_8(params, x):
    return x[:8, :8]


def slowly(params, x):
    time.sleep(0.01)
    return x


def log(params, x, batch_index):
    with open(os.environ["AIOAUG_TEST_LOG"], "a") as file:
        file.write(f"{batch_index}\n")
    return x


def whole_batch(batch_index, filenames, classes, params):
    x = np.full((len(filenames), 2, 2, 1), batch_index, np.float32)
    return batch_index, (x, np.array(classes))


def images_alone(batch_index, filenames, classes, params):
    return batch_index, whole_batch(batch_index, filenames, classes, params)[1][0]


def two_images(batch_index, filenames, classes, params):
    x, y = whole_batch(batch_index, filenames, classes, params)[1]
    return batch_index, ([x, x + 1], y.tolist())


def not_a_batch(batch_index, filenames, classes, params):
    return 5


def invert(batch):
    return 255 - batch


def shift_by_noise(batch, rng):
    return np.clip(batch + rng.integers(0, 9, batch.shape), 0, 255).astype(batch.dtype)


def pairs(
    base_directory, search_class, white_list_formats, split, follow_links, shuffle_index_directory
):
    """Every file together with itself, as a custom listing of two images a sample."""
    names = sorted(os.listdir(os.path.join(base_directory, search_class)))
    files = [os.path.join(search_class, name) for name in names]
    return search_class, [(file, file) for file in files]
