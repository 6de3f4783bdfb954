"""What is written is what supervision and pycocotools read there, which share no code with ours."""

from __future__ import annotations

from dataclasses import replace

import imgaug.augmenters as iaa
import numpy as np
import pytest
import supervision
from aioaug.data import Coco, CocoWriter, Voc, VocWriter, Yolo, YoloWriter
from aioaug.data.masks import pixels_of
from labels_testing import HEIGHT, WIDTH, augmented, coco_file, save, write, yolo_folder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

HEADER = "names: [cat, dog]\ntrain: images/train\n"
SEGMENTS = ["0 0.1 0.1 0.5 0.125 0.25 0.75", "1 0.5 0.5 0.75 0.5 0.75 0.875 0.625 1 0.5 0.75"]
OBLIQUE = ["1 0.2 0.3 0.4 0.2 0.5 0.4 0.3 0.5", "0 0.6 0.6 0.8 0.6 0.8 0.9 0.6 0.9"]
POSES = ["1 0.5 0.5 0.25 0.5 0.4 0.3 2 0 0 0"]
TURN = iaa.Sequential([iaa.Fliplr(1.0), iaa.Affine(rotate=15)])


@pytest.fixture(autouse=True)
def no_monitor(monkeypatch):
    """The thread of its progress bars would live as long as the program."""
    monkeypatch.setattr(tqdm, "monitor_interval", 0)


def yolo(folder, **options):
    place = {"images_directory_path": folder / "images" / "train",
             "annotations_directory_path": folder / "labels" / "train",
             "data_yaml_path": folder / "data.yaml"}  # fmt: skip
    return detections(supervision.DetectionDataset.from_yolo(
        **{name: str(path) for name, path in place.items()}, **options))  # fmt: skip


def detections(dataset):
    """The classes, and what is in each picture by its name."""
    found = {path.rpartition("/")[2]: each for path, _, each in dataset}
    return dataset.classes, found


def turned(folder, dataset, writer):
    """The dataset with all of its labels turned; its pictures stay, for nobody looks at them."""
    write(folder, dataset, writer)
    moved = {}
    for sample in dataset:
        name = sample.image.name
        moved[name.rpartition("/")[2]], _ = augmented(sample.labels, TURN)
        save(folder, writer.label_files(name, moved[name.rpartition("/")[2]]))
    return moved


def test_yolos_segments(tmp_path):
    dataset = Yolo(yolo_folder(tmp_path / "in", SEGMENTS, HEADER))
    labels = turned(tmp_path / "out", dataset, YoloWriter(dataset.classes, "segment"))["a.png"]
    classes, found = yolo(tmp_path / "out")
    assert classes == ["cat", "dog"]
    assert found["a.png"].class_id.tolist() == labels.categories.tolist()
    for theirs, each in zip(found["a.png"].mask, labels.annotations, strict=True):
        ours = pixels_of(each, (HEIGHT, WIDTH))
        # Pixels that an edge goes through are in or out; so many differ at most.
        edge = 2 * sum(sides(each.polygons[0]))
        assert np.count_nonzero(theirs ^ ours) < edge
        assert np.count_nonzero(theirs & ours) > 0.8 * np.count_nonzero(ours)


def sides(outline):
    points = np.array(outline).reshape(-1, 2)
    return np.hypot(*(points - np.roll(points, 1, axis=0)).T)


def test_yolos_oriented_boxes(tmp_path):
    dataset = Yolo(yolo_folder(tmp_path / "in", OBLIQUE, HEADER), task="obb")
    labels = turned(tmp_path / "out", dataset, YoloWriter(dataset.classes, "obb"))["a.png"]
    _, found = yolo(tmp_path / "out", is_obb=True)
    assert found["a.png"].class_id.tolist() == [1, 0]
    corners = found["a.png"].data["xyxyxyxy"].reshape(2, 8)
    ours = [each.polygons[0] for each in labels.annotations]
    assert corners == pytest.approx(np.array(ours), abs=1e-3)


def test_yolos_poses(tmp_path):
    """Their boxes and classes; supervision leaves out the keypoints."""
    header = HEADER + "kpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    dataset = Yolo(yolo_folder(tmp_path / "in", POSES, header))
    writer = YoloWriter(dataset.classes, "pose", dataset.header)
    labels = turned(tmp_path / "out", dataset, writer)["a.png"]
    _, found = yolo(tmp_path / "out")
    assert found["a.png"].class_id.tolist() == [1]
    assert found["a.png"].xyxy == pytest.approx(labels.boxes, abs=1e-3)


def test_cocos_keypoints(tmp_path, capsys):
    """pycocotools finds those that are written where ours are, by a distance of its own."""
    dataset = Coco(coco_file(tmp_path / "in"), tmp_path / "in" / "images")
    writer = CocoWriter(dataset.classes, dataset.header)
    moved = {}
    for sample in dataset:
        labels = sample.labels
        people = tuple(each for each in labels.annotations if each.keypoints)
        moved[labels.id], _ = augmented(replace(labels, annotations=people), TURN)
    records = [writer.record(f"{number}.png", labels) for number, labels in moved.items()]
    save(tmp_path / "out", writer.dataset_files(records))
    theirs = COCO(tmp_path / "out" / "annotations.json")
    people = [(number, each) for number, labels in moved.items() for each in labels.annotations]

    def precision(shift):
        """How well keypoints of ours are found that are so many pixels away."""
        rows = [
            {"image_id": number, "category_id": 3, "score": 1.0,
             "keypoints": [at for x, y, _ in each.keypoints for at in (x + shift, y, 1)]}
            for number, each in people
        ]  # fmt: skip
        judge = COCOeval(theirs, theirs.loadRes(rows), "keypoints")
        judge.params.kpt_oks_sigmas = np.full(3, 0.05)
        judge.evaluate()
        judge.accumulate()
        return judge.eval["precision"][-1, 0, 0, 0, -1]  # of the strictest measure

    assert len(people) == 1
    assert precision(0) == pytest.approx(1)
    assert precision(3) < 0.5


@pytest.mark.parametrize("first_pixel", [1, 0])
def test_vocs_boxes(tmp_path, first_pixel):
    dataset = Coco(coco_file(tmp_path / "in"), tmp_path / "in" / "images")
    writer = VocWriter(dataset.classes, first_pixel)
    labels = turned(tmp_path / "out", dataset, writer)
    theirs = supervision.DetectionDataset.from_pascal_voc(
        str(tmp_path / "out" / "JPEGImages"), str(tmp_path / "out" / "Annotations")
    )
    classes, found = detections(theirs)
    ours = labels["a.png"]
    names = [classes[place] for place in found["a.png"].class_id]
    assert names == [dataset.classes[place] for place in ours.categories]
    boxes = found["a.png"].xyxy
    if not first_pixel:
        boxes = np.add(boxes, [1, 1, 0, 0])  # it takes all numbers for VOC's own
    assert boxes == pytest.approx(ours.boxes, abs=0.5 if first_pixel else 1e-3)
    assert Voc(tmp_path / "out")[0].labels.boxes == pytest.approx(boxes, abs=1e-3)
