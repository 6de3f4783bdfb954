"""Files of every format: what goes in comes out, and other programs agree on what is in them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from dataclasses import replace

import globox
import imgaug.augmenters as iaa
import numpy as np
import pytest
import yaml
from aioaug.data import (
    Coco,
    CocoWriter,
    Labelme,
    LabelmeWriter,
    LabelRules,
    Masks,
    MasksWriter,
    Voc,
    VocWriter,
    Yolo,
    YoloWriter,
)
from aioaug.errors import UnreadableLabelsError
from labels_testing import (
    HEIGHT,
    WIDTH,
    augmented,
    coco_file,
    picture,
    write,
    yolo_folder,
)
from PIL import Image
from pycocotools.coco import COCO
from tqdm import tqdm

KEYPOINTS = "names: [person]\ntrain: images/train\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
ROBOFLOW = """
train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ['cat', 'dog']

roboflow:
  workspace: us
  license: CC BY 4.0
"""


def coco(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


def by_id(rows):
    return {row["id"]: row for row in rows}


def test_coco_comes_out_as_it_went_in(tmp_path):
    source = coco_file(tmp_path)
    dataset = Coco(source, tmp_path / "images")
    assert (len(dataset), dataset.classes) == (2, ("person", "dog"))
    write(tmp_path / "out", dataset, CocoWriter(dataset.classes, dataset.header))
    before = json.loads(source.read_text())
    after = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert after == before
    Coco(tmp_path / "out" / "annotations.json", tmp_path / "out" / "images")


# pycocotools' own class of arrays is older than NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_agrees_on_what_was_augmented(tmp_path):
    dataset = Coco(coco_file(tmp_path), tmp_path / "images", rules=LabelRules(min_visibility=0))
    writer = CocoWriter(dataset.classes, dataset.header)
    records = []
    for sample in dataset:
        labels, _ = augmented(sample.labels, iaa.Affine(rotate=20, translate_px={"x": 10}))
        records.append(writer.record(sample.image.name, labels))
    (tmp_path / "new.json").write_bytes(writer.dataset_files(records)["annotations.json"])
    theirs = coco(tmp_path / "new.json")
    assert theirs.anns.keys() == {101, 102, 103, 104}
    for each in theirs.anns.values():
        mask = theirs.annToMask(each) if each.get("segmentation") else None
        if isinstance(each.get("segmentation"), dict):
            assert mask.sum() == each["area"]
            rows, columns = np.nonzero(mask)
            x, y, width, height = each["bbox"]
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
        elif mask is not None:
            assert abs(mask.sum() - each["area"]) < 0.05 * each["area"]
    assert theirs.loadAnns(101)[0]["attributes"] == {"occluded": False}
    assert theirs.loadAnns(103)[0]["iscrowd"] == 1


def test_copies_have_numbers_of_their_own(tmp_path):
    dataset = Coco(coco_file(tmp_path), tmp_path / "images")
    first, second = dataset
    entries = [
        (first.image.name, first.labels),
        ("a-0.png", first.labels.as_copy(20, 500)),
        ("new.png", replace(second.labels, id=None)),
    ]
    writer = CocoWriter(dataset.classes, dataset.header)
    files = writer.dataset_files([writer.record(*entry) for entry in entries])
    content = json.loads(files["annotations.json"])
    assert [image["id"] for image in content["images"]] == [7, 20, 21]
    assert [each["id"] for each in content["annotations"]] == [101, 102, 500, 501, 103, 104, 105]
    assert {each["image_id"] for each in content["annotations"]} == {7, 20, 21}


@pytest.mark.parametrize(
    ("task", "header", "lines"),
    [
        ("detect", "names: {0: cat, 1: dog}\ntrain: images/train\nauthor: me\n",
         ["0 0.5 0.5 0.25 0.5", "1 0.1234 0.25 0.125 0.0625"]),
        ("segment", "names: [cat, dog]\ntrain: images/train\n",
         ["0 0.1 0.1 0.5 0.125 0.25 0.75", "1 0.5 0.5 0.75 0.5 0.75 0.875 0.625 1 0.5 0.75"]),
        ("pose", KEYPOINTS, ["0 0.5 0.5 0.25 0.5 0.4 0.3 2 0 0 0"]),
        ("obb", "names: [ship]\ntrain: images/train\n",
         ["0 0.2 0.3 0.4 0.2 0.5 0.4 0.3 0.5"]),
    ],
)  # fmt: skip
def test_yolo_comes_out_as_it_went_in(tmp_path, task, header, lines):
    source = yolo_folder(tmp_path / "in", lines, header)
    dataset = Yolo(source)
    assert dataset.task == task
    write(tmp_path / "out", dataset, YoloWriter(dataset.classes, task, dataset.header))
    written = (tmp_path / "out" / "labels" / "train" / "a.txt").read_text()
    assert written == "".join(f"{line}\n" for line in lines)
    before, after = (
        yaml.safe_load((tmp_path / each / "data.yaml").read_text()) for each in ("in", "out")
    )
    assert after | {"names": before["names"]} == before | {"val": "images/train"}
    again = Yolo(tmp_path / "out" / "data.yaml")
    assert (len(again), again.classes) == (1, dataset.classes)  # though both splits have it

    flipped, _ = augmented(dataset[0].labels, iaa.Fliplr(1.0))
    (text,) = (
        YoloWriter(dataset.classes, task, dataset.header).label_files("a.png", flipped).values()
    )
    for line, old in zip(text.decode().splitlines(), lines, strict=True):
        _, *values = map(float, line.split())
        _, *expected = map(float, old.split())
        if task == "pose":
            assert values[4:] == [0, 0, 0, pytest.approx(0.6), pytest.approx(0.3), 2]
            values, expected = values[:4], expected[:4]
        mirrored = [1 - value if at % 2 == 0 else value for at, value in enumerate(expected)]
        if len(expected) == 4:
            mirrored = [1 - expected[0], *expected[1:]]
        assert values == pytest.approx(mirrored, abs=1e-5)


def test_oriented_boxes_stay_boxes_where_they_are_cut(tmp_path):
    source = yolo_folder(
        tmp_path, ["0 0.2 0.3 0.4 0.2 0.5 0.4 0.3 0.5"], "names: [ship]\ntrain: images/train\n"
    )
    dataset = Yolo(source)
    moved, _ = augmented(dataset[0].labels, iaa.Affine(translate_px={"x": -24}))
    assert len(moved.annotations[0].polygons[0]) > 8
    files = YoloWriter(dataset.classes, "obb").label_files("a.png", moved)
    values = [float(word) for word in files["labels/train/a.txt"].split()[1:]]
    assert len(values) == 8
    assert all(0 <= value <= 1 for value in values)


def test_parts_of_one_thing_are_joined_in_a_line(tmp_path):
    dataset = Coco(coco_file(tmp_path), tmp_path / "images")
    files = YoloWriter(dataset.classes, "segment").label_files("a.png", dataset[0].labels)
    line = files["labels/train/a.txt"].decode().splitlines()[1]
    kind, *values = map(float, line.split())
    xs, ys = np.array(values[::2]) * WIDTH, np.array(values[1::2]) * HEIGHT
    area = 0.5 * abs(np.dot(xs, np.roll(ys, -1)) - np.dot(ys, np.roll(xs, -1)))
    assert (kind, len(xs)) == (1, 10)
    parts = dataset[0].labels.annotations[1].own_area()
    assert area == pytest.approx(parts, rel=0.1)


VOC = """<annotation verified="yes">
  <folder>VOC2012</folder><filename>a.png</filename>
  <source><database>The VOC2007 Database</database></source>
  <size><width>96</width><height>64</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
    <bndbox><xmin>11</xmin><ymin>6</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>12</xmin><ymin>7</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></part>
    <mine kind="odd">kept</mine></object>
  <object><name>cat</name><bndbox><xmax>96</xmax><ymax>64</ymax><xmin>1</xmin><ymin>1</ymin></bndbox></object>
</annotation>"""


def voc_folder(folder, text=VOC):
    picture(folder / "JPEGImages" / "a.png")
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(text)
    return folder


def test_voc_comes_out_as_it_went_in(tmp_path):
    from xml.etree.ElementTree import canonicalize

    dataset = Voc(voc_folder(tmp_path / "in"))
    assert dataset.classes == ("cat", "dog")
    assert [each.box for each in dataset[0].labels.annotations] == [
        (10, 5, 50, 60),
        (0, 0, 96, 64),
    ]
    writer = VocWriter(dataset.classes, dataset.first_pixel)
    out = write(tmp_path / "out", dataset, writer)
    after = canonicalize((out / "Annotations" / "a.xml").read_text(), strip_text=True)
    before = canonicalize(VOC, strip_text=True).replace("VOC2012", "JPEGImages")
    assert after == before
    assert (out / "ImageSets" / "Main" / "train.txt").read_text() == "a\n"
    assert len(Voc(out, split="train")) == 1

    moved, _ = augmented(dataset[0].labels, iaa.Fliplr(1.0))
    (text,) = writer.label_files("a.png", moved).values()
    assert b"<xmin>47</xmin>" in text
    assert b"<xmax>86</xmax>" in text


def test_another_program_reads_yolo_and_voc(tmp_path, monkeypatch):
    # Its threads would live as long as the program, and so would that of its progress bars.
    monkeypatch.setattr(tqdm, "monitor_interval", 0)
    monkeypatch.setattr(
        globox.annotationset, "thread_map", lambda read, files, **_: list(map(read, files))
    )
    dataset = Coco(coco_file(tmp_path), tmp_path / "images")
    boxes = {
        "a": [(10, 20, 30.5, 50), (50, 10, 80, 50)],
        "b": [(5, 10, 40, 30), (5, 10, 40, 30), (1, 1, 3, 3)],
    }

    def check(theirs):
        found = {each.image_id: each.boxes for each in theirs}
        assert {name.rpartition("/")[2].split(".")[0] for name in found} == set(boxes)
        for name, rows in found.items():
            for row, box in zip(rows, boxes[name.rpartition("/")[2].split(".")[0]], strict=True):
                assert (row.xmin, row.ymin, row.xmax, row.ymax) == pytest.approx(box, abs=1e-3)

    def flat(name):
        return name.rpartition("/")[2]

    out = write(tmp_path / "yolo", dataset, YoloWriter(dataset.classes), flat)
    folder = out / "labels" / "train"
    pictures = {"image_folder": out / "images" / "train", "image_extension": ".png"}
    check(globox.AnnotationSet.from_yolo_v5(folder, **pictures))
    out = write(tmp_path / "voc", dataset, VocWriter(dataset.classes, first_pixel=0), flat)
    check(globox.AnnotationSet.from_pascal_voc(out / "Annotations"))
    out = write(tmp_path / "coco", dataset, CocoWriter(dataset.classes), flat)
    check(globox.AnnotationSet.from_coco(out / "annotations.json"))


def labelme_file(folder):
    picture(folder / "a.png")
    encoded = io.BytesIO()
    Image.fromarray(np.eye(5, dtype=bool)).save(encoded, "PNG")

    def shape(kind, points, **more):
        return {"label": kind, "points": points, "group_id": None, "description": "",
                "shape_type": kind, "flags": {"far": True}, "mask": None, **more}  # fmt: skip

    content = {
        "version": "5.4.1", "flags": {"sunny": True}, "imagePath": "..\\elsewhere\\a.png",
        "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH, "mine": [1],
        "shapes": [
            shape("polygon", [[10.5, 10], [40, 12], [30, 50]], group_id=4),
            shape("rectangle", [[40, 50], [10, 20]]),
            shape("circle", [[40, 30], [50, 30]]),
            shape("line", [[1, 2], [30, 40]]),
            shape("linestrip", [[1, 2], [30, 40], [50, 2]]),
            shape("point", [[9, 8]]),
            shape("points", [[9, 8], [20, 30]]),
            shape("mask", [[20, 10], [24, 14]],
                  mask=base64.b64encode(encoded.getvalue()).decode()),
        ],
    }  # fmt: skip
    (folder / "a.json").write_text(json.dumps(content))
    return content


def test_labelme_comes_out_as_it_went_in(tmp_path):
    before = labelme_file(tmp_path / "in")
    dataset = Labelme(tmp_path / "in")
    out = write(tmp_path / "out", dataset, LabelmeWriter(dataset.classes))
    after = json.loads((out / "a.json").read_text())
    shapes = before["shapes"]
    shapes[1]["points"].reverse()  # the upper left corner comes first
    assert {**after, "shapes": 0} == {**before, "shapes": 0, "imagePath": "a.png"}
    for old, new in zip(shapes, after["shapes"], strict=True):
        if old["shape_type"] != "mask":
            old = {name: value for name, value in old.items() if name != "mask"}
            assert new == old
    again = Labelme(out)
    assert again[0].labels.annotations[-1].mask == dataset[0].labels.annotations[-1].mask
    flipped, _ = augmented(dataset[0].labels, iaa.Fliplr(1.0))
    (text,) = LabelmeWriter(dataset.classes).label_files("a.png", flipped).values()
    shapes = json.loads(text)["shapes"]
    assert [shape["shape_type"] for shape in shapes] == [each["label"] for each in shapes]
    assert shapes[2]["points"] == [[56, 30], [46, 30]]
    turned, _ = augmented(dataset[0].labels, iaa.Affine(shear=20))
    (text,) = LabelmeWriter(dataset.classes).label_files("a.png", turned).values()
    assert json.loads(text)["shapes"][2]["shape_type"] == "polygon"


def test_points_and_lines_are_left_out_where_there_are_none(tmp_path):
    labelme_file(tmp_path)
    dataset = Labelme(tmp_path)
    labels = dataset[0].labels
    (text,) = YoloWriter(dataset.classes).label_files("a.png", labels).values()
    kinds = [dataset.classes[int(line.split()[0])] for line in text.decode().splitlines()]
    assert kinds == ["polygon", "rectangle", "circle", "mask"]
    (text,) = VocWriter(dataset.classes).label_files("a.png", labels).values()
    assert text.count(b"<object>") == 4


def masks_folder(folder, palette=None):
    picture(folder / "images" / "a.png")
    numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
    numbers[10:30, 20:60] = 1
    numbers[20:40, 50:90] = 2
    numbers[0, 0] = 255
    made = Image.fromarray(numbers)
    if palette:
        made.putpalette(palette)
    (folder / "masks").mkdir()
    made.save(folder / "masks" / "a.png")
    return numbers


@pytest.mark.parametrize("palette", [None, bytes(range(256)) * 3])
def test_masks_come_out_as_they_went_in(tmp_path, palette):
    numbers = masks_folder(tmp_path, palette)
    dataset = Masks(tmp_path / "images", tmp_path / "masks")
    writer = MasksWriter(dataset.classes, dataset.palette, first_value=dataset.first_value)
    out = write(tmp_path / "out", dataset, writer)
    with Image.open(out / "masks" / "a.png") as image:
        assert np.array_equal(image, numbers)
        assert image.mode == ("P" if palette else "L")
        assert palette is None or bytes(image.getpalette()) == palette
    moved, _ = augmented(dataset[0].labels, iaa.Rot90(1, keep_size=False))
    (data,) = writer.label_files("a.png", moved).values()
    assert np.array_equal(Image.open(io.BytesIO(data)), np.rot90(numbers, -1))


@pytest.mark.parametrize("name", ["{0}/a.png", "a_{0}.png"])
def test_masks_of_single_classes(tmp_path, name):
    numbers = masks_folder(tmp_path)
    (tmp_path / "masks" / "a.png").unlink()
    for value, kind in enumerate(("cat", "dog"), 1):
        place = tmp_path / "masks" / name.format(kind)
        place.parent.mkdir(exist_ok=True)
        Image.fromarray((numbers == value).astype(np.uint8) * 255).save(place)
    dataset = Masks(tmp_path / "images", tmp_path / "masks")
    assert dataset.classes == ("cat", "dog")
    moved, _ = augmented(dataset[0].labels, iaa.Flipud(1.0))
    files = MasksWriter(dataset.classes, per_class=True).label_files("a.png", moved)
    assert files.keys() == {"masks/cat/a.png", "masks/dog/a.png"}
    dog = np.asarray(Image.open(io.BytesIO(files["masks/dog/a.png"])))
    assert np.array_equal(dog != 0, (numbers == 2)[::-1])


def test_shapes_become_masks(tmp_path):
    dataset = Coco(coco_file(tmp_path), tmp_path / "images")
    files = MasksWriter(dataset.classes).label_files("a.png", dataset[0].labels)
    numbers = np.asarray(Image.open(io.BytesIO(files["masks/a.png"])))
    assert set(np.unique(numbers)) == {0, 1, 2}
    assert (numbers[10:20, 50:80] == 2).all()
    assert (numbers[:10] == 0).all()


def test_files_of_cvat(tmp_path):
    """Its VOC has fractions, and `attributes` of an object."""
    picture(tmp_path / "JPEGImages" / "a.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        "<annotation><folder/><filename>a.png</filename><source><database>Unknown</database>"
        "</source><size><width>96</width><height>64</height><depth/></size><segmented>0</segmented>"
        "<object><name>cat</name><occluded>0</occluded><bndbox><xmin>0.0</xmin><ymin>10.52</ymin>"
        "<xmax>20.0</xmax><ymax>30.5</ymax></bndbox><attributes><attribute><name>rotation</name>"
        "<value>0.0</value></attribute></attributes></object></annotation>"
    )
    dataset = Voc(tmp_path)
    assert dataset.first_pixel == 0
    assert dataset[0].labels.annotations[0].box == (0, 10.52, 20, 30.5)
    (text,) = VocWriter(dataset.classes, 0).label_files("a.png", dataset[0].labels).values()
    assert b"<ymin>10.52</ymin>" in text
    assert b"<name>rotation</name>" in text

    # Its YOLO lists the pictures in text files.
    source = yolo_folder(
        tmp_path / "yolo",
        ["0 0.5 0.5 0.25 0.5"],
        "path: ./\nnames:\n  0: cat\ntrain: train.txt\n",
    )
    (source / "train.txt").write_text("images/train/a.png\n")
    assert [sample.image.name for sample in Yolo(source)] == ["images/train/a.png"]


def test_files_of_label_studio(tmp_path):
    yolo_folder(tmp_path, ["1 0.5 0.5 0.25 0.5"], "", name="images/1f-a.png")
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "notes.json").write_text('{"categories": []}')
    dataset = Yolo(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert dataset[0].labels.categories.tolist() == [1]

    picture(tmp_path / "voc" / "images" / "1f-a.png")
    (tmp_path / "voc" / "Annotations").mkdir()
    (tmp_path / "voc" / "Annotations" / "1f-a.xml").write_text(
        VOC.replace("a.png", "1f-a").replace('verified="yes"', "")
    )
    assert Voc(tmp_path / "voc")[0].image.name == "images/1f-a.png"


def test_files_of_vgg_image_annotator(tmp_path):
    """Its COCO has numbers of pictures as text, and a polygon that is no list of polygons."""
    picture(tmp_path / "a.png")
    content = {
        "info": {}, "licenses": [], "categories": [{"supercategory": "kind", "id": 1, "name": "x"}],
        "images": [{"id": 0, "width": WIDTH, "height": HEIGHT, "file_name": "a.png"}],
        "annotations": [{"id": 0, "image_id": "0", "category_id": 1, "iscrowd": 0, "area": 800,
                         "bbox": [10, 10, 40, 20],
                         "segmentation": [10, 10, 50, 10, 50, 30, 10, 30]}],
    }  # fmt: skip
    (tmp_path / "via.json").write_text(json.dumps(content))
    (annotation,) = Coco(tmp_path / "via.json")[0].labels.annotations
    assert annotation.polygons == ((10, 10, 50, 10, 50, 30, 10, 30),)


def test_files_of_roboflow(tmp_path):
    yolo_folder(tmp_path, ["0 0.5 0.5 0.25 0.5"], ROBOFLOW, name="train/images/a_jpg.rf.0.png")
    yolo_folder(tmp_path, [], ROBOFLOW, name="valid/images/b.png")
    dataset = Yolo(tmp_path / "data.yaml")
    assert [sample.image.name for sample in dataset] == [
        "train/images/a_jpg.rf.0.png",
        "valid/images/b.png",
    ]
    assert dataset[0].labels.categories.tolist() == [0]
    writer = YoloWriter(dataset.classes, dataset.task, dataset.header)
    out = write(tmp_path / "out", dataset, writer)
    assert (out / "labels" / "val" / "b.txt").read_text() == ""
    header = yaml.safe_load((out / "data.yaml").read_text())
    assert header["roboflow"] == {"workspace": "us", "license": "CC BY 4.0"}
    assert len(Yolo(out, split="val")) == 1


def test_a_picture_of_another_size_than_its_labels_say_is_refused(tmp_path):
    labels = Coco(coco_file(tmp_path), tmp_path / "images")[0].labels
    with pytest.raises(UnreadableLabelsError, match=r"image 7: .* 96 x 64 .* has 20 x 10"):
        labels.columns((10, 20, 3))
