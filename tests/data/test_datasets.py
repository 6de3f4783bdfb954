"""Datasets of files: what is in them, in which order it comes, and what arrives decoded."""

from __future__ import annotations

import asyncio
import io
import os
import re

import cv2
import imgaug.augmenters as iaa
import numpy as np
import pandas as pd
import pytest
from aioaug import AsyncPool, _pictures, data
from aioaug.errors import UnreadablePictureError
from data_testing import Points, contents, make_folder
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / "pictures")


def collected(batches, augmenter=None, engine="inline", **options):
    """What a pool makes of batches; datasets are opened outside of the loop, as that blocks."""

    async def collect():
        async with AsyncPool(augmenter or iaa.Identity(), 2, seed=1, engine=engine, **options) as p:
            return [batch async for batch in p.imap_batches(batches)]

    return asyncio.run(collect())


# what is in a dataset


def test_a_folder_of_classes(root):
    (root / "cat" / "deeper").mkdir()
    (root / "cat" / "1.jpg").rename(root / "cat" / "deeper" / "1.JPG")
    (root / "cat" / ".hidden.jpg").touch()
    (root / "cat" / "notes.txt").touch()
    (root / ".git").mkdir()
    dataset = data.ImageFolder(root)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 10
    names = [f"cat/{name}.jpg" for name in (0, 2, 3, 4)] + ["cat/deeper/1.JPG"]
    assert [sample.image.name for sample in dataset[:5]] == names
    assert [sample.labels for sample in dataset] == [0] * 5 + [1] * 5
    assert dataset[-1].image.read() == (root / "dog" / "4.jpg").read_bytes()
    assert repr(dataset) == "<ImageFolder 10 pictures, 2 classes>"


def test_files(root, monkeypatch):
    assert [one.image.name for one in data.Files(root)] == [
        one.image.name for one in data.ImageFolder(root)
    ]
    monkeypatch.chdir(root)
    dataset = data.Files(["dog/0.jpg", root / "cat" / "0.jpg"], ["dog", "cat"])
    monkeypatch.chdir("/")  # what is relative stays so to where it was
    assert [sample.labels for sample in dataset] == [1, 0]
    assert dataset.classes == ("cat", "dog")
    assert all(sample.image.read() for sample in dataset)
    assert data.Files(["a"], ["dog"], classes=("dog", "cat"))[0].labels == 0
    assert data.Files(["a"], [{"any": "thing"}])[0].labels == {"any": "thing"}


def test_frames(root):
    frame = pd.DataFrame({"file": ["dog/0.jpg", "cat/0.jpg"], "class": [1, 0]})
    dataset = data.Frame(frame, ("file", "class"), root=root, classes=["cat", "dog"])
    assert [type(sample.labels) for sample in dataset] == [int, int]
    assert dataset[0].image.read() == (root / "dog" / "0.jpg").read_bytes()
    assert data.Frame({"file": ["a"]}, "file")[0].labels is None


def test_parts_and_sums(root):
    dataset = data.ImageFolder(root)
    part = dataset.subset([9, 0])
    assert isinstance(part, data.ImageFolder)
    assert [sample.image.name for sample in part] == ["dog/4.jpg", "cat/0.jpg"]
    assert [sample.labels for sample in part + dataset[1:2]] == [1, 0, 0]
    assert (part + dataset)[-1] == dataset[9]
    with pytest.raises(IndexError, match="there are 10 pictures, so none with number 10"):
        dataset.subset([10])
    with pytest.raises(ValueError, match="other classes cannot be added"):
        dataset + data.Files(["a"], ["bird"])


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    fractions=st.sampled_from([(0.8,), (0.5, 0.5), (0.7, 0.2), (0.1, 0.2, 0.7)]),
    seed=st.integers(0, 2**70),
)
def test_a_split_has_each_class_in_each_part(sizes, fractions, seed):
    """Although the pictures are sorted by class, as in many data frames."""
    labels = [number for number, size in enumerate(sizes) for _ in range(size)]
    dataset = data.Files(list(map(str, range(len(labels)))), labels)
    parts = dataset.split(*fractions, seed=seed)
    assert len(parts) == (len(fractions) if sum(fractions) > 0.95 else len(fractions) + 1)
    names = [sample.image.name for part in parts for sample in part]
    assert sorted(names, key=int) == list(map(str, range(len(labels))))
    for part, fraction in zip(parts, fractions, strict=False):
        for number, size in enumerate(sizes):
            got = sum(sample.labels == number for sample in part)
            assert abs(got - fraction * size) <= len(sizes) + 1
    again = dataset.split(*fractions, seed=seed)
    assert [list(part) for part in parts] == [list(part) for part in again]


def test_splits_in_order_and_wrong_ones():
    dataset = data.Files(list("abcd"), ["x", "x", "y", "y"])
    first, second = dataset.split(0.5, shuffle=False)
    assert [sample.image.name for sample in (*first, *second)] == list("abcd")
    for fractions in ((), (0,), (0.6, 0.6), (-1, 0.5)):
        with pytest.raises(ValueError, match="fractions must be"):
            dataset.split(*fractions)
    with pytest.raises(ValueError, match="stratify: only where"):
        data.Files(list("ab"), [1, None]).split(0.5, stratify=True)


# the order


@given(
    count=st.integers(0, 40),
    batch_size=st.integers(1, 7),
    world=st.integers(1, 4),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_each_picture_comes_once_in_an_epoch(count, batch_size, world, shuffle, drop_last):
    dataset = data.Files(list(map(str, range(count))))
    options = {"shuffle": shuffle, "seed": 5, "epochs": 2, "drop_last": drop_last}

    def share(rank):
        return dataset.batches(batch_size, shard=(rank, world), **options)

    if not drop_last and count < world * -(-count // (world * batch_size)):
        with pytest.raises(ValueError, match=f"{world} ranks cannot have equally many batches"):
            share(0)
        return
    shares = [share(rank) for rank in range(world)]
    assert len({len(batches) for batches in shares}) == 1
    for epoch in range(2):
        numbers = []
        for batches in shares:
            size = batches.per_epoch
            own = list(batches)[epoch * size : (epoch + 1) * size]
            lengths = [len(batch) for batch in own]
            assert all(0 < length <= batch_size for length in lengths)
            if drop_last:
                assert lengths == [batch_size] * size
            numbers += [number for batch in own for number in batch.indices]
        assert len(set(numbers)) == len(numbers)
        if not drop_last:
            assert sorted(numbers) == list(range(count))


def test_the_order_follows_from_seed_and_epoch():
    dataset = data.Files(list(map(str, range(100))))

    def orders(**options):
        batches = dataset.batches(100, shuffle=True, **options)
        return [batches[number].indices for number in (3, 0)]

    late, first = orders(seed=1, epochs=None)
    assert late != first
    assert orders(seed=1, epochs=5) == [late, first]
    assert orders(seed=2, epochs=5)[1] != first
    assert first[:5] == (63, 99, 16, 25, 68)  # it is the same everywhere, for ever
    drawn = dataset.batches(100, shuffle=True)
    assert drawn[0].indices == dataset.batches(100, shuffle=True, seed=drawn.seed)[0].indices


def test_sequences_of_batches():
    batches = data.Files(list("abcde")).batches(2, epochs=2)
    assert len(batches) == 6
    assert [batch.indices for batch in batches[-2:]] == [(2, 3), (4,)]
    assert batches[-1].indices == (4,)
    with pytest.raises(IndexError, match="there are 6 batches, so none with number 6"):
        batches[6]
    endless = data.Files(list("abcde")).batches(2, epochs=None)
    assert endless[3_000_000].indices == (0, 1)
    with pytest.raises(TypeError, match="no len"):
        len(endless)
    assert list(data.Files([]).batches(2, epochs=None)) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"shard": (2, 2)}, ValueError, "rank of shard must be at most 1"),
        ({"resize": 3}, TypeError, r"resize must be \(height, width\)"),
        ({"resize": (0, 3)}, ValueError, "resize must be at least 1"),
        ({"pad": 3}, ValueError, "pad: only together with resize"),
        ({"interpolation": "linear"}, ValueError, "interpolation: only together with resize"),
        (
            {"interpolation": "linear", "buckets": 3},
            ValueError,
            "interpolation: only together with resize",
        ),
        ({"resize": (2, 2), "interpolation": "cubic"}, ValueError, "interpolation must be"),
        ({"resize": (2, 2), "pad": 256}, ValueError, "pad must be at most 255"),
        ({"resize": (2, 2), "pad": (1, 2)}, ValueError, "pad must be one value or three"),
        ({"on_unreadable": "x"}, ValueError, "on_unreadable must be one of"),
    ],
)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        data.Files(["a"]).batches(**{"batch_size": 2, **options})


# what arrives


def test_every_engine_gives_the_same(root):
    batches = data.ImageFolder(root).batches(4, shuffle=True, seed=1, epochs=2)
    augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Add((-20, 20))])
    inline, thread, process = (
        [contents(batch) for batch in collected(batches, augmenter, engine)]
        for engine in ("inline", "thread", "process")
    )
    assert inline == thread == process
    assert [index for batch in inline[:3] for index in batch[3]] == batches.order(0).tolist()
    assert inline[0][2] == [batches._samples[index].image.name for index in inline[0][3]]


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_every_kind_of_picture_is_as_on_the_command_line(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    grey = np.arange(48 * 64).reshape(48, 64)
    deep = Image.fromarray(grey.astype(np.uint16))
    image = deep if mode == "I;16" else Image.fromarray((grey % 256).astype(np.uint8)).convert(mode)
    image.save(path)
    [batch] = collected(data.Files([path]).batches(1))
    assert batch.images[0].dtype == (np.uint16 if mode == "I;16" else np.uint8)
    assert np.array_equal(batch.images[0], _pictures.read(path).pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_come_upright(root, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = root / "a.jpg"
    with Image.open(root / "cat" / "0.jpg") as image:
        image.save(path, exif=exif)
    fast, size = _pictures.decode_upright(path.read_bytes(), lambda _: (1, 1))
    assert size == fast.shape[:2]
    assert fast.shape[:2] == ((48, 80) if orientation < 5 else (80, 48))
    assert np.array_equal(fast, _pictures.read(path).pixels)


def test_labels_move_with_the_pictures(root):
    labels = [Points(((0.0, 0.0), (8.0, 4.0))), Points(()), "passed through"]
    paths = [root / "cat" / "0.jpg"] * 3
    dataset = data.Files(paths, labels)
    [batch] = collected(dataset.batches(3), iaa.Fliplr(1))
    assert batch.labels == [Points(((80.0, 0.0), (72.0, 4.0))), Points(()), "passed through"]
    [batch] = collected(dataset.batches(3, resize=(24, 20)), iaa.Fliplr(1))
    assert batch.labels[0] == Points(((20.0, 0.0), (18.0, 2.0)))
    assert batch.images.shape == (3, 24, 20, 3)
    # It is 40 wide and 24 high then, and stands in the middle of 40 times 40.
    padded = dataset.batches(3, resize=(40, 40), pad=(1, 2, 3))
    [batch] = collected(padded)
    assert batch.labels[0] == Points(((0.0, 8.0), (4.0, 10.0)))
    assert (batch.images[:, :8] == (1, 2, 3)).all()
    assert (batch.images[:, 32:] == (1, 2, 3)).all()
    assert not (batch.images[:, 8:32] == (1, 2, 3)).all(axis=3).any()
    assert contents(data.decode(padded[0])) == contents(batch)


def test_maps_are_resized_and_padded_like_their_pictures():
    from aioaug.data.fitting import Fit
    from imgaug.augmentables import HeatmapsOnImage, SegmentationMapsOnImage

    left = np.zeros((20, 40), np.int32)
    left[:, :20] = 1
    fit = Fit((40, 20), 0)
    moved = fit.item(SegmentationMapsOnImage(left, (20, 40, 3)), (20, 40, 3))
    assert moved.shape == (40, 20, 3)
    expected = np.zeros((40, 20), np.int32)
    expected[15:25, :10] = 1
    assert np.array_equal(moved.get_arr(), expected)
    heat = HeatmapsOnImage(left.astype(np.float32), (20, 40, 3))
    assert fit.item(heat, (20, 40, 3)).arr_0to1.shape == (40, 20, 1)


# what is wrong with the files


def test_files_that_are_missing_or_broken(root, caplog):
    whole = (root / "cat" / "1.jpg").read_bytes()
    (root / "cat" / "1.jpg").write_bytes(whole[:1000])
    (root / "cat" / "2.jpg").write_bytes(b"no picture")
    dataset = data.ImageFolder(root)
    message = re.escape("cat/1.jpg (picture 2 of 3 in its batch) cannot be read: ")
    with pytest.raises(UnreadablePictureError, match=message):
        collected(dataset.batches(3))
    whole_batches = collected(dataset.batches(2), on_error="skip")
    assert [batch.indices.tolist() for batch in whole_batches] == [[4, 5], [6, 7], [8, 9]]
    kept = collected(dataset.batches(3, on_unreadable="skip"), engine="process")
    assert [batch.indices.tolist() for batch in kept] == [[0], [3, 4, 5], [6, 7, 8], [9]]
    assert kept[0].labels.tolist() == [0]
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert said[1].startswith("cat/2.jpg (picture 3 of 3 in its batch) cannot be read: ")
    assert said[1].endswith("is left out")

    (root / "cat" / "2.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"cat/2\.jpg") as failure:
        collected(dataset.batches(3, on_unreadable="skip"))
    assert "picture 3 of 3 in its batch is cat/2.jpg" in failure.value.__notes__


def bomb(kind):
    """A small file that says that its picture is huge."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, kind)
    content = bytearray(file.getvalue())
    if kind == "JPEG":
        frame = content.index(b"\xff\xc0") + 5
        content[frame : frame + 4] = (30000).to_bytes(2) * 2
        return bytes(content)
    import zlib

    content[16:24] = (30000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pictures_that_would_fill_the_memory(tmp_path, kind):
    (tmp_path / f"a.{kind.lower()}").write_bytes(bomb(kind))
    with pytest.raises(UnreadablePictureError, match="exceeds limit of 178956970 pixels"):
        collected(data.Files(tmp_path).batches(1))


def test_names_that_lead_out_of_the_folder(root, tmp_path):
    outside = tmp_path / "secret.jpg"
    outside.touch()
    for name, why in (
        ("../secret.jpg", "leads out of"),
        ("cat/../../secret.jpg", "leads out of"),
        (str(outside), "leads out of"),
        ("", "is not the name of a file"),
        ("a\0b", "is not the name of a file"),
    ):
        with pytest.raises(ValueError, match=f"row 1: {re.escape(repr(name))} {why}"):
            data.Frame({"file": ["cat/0.jpg", name]}, "file", root=root)
    os.symlink(outside, root / "cat" / "link.jpg")
    os.symlink(tmp_path, root / "dog" / "up")
    with pytest.raises(ValueError, match=r"'cat/link.jpg' is a link that leads out .* allows it"):
        data.ImageFolder(root)
    with pytest.raises(ValueError, match=r"path 0: 'dog/up/secret\.jpg' is a link"):
        data.Files(["dog/up/secret.jpg"], root=root)
    (root / "cat" / "link.jpg").unlink()
    with pytest.raises(ValueError, match="dog/up is a link to a folder; follow_links=True"):
        data.ImageFolder(root)
    with pytest.raises(ValueError, match="a link to a folder that it is in"):
        data.ImageFolder(root, follow_links=True)
    (root / "dog" / "up").unlink()
    os.symlink("0.jpg", root / "dog" / "same.jpg")
    assert len(data.ImageFolder(root)) == 11


def test_folders_and_tables_that_are_wrong(tmp_path, root):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.ImageFolder(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        data.ImageFolder(root / "cat" / "0.jpg")
    with pytest.raises(ValueError, match="has no folders, one for each class"):
        data.ImageFolder(root / "cat")
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="the class 'empty' has no pictures in"):
        data.ImageFolder(root)
    with pytest.raises(ValueError, match="there are no pictures in"):
        data.Files(root / "empty")
    with pytest.raises(ValueError, match="there are 1 pictures, but 2 labels"):
        data.Files(["a"], [1, 2])
    with pytest.raises(ValueError, match="path 1: 'c' is none of the classes a, b"):
        data.Files(["x", "y"], ["a", "c"], classes=("a", "b"))
    with pytest.raises(ValueError, match="path 0: there is no class 2, as there are 2"):
        data.Files(["x"], [2], classes=("a", "b"))
    with pytest.raises(ValueError, match=r"row 1: the label is missing \(NaN\)"):
        data.Frame({"file": ["x", "y"], "class": [1.0, float("nan")]}, ("file", "class"))
    with pytest.raises(ValueError, match="row 0: file must be a path, got nan"):
        data.Frame({"file": [float("nan")]}, "file")
    with pytest.raises(KeyError, match="nothing"):
        data.Frame({"file": ["x"]}, "nothing")


def test_16_bits_and_8_bits_in_one_array(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    cv2.imwrite(str(tmp_path / "plain.png"), np.zeros((8, 8, 3), np.uint8))
    dataset = data.Files(tmp_path)
    [batch] = collected(dataset.batches(2))
    assert [image.dtype for image in batch.images] == [np.uint16, np.uint8]
    with pytest.raises(UnreadablePictureError, match=r"deep.png and plain.png do not fit"):
        collected(dataset.batches(2, resize=(4, 4)))
