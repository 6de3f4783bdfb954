"""`aioaug augment` of labelled datasets: each format in and out, resumed, and made again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from aioaug.cli import main
from aioaug.cli.dataset_plan import DatasetRequest, make_plan
from aioaug.data import Coco, Labelme, Masks, Voc, Yolo
from cli_testing import augment, content
from data_testing import make_folder
from labels_testing import coco_file, picture, rle, yolo_folder
from PIL import Image

FLIP = """
import time
import imgaug.augmenters as iaa
flip = iaa.Fliplr(1.0)
class Slow(iaa.Sequential):
    def augment_batch_(self, *args, **kwargs):
        time.sleep(0.01)
        return super().augment_batch_(*args, **kwargs)
slow = Slow([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.AdditiveGaussianNoise(9)])
"""
NAMES = "names: [cat, dog]\ntrain: images/train\nval: images/val\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipe.py").write_text(FLIP)
    return tmp_path


def test_coco_with_its_originals(folder, capsys):
    coco_file(folder / "in")
    before = content(folder / "in")
    assert augment("in", "out", "--copies", 2, "--include-originals") == 0
    assert content(folder / "in") == before
    old = json.loads(before["instances.json"])
    new = json.loads((folder / "out" / "annotations.json").read_text())
    assert new["images"][-2:] == old["images"]
    assert new["annotations"][-5:] == old["annotations"]
    assert [each["id"] for each in new["images"]] == [10, 11, 12, 13, 7, 9]
    assert new["categories"] == old["categories"]
    assert (folder / "out" / "images" / "a.png").read_bytes() == before["images/a.png"]
    x, y, width, height = old["annotations"][0]["bbox"]
    assert new["annotations"][0]["bbox"] == [96 - x - width, y, width, height]
    assert len(Coco(folder / "out" / "annotations.json", folder / "out" / "images")) == 6

    assert main(["remake", "out", "1", "again.png"]) == 0
    assert (folder / "again.png").read_bytes() == (folder / "out/images/a-1.png").read_bytes()
    record = json.loads((folder / "again.json").read_text())
    rows = [each for each in new["annotations"] if each["image_id"] == 11]
    assert [{**each, "image_id": 11} for each in record["annotations"]] == rows
    assert main(["remake", "out", "1", "in/images/b.png"]) == 4
    assert "is not written to" in capsys.readouterr().err


def test_what_was_interrupted_goes_on(folder):
    coco_file(folder / "in")
    options = ("--copies", 4, "--to", "voc")
    assert augment("in", "out", *options, pipeline="slow") == 0
    whole = content(folder / "out")
    lines = whole["manifest.jsonl"].splitlines(keepends=True)
    (folder / "out" / "manifest.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (folder / "out" / "ImageSets" / "Main" / "train.txt").unlink()
    (folder / "out" / "Annotations" / "a-3.xml").write_bytes(b"<half")
    (folder / "out" / "Annotations" / ".aioaug-0123456789abcdef.xml").touch()
    assert augment("in", "out", *options, pipeline="slow") == 0
    assert content(folder / "out") == whole
    assert len(Voc(folder / "out")) == 8


@pytest.mark.slow
@pytest.mark.parametrize("to", ["coco", "yolo", "folder"])
def test_killed_in_the_middle(folder, to):
    if to == "folder":
        make_folder(folder / "in", each=1)
        (folder / "in" / "cat" / "0.json").write_text('{"keypoints": [[3, 4]]}')
    else:
        coco_file(folder / "in")
    arguments = ["augment", "in", "out", "--to", to, "--copies", "250", "--seed", "3",
                 "--pipeline", "pipe.py:slow", "--workers", "2"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "aioaug", *arguments], start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    manifest = folder / "out" / "manifest.jsonl"
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < 100:
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert manifest.read_bytes().count(b"\n") < 500
    assert main(arguments) == 0
    arguments[2] = "whole"
    assert main(arguments) == 0
    assert content(folder / "out") == content(folder / "whole")


def test_yolo_with_its_splits(folder):
    yolo_folder(folder / "in", ["0 0.25 0.5 0.125 0.25"], NAMES)
    yolo_folder(folder / "in", ["1 0.5 0.5 0.25 0.25"], NAMES, name="images/val/b.png")
    assert augment("in", "out", "--include-originals") == 0
    out = content(folder / "out")
    assert out["labels/train/a-0.txt"] == b"0 0.75 0.5 0.125 0.25\n"
    assert out["labels/val/b.txt"] == b"1 0.5 0.5 0.25 0.25\n"
    dataset = Yolo(folder / "out")
    assert [len(Yolo(folder / "out", split=each)) for each in ("train", "val")] == [2, 2]
    assert dataset.classes == ("cat", "dog")

    assert augment("in", "one", "--split", "val", "--to", "labelme", "--suffix", "jpg") == 0
    (sample,) = Labelme(folder / "one")
    assert sample.image.name == "val/b-0.jpg"
    assert sample.labels.annotations[0].box == (36, 24, 60, 40)

    assert main(["remake", "out", "0", "new.png"]) == 0
    assert (folder / "new.txt").read_bytes() == out["labels/train/a-0.txt"]


def test_a_project_of_vgg_image_annotator(folder):
    picture(folder / "in" / "a.png")
    shape = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 15}
    regions = [{"shape_attributes": shape, "region_attributes": {"kind": "cat"}}]
    row = {"filename": "a.png", "size": 1, "file_attributes": {"by": "me"}, "regions": regions}
    text = json.dumps({"_via_img_metadata": {"a.png1": row}, "_via_settings": {}})
    (folder / "in" / "via_project.json").write_text(text)
    assert augment("in", "out") == 0
    new = json.loads((folder / "out" / "via_project.json").read_text())
    (row,) = new["_via_img_metadata"].values()
    assert row["regions"][0]["shape_attributes"] == shape | {"x": 56}
    assert row["file_attributes"] == {"by": "me"}
    assert augment("in/via_project.json", "yolo", "--to", "yolo") == 0
    assert len(Yolo(folder / "yolo")[0].labels.annotations) == 1
    assert main(["remake", "out", "0", "new.png"]) == 0
    assert json.loads((folder / "new.json").read_text()) == row


def test_masks(folder):
    picture(folder / "in" / "images" / "a.png")
    (folder / "in" / "masks").mkdir()
    numbers = Image.new("L", (96, 64))
    numbers.paste(2, (10, 10, 20, 30))
    numbers.save(folder / "in" / "masks" / "a.png")
    (folder / "in" / "classes.txt").write_text("background\ncat\ndog\n")
    assert augment("in", "out") == 0
    (sample,) = dataset = Masks(folder / "out" / "images", folder / "out" / "masks")
    assert dataset.classes == ("background", "cat", "dog")
    (annotation,) = sample.labels.in_pixels((64, 96)).annotations
    assert (annotation.category, annotation.mask.box()) == (2, (76, 10, 86, 30))
    assert augment("in", "coco", "--to", "coco") == 0
    (row,) = json.loads((folder / "coco" / "annotations.json").read_text())["annotations"]
    assert row["bbox"] == [76, 10, 10, 20]
    assert row["segmentation"] == rle(annotation.mask.pixels())
    assert augment("in", "yolo", "--to", "yolo") == 0
    (annotation,) = Yolo(folder / "yolo")[0].labels.in_pixels((64, 96)).annotations
    assert annotation.bounds() == pytest.approx((76, 10, 86, 30), abs=0.5)


def test_as_many_as_are_wanted(folder):
    coco_file(folder / "in")

    def names(**options):
        request = DatasetRequest("in", "coco", "coco", **options)
        return [job.name for job in make_plan(request, folder / "out", 1).jobs]

    assert names(count=3) == ["a-0.png", "a-1.png", "sub/b-0.png"]
    # There are two persons and three dogs, and the pictures have one and one, and one and two.
    assert names(count=3, per_class=True) == ["a-0.png", "a-1.png", "sub/b-0.png"]
    assert names(count=3, per_class=True, originals=True) == ["a-0.png", "a.png", "sub/b.png"]
    assert names(count=2, per_class=True, originals=True) == ["a.png", "sub/b.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("in", "in/out"), 4, "in/out and the dataset .* must be apart"),
        (("in", "out", "--format", "voc"), 4, "there are no XML files"),
        (("in", "out", "--split", "val"), 4, "in: there is no split 'val'"),
        (("in", "out", "--per-class"), 2, "--per-class needs --count"),
        (("in", "pipe.py", "out", "--format", "coco"), 4, "takes one dataset, got 2"),
        (("in", "pipe.py", "out", "--to", "yolo"), 4, "--to needs one dataset .* got 2 arguments"),
        (("in", "pipe.py", "out", "--count", "3"), 2, "are for datasets"),
        (("in", "out", "--to", "folder"), 4, "--to folder: only of pictures that are in"),
        (("nowhere", "out", "--format", "coco"), 4, "there is no file or folder nowhere"),
        (("in/images", "out", "--to", "coco"), 4, "--to needs one dataset .* got in/images"),
        (("in", "linked"), 4, "linked/images leads out of linked"),
    ],
)
def test_what_cannot_be_done_is_refused(folder, capsys, arguments, code, reason):
    coco_file(folder / "in")
    (folder / "linked").mkdir()
    (folder / "linked" / "images").symlink_to(folder / "elsewhere")
    (folder / "elsewhere").mkdir()
    assert main(["augment", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line), line
    assert not list((folder / "elsewhere").iterdir())
    assert not (folder / "out").exists()


def test_labels_that_stay_behind_are_told_of(folder, capsys):
    yolo_folder(folder / "in", ["0 0.25 0.5 0.125 0.25"], NAMES)
    assert augment("in/images", "out") == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert "images/train/a.png has labels in in/labels/train/a.txt, which are not" in line
    assert augment("in/images", "again", "--format", "folder") == 0
    assert capsys.readouterr().err == "aioaug: seed 3\n"


def test_a_preview_names_what_it_shows(folder, capsys):
    coco_file(folder / "in")
    plain = ("preview", "in/images", "plain.png", "--rows", "2", "--cols", "1", "--workers", "1")
    assert main([*plain, "--pipeline", "pipe.py:flip", "--seed", "1"]) == 0
    named = ("preview", "in", "named.png", *plain[3:])
    assert main([*named, "--pipeline", "pipe.py:flip", "--seed", "1"]) == 0
    assert "named.png: 2 pictures of 2" in capsys.readouterr().out
    with Image.open("plain.png") as without, Image.open("named.png") as sheet:
        assert sheet.size == without.size
        assert sheet.tobytes() != without.tobytes()
    # Neither the numbers that imgaug would write at boxes, nor points that are not in the file.
    labels = Coco(folder / "in" / "instances.json", folder / "in" / "images")[0].labels
    shown = labels.shown((64, 96, 3))
    assert [box.label for box in shown["bounding_boxes"]] == [None]
    assert len(shown["keypoints"]) == 2
    assert labels.captions(["person", "dog"]) == [("person", 10, 20), ("dog", 50, 10)]


def test_inspect(folder, capsys):
    path = coco_file(folder / "in")
    assert main(["inspect", "in", "--workers", "1"]) == 3
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "2 pictures, 5 labels, 0 without labels",
        "sizes 96 x 64 to 96 x 64, median 96 x 64, 1 different",
        "dog           3  in 2 pictures",
        "person        2  in 2 pictures",
    ]
    assert err.splitlines() == ["aioaug: a.png, sub/b.png: the same picture"]

    with Image.open(folder / "in" / "images" / "a.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).resize((96, 64)).save("in/images/a.png")
    assert main(["inspect", "in", "--workers", "1"]) == 0
    capsys.readouterr()
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [90, 20, 20, 30]
    content["annotations"][1] |= {"bbox": [10, 10, 0, 5], "segmentation": []}
    content["annotations"][2]["segmentation"] = content["annotations"][3]["segmentation"]
    away = {"image_id": 7, "bbox": [1, 1, 9, 9], "category_id": 18}
    content["annotations"] += [
        {"id": 200, **away, "segmentation": [[1, 1, 9, 1, 900, 9]]},
        {"id": 201, **away, "keypoints": [5, -50, 2, 0, 0, 0]},
    ]
    content["images"].append({**content["images"][1], "id": 10})
    path.write_text(json.dumps(content))
    (folder / "in" / "images" / "sub" / "b.png").write_bytes(b"no picture")
    assert main(["inspect", "in", "--workers", "1"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "aioaug: a.png: dog: has no area",
        "aioaug: a.png: dog: out of the picture: 1 1 900 9 in 96 x 64",
        "aioaug: a.png: dog: out of the picture: 5 -50 5 -50 in 96 x 64",
        "aioaug: a.png: person: out of the picture: 90 20 110 50 in 96 x 64",
        "aioaug: sub/b.png: is listed more than once",
        "aioaug: sub/b.png: is not a picture",
    ]
    assert main(["inspect", "nowhere"]) == 4
