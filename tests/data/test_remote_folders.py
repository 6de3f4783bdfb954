"""Datasets on servers: folders are listed, and workers read what is in them."""

from __future__ import annotations

import gc
import json
import shutil
from functools import partial

import fsspec.asyn
import pytest
from aioaug import data
from aioaug.errors import UnreadableLabelsError
from data_testing import images, make_folder, served, set_environment
from fsspec.implementations.http import HTTPFileSystem
from labels_testing import coco_file

try:
    import s3fs
except ImportError:
    s3fs = None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("served")
    make_folder(top / "classes", each=2)
    (top / "classes" / "cat" / "deep").mkdir()
    shutil.copy(top / "classes" / "dog" / "0.jpg", top / "classes" / "cat" / "deep" / "a.jpg")
    (top / "classes" / "cat" / "notes.txt").write_text("no picture")
    (top / "classes" / ".cache").mkdir()
    coco_file(top / "coco")
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
    """fsspec's thread and connections live as long as the program, unless somebody ends them."""
    yield
    loop, thread = fsspec.asyn.loop[0], fsspec.asyn.iothread[0]
    if thread is None:
        return
    for kind in [HTTPFileSystem, *([] if s3fs is None else [s3fs.S3FileSystem])]:
        kind.clear_instance_cache()  # which closes the connections
    gc.collect()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    fsspec.asyn.reset_lock()


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
    with pytest.raises(FileNotFoundError):
        data.Coco(f"{url}/coco/none.json")


def test_a_server_that_lists_folders(folder):
    with served(folder) as url:
        check(url, folder)


def test_a_bucket(bucket, folder):
    url, initializer = bucket
    check(url, folder, initializer)
