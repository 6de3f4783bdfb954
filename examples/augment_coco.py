"""A COCO dataset in, an augmented one out: boxes, polygons and keypoints move with the pictures."""

import json
import os
import tempfile
from pathlib import Path

import aioaug.cli
import cv2
import imgaug.augmenters as iaa
from aioaug.data import Coco
from skimage import data

COPIES = int(os.environ.get("BATCHES", "4"))

MILD = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-15, 15)), iaa.Multiply((0.8, 1.2))])

CATEGORIES = [
    {"id": 1, "name": "face", "keypoints": ["left_eye", "right_eye"], "skeleton": []},
    {"id": 2, "name": "cup"},
]
CUP = [194, 80, 230, 30, 340, 15, 425, 60, 430, 180, 400, 250, 330, 300, 250, 290, 210, 230]
LABELS = {
    "astronaut": {
        "category_id": 1,
        "bbox": [173, 45, 105, 160],
        "keypoints": [256, 119, 2, 220, 123, 2],
    },
    "chelsea": {
        "category_id": 1,
        "bbox": [100, 20, 300, 270],
        "keypoints": [334, 132, 2, 183, 102, 2],
    },
    "coffee": {"category_id": 2, "bbox": [194, 15, 236, 285], "segmentation": [CUP]},
}


def make_dataset(folder: Path) -> Path:
    """Three photographs, two with a face and one with a cup, as an annotation tool saves them."""
    folder.mkdir()
    images, annotations = [], []
    for number, name in enumerate(LABELS, 1):
        picture = getattr(data, name)()
        cv2.imwrite(str(folder / f"{name}.png"), picture[:, :, ::-1])
        height, width = picture.shape[:2]
        images.append({"id": number, "file_name": f"{name}.png", "width": width, "height": height})
        annotations.append({"id": number, "image_id": number, "iscrowd": 0, **LABELS[name]})
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = make_dataset(Path(folder, "in")), Path(folder, "out")
        options = ("--copies", COPIES, "--seed", 1, "--pipeline", f"{__file__}:MILD")
        aioaug.cli.main(["augment", *map(str, (source, out, *options)), "--include-originals"])
        larger = Coco(out / "annotations.json", out / "images")
        things = [each for sample in larger for each in sample.labels.annotations]
        print(f"{len(larger)} pictures, {len(things)} labels of {', '.join(larger.classes)}")


if __name__ == "__main__":  # worker processes import this file
    main()
