"""Small labelled pictures, and what an augmenter makes of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from aioaug import _pictures
from aioaug.augmenters.batch_forms import augment_with
from aioaug.data import (
    Coco,
    LabelmeWriter,
    MasksWriter,
    ViaWriter,
    VocWriter,
    YoloWriter,
)
from imgaug.augmentables.batches import UnnormalizedBatch
from PIL import Image
from skimage import data as photographs

WIDTH, HEIGHT = 96, 64
PHOTO = np.array(Image.fromarray(photographs.astronaut()).resize((WIDTH, HEIGHT)))


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PHOTO).save(path)
    return path


def augmented(labels, augmenter, pixels=PHOTO):
    """The labels, and the picture, after an augmenter moved both."""
    columns = labels.columns(pixels.shape)
    batch = UnnormalizedBatch(images=[pixels], **{name: [one] for name, one in columns.items()})
    done = augment_with(augmenter, batch)
    picture = done.images_aug[0]
    moved = {name: getattr(done, f"{name}_aug")[0] for name in columns}
    return labels.moved(moved, picture.shape), picture


def write(folder, dataset, writer, rename=None):
    """The dataset as another one in `folder`, as a program would write it."""
    records = []
    for sample in dataset:
        pixels = _pictures.decode(sample.image.read()).pixels
        labels = sample.labels.in_pixels(pixels.shape)
        name = sample.image.name if rename is None else rename(sample.image.name)
        records.append(writer.record(name, labels))
        place = folder / writer.place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(sample.image.read())
        save(folder, writer.label_files(name, labels))
    save(folder, writer.dataset_files(records))
    return folder


def save(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def coco_file(folder):
    """A file with everything that COCO knows, and keys that it does not."""
    picture(folder / "images" / "a.png")
    picture(folder / "images" / "sub" / "b.png")
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:30, 5:40] = True
    mask[15:20, 10:20] = False
    content = {
        "info": {"year": 2024},
        "licenses": [{"id": 1, "name": "CC0"}],
        "images": [
            {"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, "license": 1},
            {"id": 9, "file_name": "sub/b.png", "width": WIDTH, "height": HEIGHT, "coco_url": ""},
        ],
        "categories": [
            {"id": 3, "name": "person", "supercategory": "animal",
             "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2]]},
            {"id": 18, "name": "dog", "supercategory": "animal"},
        ],
        "annotations": [
            {"id": 101, "image_id": 7, "category_id": 3, "iscrowd": 0, "area": 300.0,
             "bbox": [10, 20, 20.5, 30], "keypoints": [15, 25, 2, 12.5, 22, 1, 0, 0, 0],
             "num_keypoints": 2, "attributes": {"occluded": False}},
            {"id": 102, "image_id": 7, "category_id": 18, "iscrowd": 0, "area": 350.0,
             "bbox": [50, 10, 30, 40], "segmentation": [
                 [50, 10, 80, 10, 80, 20, 50, 20], [60, 45, 65, 50, 60, 50, 58.5, 46]]},
            {"id": 103, "image_id": 9, "category_id": 18, "iscrowd": 1, "area": 650.0,
             "bbox": [5, 10, 35, 20], "segmentation": rle(mask, listed=True)},
            {"id": 104, "image_id": 9, "category_id": 18, "iscrowd": 0, "area": 650.0,
             "bbox": [5, 10, 35, 20], "segmentation": rle(mask), "score": 0.5},
            {"id": 105, "image_id": 9, "category_id": 3, "iscrowd": 0, "area": 4.0,
             "bbox": [1, 1, 2, 2], "segmentation": []},
        ],
    }  # fmt: skip
    area = 10 * 30 + 0.5 * abs(60 * 50 - 65 * 45 + 65 * 50 - 60 * 50 + 60 * 46 - 58.5 * 50
                               + 58.5 * 45 - 60 * 46)  # fmt: skip
    content["annotations"][1]["area"] = area
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def rle(mask, listed=False):
    """A mask as pycocotools writes it."""
    from pycocotools import mask as coco_mask

    if not listed:
        made = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": made["size"], "counts": made["counts"].decode()}
    flat = mask.ravel(order="F").astype(int).tolist()
    counts, last = [0], 0
    for value in flat:
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def folders_of_formats(folder):
    """A folder of each format below this one, with labels of all kinds, by the name of the format.

    Names of pictures have characters that mean something else in a URL, or in a pattern of names.
    """
    dataset = Coco(coco_file(folder / "coco"), folder / "coco" / "images")
    boxes = [
        replace(each, labels=replace(each.labels, annotations=each.labels.annotations[:2]))
        for each in dataset
    ]
    writers = {
        "yolo": YoloWriter(dataset.classes, "segment"),
        "voc": VocWriter(dataset.classes, masks=("SegmentationClass", "SegmentationObject")),
        "labelme": LabelmeWriter(dataset.classes),
        "via": ViaWriter(dataset.classes),
        "masks": MasksWriter(dataset.classes),
    }
    for kind, writer in writers.items():
        write(folder / kind, boxes, writer, lambda name: name.replace("a.png", "a b#50%[1].png"))
    notes = folder / "sidecars" / "a%20b.json"
    picture(notes.with_suffix(".png"))
    notes.write_text('{"bounding_boxes": [[1, 2, 30, 40, "cat"]]}')
    return {kind: folder / kind for kind in ("coco", *writers, "sidecars")}


def yolo_folder(folder, lines, header, name="images/train/a.png"):
    picture(folder / name)
    text = folder / name.replace("images", "labels")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.with_suffix(".txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / "data.yaml").write_text(header)
    return Path(folder)


JUNK = [None, True, -1, 0, 3.7, 1e308, 10**400, "", "x", "../a", "/etc", "\0", "a" * 300, math.nan]
JUNK += [[], [1], [[]], [[1, 2], [3]], {}, {"a": 1}, [None], ".", "..", [1e308] * 6, [[1e308] * 6]]


def with_junk(text, count):
    """The JSON in a text, so many times with something else in one of its places."""
    random = Random(5)
    for _ in range(count):
        content = json.loads(text)
        *way, last = random.choice(list(_places(content)))
        part = content
        for key in way:
            part = part[key]
        part[last] = random.choice(JUNK)
        yield json.dumps(content)


def _places(value, place=()):
    """Where there is anything in JSON."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*place, key)
            yield from _places(value[key], (*place, key))
