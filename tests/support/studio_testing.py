"""Pictures and pipelines for tests of the studio."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
from aioaug.augmenters import specs
from aioaug.studio import PipelineSpec, create_studio, open_pictures
from skimage import data as pictures

OWN = """
import numpy as np
import imgaug.augmenters as iaa


def brighter(images, random_state, parents, hooks):
    return [image // 2 + 100 for image in images]


class Mirror(iaa.Fliplr):
    pass


def mixed():
    return iaa.Sequential(
        [
            iaa.Lambda(func_images=brighter),
            iaa.Sometimes(0.5, iaa.OneOf([Mirror(1.0), iaa.Add((10, 40))])),
            iaa.Add((-20, 20)),
        ]
    )


ready = iaa.Affine(rotate=(-20, 20))


def function(images, rng):
    return [np.roll(255 - image, int(rng.integers(9, 99)), axis=1) for image in images]


def album():
    import albumentations

    steps = [albumentations.HorizontalFlip(p=0.5), albumentations.Affine(rotate=(-30, 30), p=1)]
    return albumentations.Compose(steps)
"""


def make_coco(root):
    """A COCO dataset of three pictures with boxes, keypoints and a polygon; no two alike."""
    whole = pictures.chelsea()
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(3):
        crop = whole[20 * number : 20 * number + 120 + 8 * number, 100:260]
        cv2.imwrite(str(root / f"images/{number}.png"), crop[:, :, ::-1])
        height, width = crop.shape[:2]
        name = f"{number}.png"
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1 + number % 2,
                "bbox": [20, 30, 60, 50],
                "area": 3000,
                "iscrowd": 0,
                "segmentation": [[20, 30, 80, 30, 80, 80]] if number == 1 else [],
                "keypoints": [30, 40, 2, 60, 50, 2],
                "num_keypoints": 2,
            }
        )
    categories = [{"id": 1, "name": "cat", "keypoints": ["left", "right"], "skeleton": []}]
    categories.append({"id": 2, "name": "kitten"})
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def make_own(folder):
    """The specs of a file with pipelines that are partly or wholly opaque."""
    file = folder / "own_pipelines.py"
    file.write_text(OWN)
    return {name: str(file) + f":{name}" for name in ("mixed", "ready")}


def make_specs(*given, **named):
    """Checked specs by name: presets by theirs alone."""
    every = {**{name: f"preset:{name}" for name in given}, **named}
    return {
        name: PipelineSpec(specs.check(spec), specs.fingerprint(specs.check(spec)))
        for name, spec in every.items()
    }


def make_app(path, *given, **named):
    """The app of the studio with one worker. It blocks, so tests call it in a thread."""
    return create_studio(
        make_specs(*given, **named), open_pictures(Path(path)), workers=1, timeout=20
    )


def unframed(body):
    """The facts and files of an answer."""
    (length,) = struct.unpack(">I", body[:4])
    facts = json.loads(body[4 : 4 + length])
    files, place = [], 4 + length
    for size in facts["bytes"]:
        files.append(body[place : place + size])
        place += size
    assert place == len(body)
    return facts, files


def pixels(file):
    """The pixels of a PNG, RGB."""
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def simple(*children):
    """A tree: a sequence of these nodes."""
    return {"name": "Sequential", "parameters": {}, "children": {"children": list(children)}}


def node(name, **parameters):
    """A node without children."""
    return {"name": name, "parameters": parameters, "children": {}}


def run_program(source, folder):
    """Run a copied program in a fresh process; returns what it wrote, by name."""
    import subprocess

    file = folder / "copied.py"
    file.write_text(source)
    done = subprocess.run(
        [sys.executable, str(file)], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {path.name: pixels(path.read_bytes()) for path in folder.glob("augmented*.png")}
