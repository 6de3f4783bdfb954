"""The command line with folders that have a folder for each class."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from aioaug.cli import main
from aioaug.cli.dataset_plan import DatasetRequest, make_plan
from aioaug.data import Coco, ImageFolder, Yolo
from aioaug.data.class_folders import is_of_classes
from cli_testing import augment, content
from data_testing import make_folder
from PIL import Image

PIPE = """
import imgaug.augmenters as iaa
flip = iaa.Fliplr(1.0)
mixed = iaa.Sequential([iaa.Fliplr(0.5), iaa.Add((-40, 40))])
def negative(batch):
    return [255 - picture for picture in batch]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three cats and one dog, of which one has a label beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipe.py").write_text(PIPE)
    make_folder(tmp_path / "in", ("cat",), each=3, suffix=".png")
    make_folder(tmp_path / "in", ("dog",), each=1, suffix=".png")
    (tmp_path / "in" / "dog" / "0.json").write_text('{"keypoints": [[3, 4]], "of": "dog"}')
    return tmp_path


def test_as_many_as_each_class_needs(folder):
    before = content(folder / "in")
    options = ("--count", 3, "--per-class", "--include-originals")
    assert augment("in", "out", *options) == 0
    assert content(folder / "in") == before
    out = content(folder / "out")
    manifest = [json.loads(line) for line in out.pop("manifest.jsonl").splitlines()]
    copies = {"dog/0-0.png", "dog/0-1.png", "dog/0-0.json", "dog/0-1.json"}
    assert set(out) == set(before) | copies
    assert {name: out[name] for name in before} == before
    assert json.loads(out["dog/0-1.json"]) == {"keypoints": [[77, 4]], "of": "dog"}
    dataset = ImageFolder(folder / "out")
    assert [sample.labels for sample in dataset] == [0, 0, 0, 1, 1, 1]
    assert [entry["copy"] for entry in manifest] == [0, 1, -1, -1, -1, -1]

    for index, name in ((1, "dog/0-1.png"), (5, "dog/0.png")):
        assert main(["remake", "out", str(index), "again.png"]) == 0
        assert (folder / "again.png").read_bytes() == out[name]
        assert (folder / "again.json").read_bytes() == out[name.replace("png", "json")]
        (folder / "again.json").unlink()
    assert main(["remake", "out", "1", "in/dog/new.png"]) == 4


def test_how_many_copies(folder):
    def names(copies=1, **options):
        request = DatasetRequest("in", "folder", "folder", **options)
        jobs = make_plan(request, folder / "out", copies).jobs
        return [job.output.relative_to(folder / "out").as_posix() for job in jobs]

    assert names(copies=2)[:3] == ["cat/0-0.png", "cat/0-1.png", "cat/1-0.png"]
    assert names(count=5) == [
        "cat/0-0.png", "cat/0-1.png", "cat/1-0.png", "cat/2-0.png", "dog/0-0.png",
    ]  # fmt: skip
    per_class = [name[:3] for name in names(count=4, per_class=True, suffix=".jpg")]
    assert per_class == ["cat"] * 4 + ["dog"] * 4


def test_without_options_it_is_a_folder_of_pictures(folder):
    """The same pictures, whether the folders are taken for classes or not."""
    assert augment("in", "out", pipeline="mixed") == 0
    (folder / "in" / "alone.png").write_bytes((folder / "in" / "dog" / "0.png").read_bytes())
    assert augment("in", "with", "--copies", "1", pipeline="mixed") == 0
    (folder / "in" / "alone.png").unlink()
    assert augment("in", "dataset", "--count", 4, pipeline="mixed") == 0
    plain, dataset = content(folder / "out"), content(folder / "dataset")
    assert b'"dataset"' not in plain["manifest.jsonl"]
    for kind in (plain, dataset):
        kind.pop("manifest.jsonl")
    assert plain == dataset
    assert set(content(folder / "with")) > set(plain)


def test_splits(folder, capsys):
    for split in ("train", "val"):
        shutil.copytree(folder / "in", folder / "all" / split)
    shutil.rmtree(folder / "all" / "val" / "dog")
    make_folder(folder / "all" / "val", ("emu",), each=2, suffix=".png")
    assert augment("all", "one", "--split", "val") == 0
    assert sorted(content(folder / "one"))[:4] == [
        "manifest.jsonl", "val/cat/0-0.png", "val/cat/1-0.png", "val/cat/2-0.png",
    ]  # fmt: skip
    assert augment("all", "both", "--count", 9, "--format", "folder") == 0
    both = ImageFolder(folder / "both", split=("train", "val"))
    assert both.classes == ("cat", "dog", "emu")
    assert [sample.image.name for sample in both][3:5] == ["train/dog/0-0.png", "val/cat/0-0.png"]
    assert ImageFolder(folder / "both", split="val").classes == ("cat", "emu")
    capsys.readouterr()
    assert main(["inspect", "all", "--workers", "1"]) == 3
    assert capsys.readouterr().out.splitlines()[0] == "9 pictures, 9 labels, 0 without labels"


def test_to_other_formats(folder, capsys):
    assert augment("in", "coco", "--to", "coco", "--include-originals") == 0
    said = capsys.readouterr().err.splitlines()[0]
    assert "in/dog/0.json stays behind: --to takes the classes of pictures" in said
    coco = Coco(folder / "coco" / "annotations.json", folder / "coco" / "images")
    assert coco.classes == ("cat", "dog")
    assert [each.image.name for each in coco][3:5] == ["dog/0-0.png", "cat/0.png"]
    (dog,) = coco[3].labels.annotations
    assert (dog.category, dog.box) == (1, (0, 0, 80, 48))
    assert len({each.id for sample in coco for each in sample.labels.annotations}) == 8
    # A class does not move, so a pipeline gets what it gets of a folder of pictures.
    assert augment("in", "yolo", "--to", "yolo", pipeline="negative") == 0
    assert [sample.labels.boxes.tolist() for sample in Yolo(folder / "yolo")] == [
        [[0, 0, 1, 1]]
    ] * 4


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["cat/a.png", "dog/b.JPG", "dog/note.txt", "note.txt", ".git/c.png"], True),
        (["train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "val/dog/d.gif"], True),
        (["train/cat/a.png", "train/dog/b.png", "val/c.png"], False),
        (["cat/a.png"], False),
        (["cat/a.png", "dog/b.png", "c.png"], False),
        (["2025/may/a.png", "2026/b.png"], False),
        (["cat/a.png", "labels/b.txt"], False),
        (["a.png"], False),
    ],
)
def test_what_folders_are_classes(tmp_path, files, expected):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert is_of_classes(tmp_path) is expected


def test_inspect_and_preview(folder, capsys):
    shutil.copy(folder / "in" / "cat" / "0.png", folder / "in" / "cat" / "twice.png")
    assert main(["inspect", "in", "--workers", "1"]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "5 pictures, 5 labels, 0 without labels"
    assert out.splitlines()[2:] == [
        "cat        4  in 4 pictures",
        "dog        1  in 1 picture",
    ]
    assert err == "aioaug: cat/0.png, cat/twice.png, dog/0.png: the same picture\n"
    sheet = ("--rows", "9", "--cols", "1", "--pipeline", "pipe.py:flip", "--seed", "1")
    assert main(["preview", "in", "in/cat/sheet.png", *sheet, "--workers", "1"]) == 0
    assert main(["preview", "in", "in/cat/sheet.png", *sheet, "--workers", "1"]) == 0
    assert "sheet.png: 5 pictures of 5" in capsys.readouterr().out


def test_pictures_of_formats_that_are_not_written_become_png(folder):
    with Image.open(folder / "in" / "dog" / "0.png") as image:
        image.save(folder / "in" / "dog" / "1.ppm")
        image.save(folder / "in" / "dog" / "2.gif")
    assert augment("in", "out", "--include-originals") == 0
    out = content(folder / "out")
    assert out["dog/1-0.png"] == out["dog/0-0.png"]
    assert {"dog/2-0.png", "dog/1.ppm", "dog/2.gif"} < set(out)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("in/cat", "out", "--format", "folder", "--count", "2"), "has no folders, one for each"),
        (("mixed", "out", "--format", "folder", "--count", "2"), "0.png is in the folder of no cl"),
        (("in", "out", "--split", "val"), "in/val cannot be read: No such"),
        (("in", "out", "--split", "../in"), "'../in' leads out of"),
        (("in", "in/out", "--count", "9"), "in/out and the dataset .* must be apart"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, capsys, options, reason):
    shutil.copytree(folder / "in", folder / "mixed")
    shutil.copy(folder / "in" / "dog" / "0.png", folder / "mixed")
    assert main(["augment", *options]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line), line
    assert not (folder / "out").exists()
