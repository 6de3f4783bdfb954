"""Real pictures through two pipelines on all cores, and a contact sheet of each: `make demo`.

    python examples/demo.py [FOLDER]

The pictures are imgaug's quokka, with its keypoints and its box, and three that come with
scikit-image: Chelsea the cat, an astronaut and a cup of coffee. The pipelines are that of
imgaug's tutorial on many cores, which is slow, and a light one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import aioaug  # noqa: F401 - imgaug, which comes next, needs it on a NumPy of today
import imgaug
import skimage.data
from PIL import Image

COPIES = {"tutorial": 4, "light": 25}


def collect(folder: Path) -> None:
    """Put the four pictures into `folder`, and the quokka's annotations beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(imgaug.__file__).parent
    shutil.copy(home / "quokka.jpg", folder)
    known = json.loads((home / "quokka_annotations.json").read_text())
    annotations = {
        "keypoints": [[point["x"], point["y"]] for point in known["keypoints"]],
        "bounding_boxes": [
            [box["x1"], box["y1"], box["x2"], box["y2"]] for box in known["bounding_boxes"]
        ],
    }
    (folder / "quokka.json").write_text(json.dumps(annotations))
    for name in ("chelsea", "astronaut", "coffee"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")


def command(*arguments: object) -> None:
    """Run a command line of aioaug; show it first, as one would type it."""
    words = [str(argument) for argument in arguments]
    print("\n$ aioaug", *words, flush=True)
    subprocess.run([sys.executable, "-m", "aioaug", *words], check=True)


def main(folder: Path) -> None:
    pictures = folder / "pictures"
    collect(pictures)
    for preset, copies in COPIES.items():
        output = folder / preset
        if (output / "manifest.jsonl").exists():  # of the last time, or there is nothing to do
            shutil.rmtree(output)
        options = ("--preset", preset, "--seed", 1)
        command("augment", pictures, output, *options, "--copies", copies)
        command("preview", pictures, folder / f"{preset}.png", *options, "--cols", 3)
    print(f"\nThe pictures are in {folder}; look at the contact sheets first:")
    for preset in COPIES:
        print(f"  {folder / preset}.png")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output"))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
