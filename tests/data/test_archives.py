"""Pictures in tar files and tables, and at URLs."""

from __future__ import annotations

import io
import json
import tarfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aioaug import data
from aioaug.errors import UnreadablePictureError
from data_testing import images, make_folder, served


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / "pictures")


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            head = tarfile.TarInfo(name)
            head.size = len(content)
            archive.addfile(head, io.BytesIO(content))
    return path


def members_of(dataset):
    for number, sample in enumerate(dataset):
        yield f"train/{number:04}.jpg", sample.image.read()
        yield f"train/{number:04}.cls", str(sample.labels).encode()
        yield f"train/{number:04}.seg.png.gz", b"something else"


def test_tar_files(tmp_path, root):
    plain = data.ImageFolder(root)
    members = list(members_of(plain))
    shards = [
        make_tar(tmp_path / "a.tar", members[:12]),
        make_tar(tmp_path / "b.tar", members[12:]),
    ]
    dataset = data.Tar(shards, classes=plain.classes)
    assert images(dataset) == images(plain)
    assert dataset[3].image.name == "a/train/0003.jpg"
    assert dataset[4].image.name == "b/train/0004.jpg"
    assert data.Tar(shards[0])[0].image.name == "train/0000.jpg"


def test_labels_in_tar_files(tmp_path):
    boxes = {"boxes": [[1, 2, 3, 4]]}
    members = [("a.jpg", b""), ("a.json", json.dumps(boxes).encode()), ("a.txt", b" a cat\n")]
    path = make_tar(tmp_path / "a.tar", members)
    assert data.Tar(path)[0].labels == boxes
    assert data.Tar(path, labels="txt")[0].labels == 0
    assert data.Tar(path, labels="txt").classes == ("a cat",)
    assert data.Tar(make_tar(path, members[:1]))[0].labels is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../a.jpg", b"")], r"'\.\./a.jpg' leads out of"),
        ([("/a.jpg", b"")], "'/a.jpg' leads out of"),
        ([("a.jpg", b""), ("a.png", b"")], "a.tar: a has two pictures"),
        ([("a.jpg", b""), ("a.cls", b"1"), ("b.jpg", b"")], "a.tar: b has no .cls"),
        ([("a.jpg", b""), ("a.cls", b"one")], "a.tar: a.cls cannot be read: invalid literal"),
        ([("a.jpg", b""), ("a.json", b"{")], "a.tar: a.json cannot be read"),
    ],
)
def test_wrong_members(tmp_path, members, message):
    with pytest.raises(ValueError, match=message):
        data.Tar(make_tar(tmp_path / "a.tar", members))


def test_wrong_archives(tmp_path, root):
    members = list(members_of(data.ImageFolder(root)))
    with pytest.raises(ValueError, match="or compressed, in which nothing can be found"):
        data.Tar(make_tar(tmp_path / "a.tar.gz", members, "w:gz"))
    path = make_tar(tmp_path / "a.tar", members)
    dataset = data.Tar(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is damaged"):
        data.Tar(path)
    with pytest.raises(UnreadablePictureError, match=r"train/0009.jpg .*ends in the middle of it"):
        images(dataset.subset([9]))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        data.Tar(path)


@pytest.mark.parametrize("as_hugging_face", [True, False])
def test_tables(tmp_path, root, as_hugging_face):
    plain = data.ImageFolder(root)
    pictures = [sample.image.read() for sample in plain]
    column = [{"bytes": one, "path": None} for one in pictures] if as_hugging_face else pictures
    table = pa.table({"image": column, "label": [sample.labels for sample in plain]})
    if as_hugging_face:
        about = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    dataset = data.Table(tmp_path / "a.parquet", label="label")
    assert images(dataset) == images(plain)
    assert dataset.classes == (plain.classes if as_hugging_face else ())
    assert dataset[9].image.name == "a/2-1"


def test_wrong_tables(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"a.parquet is no parquet file"):
        data.Table(path)
    pq.write_table(pa.table({"image": [None], "label": [3]}), path)
    with pytest.raises(ValueError, match=r"a.parquet has no column 'pixels', but image, label"):
        data.Table(path, "pixels")
    with pytest.raises(ValueError, match="row 0 of group 0: there is no class 3, as there are 1"):
        data.Table(path, label="label", classes=["a"])
    with pytest.raises(UnreadablePictureError, match="there are no bytes in column 'image'"):
        images(data.Table(path))


def test_pictures_in_memory(root):
    """A file system of fsspec, which threads share."""
    files = fsspec.filesystem("memory")
    for path in root.rglob("*.jpg"):
        files.pipe_file(f"/bucket/{path.relative_to(root).as_posix()}", path.read_bytes())
    plain = data.ImageFolder(root)
    dataset = data.ImageFolder("memory://bucket")
    assert [sample.image.name for sample in dataset] == [sample.image.name for sample in plain]
    assert images(dataset) == images(plain)
    assert images(data.Files(["memory://bucket/cat/0.jpg"]))[0] == images(plain[:1])[0]
    table = {"file": ["cat/0.jpg", "../x.jpg"]}
    with pytest.raises(ValueError, match=r"row 1: .* leads out of memory://bucket"):
        data.Frame(table, "file", root="memory://bucket")
    files.pipe_file("/bucket/a.tar", make_tar(root / "a.tar", members_of(plain)).read_bytes())
    assert images(data.Tar("memory://bucket/a.tar")) == images(plain)
    with pytest.raises(FileNotFoundError, match=r"cat/9.jpg"):
        images(data.Files(["memory://bucket/cat/9.jpg"]))


def test_pictures_of_a_server(root):
    """Only the workers speak with it."""
    with served(root) as url:
        names = ["cat/0.jpg", "dog/3.jpg"]
        dataset = data.Frame({"file": names}, "file", root=url)
        assert images(dataset, "process") == images(data.Files(names, root=root))
        with pytest.raises(FileNotFoundError, match=r"cat/9.jpg"):
            images(data.Files([f"{url}/cat/9.jpg"]), "process")
