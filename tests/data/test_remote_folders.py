"""Datasets on servers: folders are listed, and workers read what is in them."""

from __future__ import annotations

import json
import shutil
from functools import partial

import fsspec
import pytest
from aioaug import data
from aioaug.data.opening import format_of, open_dataset
from aioaug.errors import UnreadableLabelsError
from data_testing import end_connections, images, make_folder, served, set_environment
from labels_testing import folders_of_formats, yolo_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("served")
    make_folder(top / "classes", each=2)
    (top / "classes" / "cat" / "deep").mkdir()
    shutil.copy(top / "classes" / "dog" / "0.jpg", top / "classes" / "cat" / "deep" / "a.jpg")
    (top / "classes" / "cat" / "notes.txt").write_text("no picture")
    (top / "classes" / ".cache").mkdir()
    folders_of_formats(top)
    return top


@pytest.fixture
def bucket(folder, monkeypatch):
    """The URL of a bucket of a server that speaks as S3 does, and what a worker has to know."""
    moto_server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir("bucket")
    for path in folder.rglob("*"):
        if path.is_file():
            files.pipe_file(f"bucket/{path.relative_to(folder).as_posix()}", path.read_bytes())
    # The server that forks the workers began before.
    yield "s3://bucket", partial(set_environment, **variables)
    server.stop()


@pytest.fixture(autouse=True)
def no_connections():
    yield
    end_connections()


def check(url, folder, initializer=None):
    """All datasets at the URL are as those in the folder."""
    for kind, below in ((data.ImageFolder, "classes"), (data.Files, "classes/cat")):
        there, here = kind(f"{url}/{below}"), kind(folder / below)
        assert there.classes == here.classes
        assert [each.image.name for each in there] == [each.image.name for each in here]
        assert images(there, "process", initializer=initializer) == images(here)
    there = data.Coco(f"{url}/coco/instances.json", f"{url}/coco/images")
    here = data.Coco(folder / "coco" / "instances.json", folder / "coco" / "images")
    assert [each.labels.annotations for each in there] == [each.labels.annotations for each in here]
    assert images(there, "process", initializer=initializer)[0] == images(here)[0]
    content = json.loads((folder / "coco" / "instances.json").read_text())
    content["images"][0]["file_name"] = "../instances.json"
    path = folder.parent / f"{folder.name}.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableLabelsError, match=r"image 7: '../instances.json' leads out of"):
        data.Coco(path, f"{url}/coco/images")
    with pytest.raises(UnreadableLabelsError, match=r"notes.txt: is not JSON"):
        data.Coco(f"{url}/classes/cat/notes.txt")
    with pytest.raises(UnreadableLabelsError, match=r"none.json: there is no such file"):
        data.Coco(f"{url}/coco/none.json")


KINDS = ("coco", "yolo", "voc", "labelme", "via", "masks", "sidecars")


def opened(kind, place):
    return data.Sidecars(place) if kind == "sidecars" else open_dataset(place, kind)


def check_labels(url, folder, kinds=KINDS, **options):
    """Each labelled dataset at the URL is as that in the folder."""
    for kind in kinds:
        there, here = opened(kind, f"{url}/{kind}"), opened(kind, folder / kind)
        if kind != "sidecars":
            assert format_of(f"{url}/{kind}") == format_of(folder / kind) != "folder"
        assert there.classes == here.classes
        assert [each.image.name for each in there] == [each.image.name for each in here]
        found, wanted = images(there, **options), images(here)
        assert found[0] == wanted[0]
        for new, old in zip(found[1], wanted[1], strict=True):
            if kind == "sidecars":
                assert new == old
            else:
                assert new.annotations == old.annotations
                assert kind == "masks" or not old.where or new.where.startswith(f"{url}/{kind}/")
        (part, _), (same, _) = there.split(0.5), here.split(0.5)
        assert [each.image.name for each in part] == [each.image.name for each in same]


def test_a_server_that_lists_folders(folder):
    with served(folder) as url:
        check(url, folder)


def test_a_bucket(bucket, folder):
    url, initializer = bucket
    check(url, folder, initializer)
    check_labels(url, folder, engine="process", initializer=initializer)


@pytest.fixture
def memory(folder):
    """The URL of fsspec's memory, with the same files."""
    files = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            files.pipe_file(f"/data/{path.relative_to(folder).as_posix()}", path.read_bytes())
    yield "memory://data"
    files.rm("/data", recursive=True)


def test_labels_in_memory(memory, folder):
    check_labels(memory, folder)


def test_labels_of_a_server_that_lists_folders(folder):
    with served(folder) as url:
        check_labels(url, folder, ("voc",), engine="process")
        check_labels(url, folder, [kind for kind in KINDS if kind != "voc"])


def test_labels_of_a_server_that_lists_nothing(folder):
    """What files name is read; whatever would have to be listed is refused, with a remedy."""
    with served(folder, lists=False) as url:
        there, here = (data.Via(f"{top}/via/via_project.json") for top in (url, folder))
        assert images(there, "process")[0] == images(here)[0]
        there, here = (data.Coco(f"{top}/coco/instances.json") for top in (url, folder))
        assert images(there, "process")[0] == images(here)[0]
        for kind in (data.Voc, data.Labelme, data.Sidecars, data.ImageFolder, data.Files):
            with pytest.raises(OSError, match=r"server does not list them, .* copy the folder"):
                kind(f"{url}/voc")
        with pytest.raises(OSError, match="the server does not list them"):
            data.Masks(f"{url}/masks/images", f"{url}/masks/masks")
        with pytest.raises(OSError, match="the server does not list them"):
            format_of(f"{url}/voc")
        with pytest.raises(UnreadableLabelsError, match=r"train.* name a text file that lists pic"):
            data.Yolo(f"{url}/yolo/data.yaml")


def test_yolos_list_of_pictures_needs_no_listing(tmp_path):
    header = "names: [cat]\ntrain: train.txt\n"
    yolo_folder(tmp_path, ["0 0.5 0.5 0.25 0.25"], header)
    shutil.copy(tmp_path / "images/train/a.png", tmp_path / "images/train/empty.png")
    (tmp_path / "train.txt").write_text("./images/train/a.png\nimages/train/empty.png\n")
    here = data.Yolo(tmp_path)
    with served(tmp_path, lists=False) as url:
        there = data.Yolo(f"{url}/data.yaml")
        assert [each.labels.annotations for each in there] == [
            each.labels.annotations for each in here
        ]
        assert [len(each.labels.annotations) for each in there] == [1, 0]
        (tmp_path / "train.txt").write_text("images/train/none.png\n")
        with pytest.raises(UnreadableLabelsError, match=r"line 1: there is no picture .*none.png"):
            data.Yolo(f"{url}/data.yaml")
        with pytest.raises(UnreadableLabelsError, match="leads out of"):
            (tmp_path / "train.txt").write_text("../none.png\n")
            data.Yolo(f"{url}/data.yaml")


def test_a_file_of_labels_is_read_once(folder):
    """One of COCO's may have hundreds of megabytes."""
    asked = []
    with served(folder, lists=False, asked=asked) as url:
        assert len(open_dataset(f"{url}/coco/instances.json", "coco")) == 2
    assert asked.count("/coco/instances.json") == 1
