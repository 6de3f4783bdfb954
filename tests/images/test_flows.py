"""What the three flows list, yield and refuse, beside Keras' own."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from aioaug import ClosedError
from aioaug.images import ParallelImageDataGenerator, UnreadablePictureError
from images_testing import make_pictures, pairs
from keras_reference import ImageDataGenerator
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

# Threads start faster than processes, and make the same batches: see test_images_iteration.py.
FAST = {"debug": True, "cores": 1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"), {"a": 5, "b": 7})


@pytest.fixture
def writable(tmp_path):
    return make_pictures(tmp_path / "pictures", {"a": 10, "b": 7})


def first(iterator, count=1):
    """The first batches, in memory of their own, and the end of the iterator."""
    with iterator:
        return [next(iterator) for _ in range(count)]


def epoch(iterator):
    with iterator:
        return list(iterator)


def alike(ours, theirs):
    if isinstance(theirs, (tuple, list)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            alike(one, other)
    else:
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, atol=1e-3)


# Arrays.

X = np.random.default_rng(0).uniform(0, 255, (5, 8, 6, 3))
Y = np.array([0, 1, 0, 1, 1])
W = np.linspace(0, 1, 5)
MORE = np.arange(10).reshape(5, 2)


@pytest.mark.parametrize(
    "given",
    [
        {"x": X},
        {"x": X, "y": Y},
        {"x": X, "y": Y, "sample_weight": W},
        {"x": X, "sample_weight": W},
        {"x": (X, MORE), "y": Y},
        {"x": [X, [MORE, W]], "y": Y, "sample_weight": W},
    ],
    ids=lambda given: "-".join(given),
)
def test_flow_as_in_keras(given):
    options = {"rescale": 1 / 255, "samplewise_center": True}
    theirs = ImageDataGenerator(**options).flow(**given, batch_size=2, shuffle=False)
    ours = ParallelImageDataGenerator(**options, **FAST).flow(**given, batch_size=2, shuffle=False)
    assert (len(ours), ours.n) == (len(theirs), theirs.n)
    for one in first(ours, 7):  # more than two epochs: the last batch of each is smaller
        alike(one, next(theirs))


@pytest.mark.parametrize(("subset", "count"), [("validation", 1), ("training", 4)])
def test_flow_subsets_as_in_keras(subset, count):
    options = {"validation_split": 0.3}
    given = {"x": (X, MORE), "subset": subset, "shuffle": False}
    theirs = ImageDataGenerator(**options).flow(**given)
    ours = ParallelImageDataGenerator(**options, **FAST).flow(**given)
    assert ours.n == theirs.n == count
    alike(first(ours)[0], next(theirs))


def test_flow_refuses_what_does_not_fit():
    generator = ParallelImageDataGenerator(validation_split=0.4, **FAST)
    for given in [
        {"x": X, "y": Y[:3]},
        {"x": X, "sample_weight": W[:3]},
        {"x": (X, MORE[:4])},
        {"x": X[0]},
        {"x": (X, MORE, W)},
        {"x": X, "subset": "test"},
        {"x": X, "y": np.array([0, 0, 1, 1, 1]), "subset": "training"},
        {"x": X, "batch_size": 0},
        {"x": X[:0]},
        {"x": X, "save_format": "webp"},
        {"x": X, "seed": -1},
    ]:
        with pytest.raises(ValueError, match=r"\w"):
            generator.flow(**given)
    with pytest.raises(ValueError, match="validation_split"):
        ParallelImageDataGenerator().flow(X, subset="validation")
    with pytest.warns(UserWarning, match="5 channels"):
        generator.flow(np.zeros((2, 4, 4, 5)))


@pytest.mark.parametrize("form", ["png", "jpeg", "bmp", "pdf", "ppm", "gif", "tif", "jpg"])
def test_flow_saves_what_it_made(tmp_path, form):
    generator = ParallelImageDataGenerator(**FAST, batch_size=5, max_batches_pending=1)
    saving = {"save_to_dir": str(tmp_path / "new"), "save_prefix": "out", "save_format": form}
    first(generator.flow(X, shuffle=False, **saving))
    names = sorted(os.listdir(tmp_path / "new"))
    assert [name.split("_")[:2] for name in names] == [["out", str(i)] for i in range(5)]
    assert all(name.endswith(f".{form}") for name in names)
    if form == "png":
        saved = np.asarray(Image.open(tmp_path / "new" / names[3]))
        stretched = (X[3] - X[3].min()) / np.ptp(X[3]) * 255
        assert_allclose(saved, stretched, atol=1)


def test_a_split_of_what_are_no_classes():
    generator = ParallelImageDataGenerator(validation_split=0.4, **FAST)
    targets = np.arange(5.0)
    with pytest.raises(ValueError, match="ignore_class_split"):
        generator.flow(X, targets, subset="training")
    parts = [
        first(generator.flow(X, targets, subset=subset, shuffle=False, ignore_class_split=True))
        for subset in ("validation", "training")
    ]
    assert [y.tolist() for ((_, y),) in parts] == [[0, 1], [2, 3, 4]]


def test_batch_sizes():
    assert first(ParallelImageDataGenerator(**FAST, batch_size=-1).flow(X))[0].shape[0] == 5
    assert first(ParallelImageDataGenerator(**FAST).flow(X, batch_size=99))[0].shape[0] == 5
    assert first(ParallelImageDataGenerator(**FAST).flow(X[:1]))[0].shape == (1, 8, 6, 3)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
def test_dtypes(pictures, dtype):
    generator = ParallelImageDataGenerator(dtype=dtype, rotation_range=9, **FAST)
    x, y = first(generator.flow_from_directory(pictures, target_size=(8, 8)))[0]
    assert (x.dtype, y.dtype) == (dtype, dtype)
    assert x.max() > 50


def test_no_choice_is_the_default_of_keras():
    generator = ParallelImageDataGenerator(dtype=None, data_format=None, **FAST)
    assert (generator.dtype, generator.data_format) == ("float32", "channels_last")
    assert first(generator.flow(X))[0].dtype == np.float32


@pytest.mark.parametrize(
    ("given", "keras_says", "name"),
    [
        ({"x": (X, np.zeros(9))}, "All of the arrays in `x`", "x[1]"),
        ({"x": X, "y": np.zeros(9)}, "`x` (images tensor) and `y` (labels)", "y"),
        (
            {"x": X, "sample_weight": np.zeros(9)},
            "`x` (images tensor) and `sample_weight`",
            "sample_weight",
        ),
    ],
)
def test_what_lies_beside_images_is_named(given, keras_says, name):
    with pytest.raises(ValueError, match="should have the same length") as caught:
        ParallelImageDataGenerator().flow(**given)
    assert str(caught.value).startswith(keras_says)
    assert str(caught.value).endswith(f"x has 5 images, but {name} has 9 rows")


# Directories.


@pytest.mark.parametrize("class_mode", ["categorical", "binary", "sparse", "input", None])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
def test_flow_from_directory_as_in_keras(pictures, class_mode, color_mode):
    given = {
        "target_size": (20, 30),
        "class_mode": class_mode,
        "color_mode": color_mode,
        "batch_size": 6,
        "shuffle": False,
        "interpolation": "bicubic",
    }
    theirs = ImageDataGenerator(rescale=0.5)
    theirs = theirs.flow_from_directory(str(pictures), classes=["a", "b"], **given)
    ours = ParallelImageDataGenerator(rescale=0.5, **FAST).flow_from_directory(pictures, **given)
    for name in ("filenames", "filepaths", "class_indices", "samples", "batch_size", "n"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert_array_equal(ours.classes, theirs.classes)
    assert_array_equal(ours.labels, theirs.labels)
    assert ours.class_labels == ["a", "b"]
    batches = epoch(ours)
    assert len(batches) == 2
    for one in batches:
        alike(one, next(theirs))
    if class_mode == "input":
        assert batches[0][0] is not batches[0][1]


def test_channels_first_as_in_keras(pictures):
    options = {"data_format": "channels_first", "rescale": 0.5, "samplewise_center": True}
    given = {"target_size": (20, 30), "shuffle": False, "interpolation": "box", "batch_size": 6}
    theirs = ImageDataGenerator(**options)
    theirs = theirs.flow_from_directory(str(pictures), classes=["a", "b"], **given)
    ours = ParallelImageDataGenerator(**options, **FAST).flow_from_directory(pictures, **given)
    for one in epoch(ours):
        alike(one, next(theirs))
        assert one[0].shape == (6, 3, 20, 30)


@pytest.mark.parametrize(
    "interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
)
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "ppm", "tif"])
def test_pictures_are_read_and_resized_as_by_pillow(tmp_path, suffix, interpolation):
    make_pictures(tmp_path / "in", {"a": 2}, suffix=suffix)
    given = {"target_size": (33, 21), "shuffle": False, "class_mode": None, "batch_size": 2}
    generator = ParallelImageDataGenerator(**FAST)
    (x,) = epoch(
        generator.flow_from_directory(tmp_path / "in", **given, interpolation=interpolation)
    )
    method = getattr(Image.Resampling, interpolation.upper())
    for i in range(2):
        image = Image.open(tmp_path / "in" / "a" / f"{i:03}.{suffix}").convert("RGB")
        assert_allclose(x[i], np.asarray(image.resize((21, 33), method)), atol=1)
        assert abs(x[i] - np.asarray(image.resize((21, 33), method))).mean() <= 0.1


def test_the_last_batch_goes_on_with_the_first_samples(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    small = {"target_size": (4, 4), "class_mode": "sparse"}
    iterator = generator.flow_from_directory(pictures, batch_size=5, shuffle=False, **small)
    labels = np.concatenate([y for _, y in epoch(iterator)])
    assert labels.tolist() == [0] * 5 + [1] * 7 + [0] * 3
    (large,) = epoch(generator.flow_from_directory(pictures, batch_size=30, **small))
    assert large[0].shape == (30, 4, 4, 3)
    assert large[1][:12].sum() == 7  # each once, then again
    shaped = generator.flow_from_directory(pictures, batch_shape=(3, 4, 4, 3), **small)
    assert first(shaped)[0][0].shape == (3, 4, 4, 3)
    everything = ParallelImageDataGenerator(**FAST, batch_size=-1)
    assert len(epoch(everything.flow_from_directory(pictures, **small))[0][1]) == 12


def test_a_last_batch_that_is_not_filled_up(pictures):
    flow = ParallelImageDataGenerator(**FAST).flow_from_directory(
        pictures, target_size=(8, 8), batch_size=5, shuffle=False, full_batches=False
    )
    with flow:
        for _ in range(2):
            epoch = [x.copy() for x, _ in flow]
            assert [len(x) for x in epoch] == [5, 5, 2]
            assert flow.batch_filenames == flow.filenames[10:]
        assert len(flow[2][0]) == 2


def test_what_a_flow_tells_of_itself(pictures, caplog):
    caplog.set_level("INFO", "aioaug.images")
    flow = ParallelImageDataGenerator(**FAST).flow_from_directory(
        pictures, target_size=(8, 9), batch_size=5, class_mode="sparse", seed=1
    )
    assert caplog.messages == ["Found 12 images belonging to 2 classes."]
    assert (flow.target_size, flow.image_shape) == ((8, 9), (8, 9, 3))
    assert (flow.batch_shape, flow.class_mode) == ((5, 8, 9, 3), "sparse")
    assert (flow.directory, flow.color_mode, flow.x) == (str(pictures), "rgb", None)
    assert (flow.batch_index_array, flow.batch_filenames) == ([], [])
    orders = [flow.index_array.tolist()]
    with flow:
        for _ in range(2):
            taken = [
                (flow.batch_index_array, flow.batch_filenames, labels.tolist())
                for _, labels in flow
            ]
            order = flow.index_array.tolist()
            assert sorted(order) == list(range(12))
            assert [one for numbers, _, _ in taken for one in numbers][:12] == order
            for numbers, names, labels in taken:
                assert names == [flow.filenames[number] for number in numbers]
                assert labels == [flow.classes[number] for number in numbers]
            orders.append(order)
    assert orders[0] == orders[1] != orders[2]

    arrays = ParallelImageDataGenerator(**FAST).flow(X, Y, batch_size=2, sample_weight=W)
    assert_array_equal(arrays.x, X)
    assert_array_equal(arrays.y, Y)
    assert_array_equal(arrays.sample_weight, W)
    assert (arrays.image_shape, arrays.batch_shape) == ((8, 6, 3), (2, 8, 6, 3))
    assert arrays.batch_filenames == []


def test_listing(writable):
    (writable / "a" / "nested").mkdir()
    for name in ("a/nested/UPPER.PNG", "a/notes.txt", "a/zebra.png"):
        (writable / name).write_bytes((writable / "a" / "000.png").read_bytes())
    np.save(writable / "b" / "array.npy", np.full((40, 50, 3), 9, np.uint8))
    (writable / ".hidden").mkdir()
    outside = make_pictures(writable.parent / "outside", {"c": 3})
    (writable / "a" / "link").symlink_to(outside / "c", target_is_directory=True)
    given = {"target_size": (40, 50), "shuffle": False}
    generator = ParallelImageDataGenerator(**FAST)

    theirs = ImageDataGenerator().flow_from_directory(str(writable), classes=["a"], **given)
    ours = generator.flow_from_directory(writable, classes=["a"], **given)
    assert ours.filenames == theirs.filenames
    assert "a/nested/UPPER.PNG" in ours.filenames
    assert len(ours.filenames) == 12
    followed = generator.flow_from_directory(writable, classes=["a"], follow_links=True, **given)
    assert len(followed.filenames) == 15

    counts = {}
    both = generator.flow_from_directory(writable, **given, batch_size=20, class_counts=counts)
    assert both.class_indices == {"a": 0, "b": 1}  # again, although there is an index now
    assert counts == {"a": 12, "b": 8}
    x, _ = first(both)[0]
    assert np.all(x[19] == 9)
    order = generator.flow_from_directory(writable, classes=["b", "a"], **given)
    assert order.class_indices == {"b": 0, "a": 1}


def test_subsets_of_a_directory(writable):
    counts = {}
    generator = ParallelImageDataGenerator(validation_split=0.25)
    parts = [
        generator.flow_from_directory(writable, subset=subset, class_counts=counts).filenames
        for subset in ("validation", "training", None)
    ]
    assert sorted(parts[0] + parts[1]) == sorted(parts[2])
    assert [sum(name.startswith("a") for name in part) for part in parts] == [3, 7, 10]
    few = ParallelImageDataGenerator(max_samples_per_class=2)
    assert len(few.flow_from_directory(writable, class_counts=counts).filenames) == 4
    assert counts == {"a": 2, "b": 2}


def test_a_split_may_be_taken_away_later(writable):
    generator = ParallelImageDataGenerator(validation_split=0.25)
    generator.validation_split = None
    assert len(generator.flow_from_directory(writable, subset="training").filenames) == 17
    with pytest.raises(ValueError, match="validation_split"):
        generator.flow_from_directory(writable, subset="validation")


def test_a_target_size_may_name_channels(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    x, _ = first(generator.flow_from_directory(pictures, target_size=(9, 8, 3)))[0]
    assert x.shape[1:] == (9, 8, 3)
    with pytest.raises(ValueError, match="target_size"):
        generator.flow_from_directory(pictures, target_size=(9,))


def test_what_a_directory_lacks(writable):
    generator = ParallelImageDataGenerator(**FAST)
    (writable / "empty").mkdir()
    with pytest.raises(RuntimeError, match="'empty' has no pictures"):
        generator.flow_from_directory(writable)
    with pytest.raises(FileNotFoundError, match="missing"):
        generator.flow_from_directory(writable, classes=["a", "missing"])
    with pytest.raises(FileNotFoundError):
        generator.flow_from_directory(writable / "nowhere")
    for given in [
        {"class_mode": "raw"},
        {"color_mode": "cmyk"},
        {"interpolation": "spline"},
        {"subset": "test"},
        {"target_size": (0, 5)},
    ]:
        with pytest.raises(ValueError, match=next(iter(given))):
            generator.flow_from_directory(writable, classes=["a"], **given)


def test_the_index_in_the_directory(writable):
    generator = ParallelImageDataGenerator()
    names = generator.flow_from_directory(writable).filenames
    listed = (writable / ".index-a.txt").read_text().splitlines()
    assert listed == names[:10]
    assert generator.flow_from_directory(writable).filenames == names
    # No other program takes it for a class.
    theirs = ImageDataGenerator().flow_from_directory(str(writable))
    assert theirs.class_indices == {"a": 0, "b": 1}


def test_an_index_of_another_program_is_read(writable):
    names = [f"a/{number:03}.png" for number in range(9, -1, -1)]
    (writable / ".index").mkdir()
    (writable / ".index" / "a.txt").write_text("\n".join(names))
    assert ParallelImageDataGenerator().flow_from_directory(writable).filenames[:10] == names


def test_classes_in_subdirectories_of_classes_have_indexes(writable):
    (writable / "a" / "sub").mkdir()
    (writable / "a" / "000.png").rename(writable / "a" / "sub" / "000.png")
    given = {"classes": ["a", os.path.join("a", "sub")]}
    flow = ParallelImageDataGenerator().flow_from_directory(writable, **given)
    assert len(flow.filenames) == 11
    assert len(list(writable.glob(".index-*"))) == 2


def test_files_that_are_not_looked_for_keep_their_places(writable, tmp_path):
    outside = make_pictures(tmp_path / "outside", {"c": 3})
    (writable / "a" / "link").symlink_to(outside / "c", target_is_directory=True)
    given = {"classes": ["a"], "shuffle_index_dir": str(tmp_path / "index")}
    generator = ParallelImageDataGenerator()
    followed = generator.flow_from_directory(writable, follow_links=True, **given).filenames
    names = generator.flow_from_directory(writable, **given).filenames
    assert names == [name for name in followed if "link" not in name]
    assert generator.flow_from_directory(writable, follow_links=True, **given).filenames == followed


def test_a_shuffled_index_is_kept(writable, tmp_path):
    generator, where = ParallelImageDataGenerator(), tmp_path / "index"
    given = {"classes": ["a"], "shuffle_index_dir": str(where)}
    names = generator.flow_from_directory(writable, **given, seed=1).filenames
    assert names != sorted(names)
    assert (where / ".index-a.txt").read_text().splitlines() == names
    assert generator.flow_from_directory(writable, **given, seed=2).filenames == names

    gone = names[4]
    (writable / gone).unlink()
    with pytest.warns(UserWarning, match="1 files of the class 'a'") as caught:
        rest = generator.flow_from_directory(writable, **given).filenames
    assert caught[0].filename == __file__
    assert rest == [name for name in names if name != gone]
    (writable / "a" / "new.png").write_bytes((writable / names[0]).read_bytes())
    assert generator.flow_from_directory(writable, **given).filenames == [*rest, "a/new.png"]
    assert (where / ".index-a.txt").read_text().splitlines() == [*rest, "a/new.png"]


def test_an_index_keeps_names_that_are_no_text(writable, tmp_path):
    data = (writable / "a" / os.listdir(writable / "a")[0]).read_bytes()
    for name in (b"caf\xe9.png", "one\u2028two\x85three.png".encode()):
        (writable / "a" / os.fsdecode(name)).write_bytes(data)
    given = {"classes": ["a"], "shuffle_index_dir": str(tmp_path / "index")}
    names = ParallelImageDataGenerator().flow_from_directory(writable, **given).filenames
    assert len(names) == 12
    assert ParallelImageDataGenerator().flow_from_directory(writable, **given).filenames == names


def test_an_index_keeps_names_of_several_lines(writable, tmp_path):
    data = (writable / "a" / "000.png").read_bytes()
    for name in ("one\ntwo.png", r"three\nfour.png", "\n.png"):
        (writable / "a" / name).write_bytes(data)
    given = {"classes": ["a"], "shuffle_index_dir": str(tmp_path / "index")}
    names = ParallelImageDataGenerator().flow_from_directory(writable, **given).filenames
    assert len(names) == 13
    assert ParallelImageDataGenerator().flow_from_directory(writable, **given).filenames == names


def test_pictures_are_in_the_order_of_keras(writable):
    """All those of a folder, then those of the next one, folders being sorted by their paths."""
    top = writable / "a"
    for folder in ("x", "x/deeper", "x-1", ".dot"):
        (top / folder).mkdir(exist_ok=True)
        for name in ("2.png", "1.JPG", "note.txt", ".dot.png", "x.pgm"):
            (top / folder / name).write_bytes((top / "000.png").read_bytes())
    (top / "x" / "y.png").symlink_to(top / "000.png")
    walk = sorted(os.walk(top))
    expected = [
        os.path.relpath(os.path.join(folder, name), writable)
        for folder, _, names in walk
        for name in sorted(names)
        if name.lower().endswith((".png", ".jpg"))
    ]
    flow = ParallelImageDataGenerator().flow_from_directory(writable, classes=["a"])
    assert flow.filenames == expected
    (top / "x" / "up").symlink_to(top, target_is_directory=True)
    with pytest.raises(ValueError, match="a/x/up is a link to a folder that it is in"):
        ParallelImageDataGenerator().flow_from_directory(writable, follow_links=True)


def test_only_a_suffix_makes_a_picture(writable):
    for name in ("README_png", "x.notpng", "jpg"):
        (writable / "a" / name).write_bytes(b"no picture")
    assert len(ParallelImageDataGenerator().flow_from_directory(writable).filenames) == 17


def test_a_directory_that_cannot_be_written(writable, monkeypatch):
    expected = ParallelImageDataGenerator().flow_from_directory(writable).filenames
    for index in writable.glob(".index*"):
        index.unlink()

    # Permissions do not stop a superuser.
    def refuse(path, data):
        raise PermissionError(13, "read-only", str(path))

    monkeypatch.setattr("aioaug._base.atomic.write", refuse)
    iterator = ParallelImageDataGenerator(**FAST).flow_from_directory(writable)
    assert iterator.filenames == expected
    assert not list(writable.glob(".index*"))
    assert first(iterator)


def test_a_listing_of_ones_own(pictures):
    asked = {}

    def listing(**given):
        asked.update(given)
        return pairs(**given)

    generator = ParallelImageDataGenerator(validation_split=0.5, rotation_range=40, **FAST)
    iterator = generator.flow_from_directory(
        pictures,
        subset="training",
        batch_size=3,
        target_size=(8, 9),
        list_valid_filenames_in_directory_function=listing,
    )
    assert asked.pop("search_class") == "b"
    assert asked.pop("white_list_formats") == (
        *("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff", "gif", "webp", "npy"),
    )
    assert asked == {
        "base_directory": str(pictures),
        "split": (0.5, 1),
        "follow_links": False,
        "shuffle_index_directory": None,
    }
    images, labels = first(iterator)[0]
    assert [x.shape for x in images] == [(3, 8, 9, 3)] * 2
    assert_array_equal(*images)  # one plan for both
    assert labels.shape == (3, 2)


# Odd pictures.


def odd(tmp_path, image, suffix="png"):
    (tmp_path / "one").mkdir()
    image.save(tmp_path / "one" / f"odd.{suffix}")
    return tmp_path


def only_image(folder, **given):
    generator = ParallelImageDataGenerator(**FAST)
    given = {"target_size": (6, 4), "class_mode": None, "batch_size": 1} | given
    return epoch(generator.flow_from_directory(folder, classes=["one"], **given))[0][0]


def test_deep_grey(tmp_path):
    deep = np.arange(24, dtype=np.uint16).reshape(6, 4) * 2700
    folder = odd(tmp_path, Image.fromarray(deep))
    assert_array_equal(only_image(folder, color_mode="grayscale")[..., 0], deep)
    assert_array_equal(only_image(folder)[..., 1], deep >> 8)
    small = only_image(folder, color_mode="grayscale", target_size=(3, 2), interpolation="box")
    assert_allclose(small[..., 0], deep.reshape(3, 2, 2, 2).mean((1, 3)), atol=1)


def test_modes_of_pictures(tmp_path):
    rgba = np.zeros((6, 4, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 200, 100
    folder = odd(tmp_path, Image.fromarray(rgba))
    assert only_image(folder)[0, 0].tolist() == [200, 0, 0]
    assert only_image(folder, color_mode="rgba")[0, 0].tolist() == [200, 0, 0, 100]
    assert only_image(folder, color_mode="grayscale").shape == (6, 4, 1)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_other_channels(tmp_path, mode):
    image = Image.new("RGB", (4, 6), (200, 100, 50)).convert(mode)
    x = only_image(odd(tmp_path, image, "jpg"))
    saved = Image.open(tmp_path / "one" / "odd.jpg").convert("RGB")
    assert_allclose(x, np.asarray(saved), atol=1)


def test_the_orientation_of_exif_is_left_alone(tmp_path):
    (tmp_path / "one").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 6), (9, 99, 199)).save(tmp_path / "one" / "turned.jpg", exif=exif)
    assert only_image(tmp_path, interpolation=None).shape == (6, 4, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale"])
def test_pictures_may_be_turned_upright(tmp_path, suffix, color_mode):
    make_pictures(tmp_path, {"a": 1}, size=(40, 50))
    with Image.open(tmp_path / "a" / "000.png") as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(tmp_path / "a" / f"turned.{suffix}", exif=exif, quality=95)
        upright = image.transpose(Image.Transpose.ROTATE_270).convert("RGB")
    (tmp_path / "a" / "000.png").unlink()
    generator = ParallelImageDataGenerator(**FAST)
    given = {"target_size": (50, 40), "class_mode": None, "color_mode": color_mode, "batch_size": 1}
    ((x,),) = first(generator.flow_from_directory(tmp_path, exif=True, **given))
    expected = np.array(upright.convert("L" if color_mode == "grayscale" else "RGB"))
    assert np.abs(x - np.atleast_3d(expected)).mean() < 4


@pytest.mark.parametrize(
    ("size", "box"), [((20, 10), (15, 0, 35, 40)), ((16, 40), (0, 10, 50, 30))]
)
def test_pictures_may_keep_their_proportions(tmp_path, size, box):
    make_pictures(tmp_path, {"a": 1}, size=(40, 50))
    flow = ParallelImageDataGenerator(**FAST).flow_from_directory(
        tmp_path, target_size=size, batch_size=1, class_mode=None, keep_aspect_ratio=True
    )
    ((x,),) = first(flow)
    with Image.open(tmp_path / "a" / "000.png") as image:
        expected = image.resize(size[::-1], Image.Resampling.BILINEAR, box)
    assert_array_equal(x, np.array(expected))


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_pictures_of_newer_kinds_are_taken(tmp_path, suffix):
    make_pictures(tmp_path, {"a": 2}, size=(40, 50))
    with Image.open(tmp_path / "a" / "000.png") as image:
        image.save(tmp_path / "a" / f"more.{suffix}", lossless=True)
    flow = ParallelImageDataGenerator(**FAST).flow_from_directory(
        tmp_path, target_size=(40, 50), shuffle=False, class_mode=None
    )
    assert flow.filenames[2:] == [f"a/more.{suffix}"]
    (x,) = first(flow)
    assert np.abs(x[2] - x[0]).mean() < (1 if suffix == "webp" else 10)


def test_no_resizing_is_for_pictures_that_fit(pictures):
    generator = ParallelImageDataGenerator(**FAST)
    given = {"interpolation": "none", "batch_size": 2}
    assert first(generator.flow_from_directory(pictures, (40, 50), **given))[0][0].shape[1] == 40
    with pytest.raises(ValueError, match=r"\.png has the shape \(40, 50, 3\) instead of"):
        first(generator.flow_from_directory(pictures, (8, 8), **given))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 and no more"])
def test_an_unreadable_picture_is_named(writable, content):
    bad = writable / "a" / "004.jpg"
    bad.write_bytes(content)
    given = {"target_size": (8, 8), "shuffle": False, "batch_size": 6, "class_mode": "sparse"}
    iterator = ParallelImageDataGenerator(**FAST).flow_from_directory(writable, **given)
    with iterator, pytest.raises(UnreadablePictureError, match=r"004\.jpg cannot be read"):
        list(iterator)

    skipping = ParallelImageDataGenerator(**FAST, on_error="skip")
    with skipping.flow_from_directory(writable, **given) as iterator:
        with pytest.warns(RuntimeWarning, match=r"left out: .*004\.jpg"):
            batches = list(iterator)
    assert [len(x) for x, _ in batches] == [5, 6, 6]
    assert [len(y) for _, y in batches] == [5, 6, 6]
    assert [name for name, _ in iterator.skipped] == ["a/004.jpg"]


def test_a_batch_of_nothing_but_unreadable_pictures_is_left_out(writable):
    for i in range(3):
        (writable / "a" / f"{i:03}.png").write_bytes(b"no picture")
    skipping = ParallelImageDataGenerator(**FAST, on_error="skip")
    given = {"target_size": (8, 8), "shuffle": False, "batch_size": 3, "class_mode": None}
    with skipping.flow_from_directory(writable, **given) as iterator:
        with pytest.warns(RuntimeWarning, match="left out"):
            assert len(list(iterator)) == len(iterator) - 1


def test_a_truncated_jpeg_is_an_error(writable):
    whole = make_pictures(writable.parent / "more", {"c": 1}, suffix="jpg") / "c" / "000.jpg"
    (writable / "a" / "cut.jpg").write_bytes(whole.read_bytes()[:-400])
    generator = ParallelImageDataGenerator(**FAST)
    iterator = generator.flow_from_directory(writable, (40, 50), classes=["a"], batch_size=11)
    with pytest.raises(UnreadablePictureError, match=r"cut\.jpg.*truncated"):
        first(iterator)


def test_saved_pictures_of_a_directory(pictures, tmp_path):
    where = str(tmp_path / "saved")
    generator = ParallelImageDataGenerator(**FAST, save_to_dir=where, save_format="jpg")
    given = {"target_size": (8, 8), "batch_size": 12, "save_to_dir": "unused"}
    epoch(generator.flow_from_directory(pictures, **given, save_prefix="aug"))
    names = sorted(os.listdir(where))
    assert len(names) == 12
    assert names[0].startswith("aug_a-000.png_")
    assert names[0].endswith(".jpg")
    assert not os.path.exists("unused")


# Data frames.


@pytest.fixture
def frame(pictures):
    names = [f"a/{i:03}.png" for i in range(3)] + [f"b/{i:03}.png" for i in range(4)]
    return pd.DataFrame(
        {
            "filename": names,
            "class": ["x"] * 3 + ["y"] * 4,
            "tags": [["x"], ["x", "y"], ["z"], ("y",), ["x"], ["y", "z"], ["z"]],
            "first": np.arange(7.0),
            "second": np.arange(7, 14),
            "weight": np.linspace(0, 1, 7),
        }
    )


FRAME_MODES = [
    {"class_mode": "binary"},
    {"class_mode": "categorical"},
    {"class_mode": "categorical", "y_col": "tags"},
    {"class_mode": "input"},
    {"class_mode": "multi_output", "y_col": ["first", "second"]},
    {"class_mode": "raw", "y_col": "first"},
    {"class_mode": "raw", "y_col": ["first", "second"]},
    {"class_mode": "sparse"},
    {"class_mode": "sparse", "weight_col": "weight"},
    {"class_mode": "sparse", "classes": ["x"]},
    {"class_mode": "categorical", "y_col": "tags", "classes": ["x", "y"]},
    {"class_mode": None},
]


@pytest.mark.parametrize("given", FRAME_MODES, ids=str)
@pytest.mark.parametrize("subset", [None, "training", "validation"])
def test_flow_from_dataframe_as_in_keras(pictures, frame, given, subset):
    options = {"validation_split": 0.3}
    given = {
        "directory": str(pictures),
        "target_size": (9, 8),
        "shuffle": False,
        "batch_size": 3,
        "subset": subset,
        **given,
    }
    before = frame.copy(deep=True)
    theirs = ImageDataGenerator(**options).flow_from_dataframe(frame, **given)
    generator = ParallelImageDataGenerator(**options, **FAST)
    if theirs.n == 0:
        with pytest.raises(ValueError, match="no samples"):
            generator.flow_from_dataframe(frame, **given)
        return
    ours = generator.flow_from_dataframe(frame, **given)
    pd.testing.assert_frame_equal(frame, before)
    assert (ours.filenames, ours.n, len(ours)) == (theirs.filenames, theirs.n, len(theirs))
    assert ours.class_indices == getattr(theirs, "class_indices", {})
    for one in first(ours, len(theirs) + 1):  # on into the next epoch
        alike(one, next(theirs))


def test_classes_of_a_data_frame_keep_their_order(pictures, frame):
    generator = ParallelImageDataGenerator()
    iterator = generator.flow_from_dataframe(frame, pictures, classes=["y", "x"])
    assert iterator.class_indices == {"y": 0, "x": 1}
    assert iterator.classes == [1] * 3 + [0] * 4


def test_files_of_a_data_frame(pictures, frame):
    generator = ParallelImageDataGenerator(**FAST)
    frame.loc[2, "filename"] = "a/missing.png"
    with pytest.warns(UserWarning, match="1 rows are left out") as caught:
        assert generator.flow_from_dataframe(frame, pictures).n == 6
    assert caught[0].filename == __file__
    iterator = generator.flow_from_dataframe(
        frame, pictures, validate_filenames=False, batch_size=7
    )
    assert iterator.n == 7
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        first(iterator)
    whole = frame.drop(index=2)
    whole["filename"] = [str(pictures / name) for name in whole["filename"]]
    assert first(generator.flow_from_dataframe(whole))[0][0].shape == (6, 256, 256, 3)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"class_mode": "multi_output", "y_col": "first"}, TypeError, "y_col"),
        ({"x_col": "first"}, TypeError, "x_col='first'"),
        ({"class_mode": "sparse", "y_col": "first"}, TypeError, "must hold str"),
        ({"class_mode": "binary", "y_col": "filename"}, ValueError, "found 7"),
        ({"class_mode": "binary", "classes": ["x"]}, ValueError, "found 1"),
        ({"class_mode": "categorical", "y_col": "first"}, TypeError, "tuple"),
        ({"class_mode": "onehot"}, ValueError, "class_mode"),
        ({"weight_col": "class"}, TypeError, "weight_col"),
        ({"y_col": ["class"]}, TypeError, "y_col must name one column"),
        ({"y_col": ["class"], "class_mode": "sparse"}, TypeError, "y_col must name one column"),
        ({"directory": "nowhere"}, ValueError, "none of the 7 rows.*nowhere/a/000.png"),
        ({"colour_mode": "rgb"}, TypeError, "colour_mode"),
        ({"classes": ["nobody"]}, ValueError, "no samples"),
    ],
    ids=str,
)
def test_columns_that_do_not_fit(pictures, frame, given, error, match):
    with pytest.raises(error, match=match):
        ParallelImageDataGenerator().flow_from_dataframe(frame, **({"directory": pictures} | given))


@pytest.mark.parametrize("kind", ["Int64", "Float32", "int8"])
def test_weights_of_every_type(pictures, frame, kind):
    frame["weight"] = pd.array(range(7), dtype=kind)
    given = {"weight_col": "weight", "shuffle": False, "target_size": (4, 4)}
    flow = ParallelImageDataGenerator(**FAST).flow_from_dataframe(frame, pictures, **given)
    weights = first(flow)[0][2]
    assert weights.dtype == kind.lower()
    assert weights.tolist() == list(range(7))


def test_legacy_of_data_frames(pictures, frame):
    generator = ParallelImageDataGenerator()
    with pytest.warns(DeprecationWarning, match="raw") as caught:
        raw = generator.flow_from_dataframe(frame, pictures, y_col="first", class_mode="other")
    assert caught[0].filename == __file__
    assert_array_equal(raw.labels, frame["first"])
    for name in ("has_ext", "sort", "drop_duplicates"):
        with pytest.warns(DeprecationWarning, match=name):
            generator.flow_from_dataframe(frame, pictures, **{name: True})
    with pytest.warns(UserWarning, match="classes is ignored"):
        generator.flow_from_dataframe(frame, pictures, class_mode=None, classes=["x"])


def test_after_shutdown(pictures):
    iterator = ParallelImageDataGenerator(**FAST).flow_from_directory(pictures)
    iterator.shutdown()  # before it began
    assert iterator.is_shutdown
    for use in ("__next__", "__enter__"):
        with pytest.raises(ClosedError):
            getattr(iterator, use)()
    with pytest.raises(ClosedError):
        iterator[0]
    iterator.shutdown()
