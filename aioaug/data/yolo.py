"""YOLO's datasets: `data.yaml`, and a text file for each picture.

A line is a class and numbers that are fractions of the picture: the middle and size of a box, the
points of a polygon or of an oriented box, or a box and keypoints. The text of
`images/train/a.jpg` is `labels/train/a.txt`. As Ultralytics describes them. Darknet's datasets, as
CVAT writes them, have the same lines beside the pictures, and `obj.data` in place of `data.yaml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._base.arguments import one_of
from .._base.optional import need
from .._pictures.reading import SUFFIXES
from .annotation import SOUND_RULES, Annotation, LabelRules
from .checks import below, broken, file_in, read_text, shown
from .labels import PictureLabels
from .samples import PictureDataset, Sample
from .yolo_lines import TASKS, YoloLines, task_of

SPLITS = ("train", "val", "test")
_NAMES = "classes.txt"
_DARKNET = "obj.data"
_DARKNET_FOLDER = re.compile(r"^obj_(train|valid|test)_data$")
_MOST_KEYPOINTS = 10_000


class Yolo(PictureDataset):
    """The pictures of a `data.yaml`, or of a folder with one.

    In its place there may be Darknet's `obj.data`, or Label Studio's `classes.txt`.

    `split` is "train", "val" or "test"; all that there are unless given. `task` is "detect",
    "segment", "pose" or "obb" (oriented boxes); if it is not given, it follows from the file and
    the lines. Folders that the file names have to be below `root`, its own folder unless given.
    `header` is what the file says, except for the folders.

    Raises `UnreadableLabelsError` for files that are not as YOLO's are, and `MissingExtra`.
    """

    def __init__(
        self,
        data: str | os.PathLike[str],
        *,
        split: str | None = None,
        task: str | None = None,
        root: str | os.PathLike[str] | None = None,
        rules: LabelRules = SOUND_RULES,
    ) -> None:
        path = _settings_file(Path(data))
        self.header = _content(path)
        keypoints = _keypoint_shape(self.header, path)
        if task is not None:
            one_of("task", task, TASKS)
        if split is not None:
            one_of("split", split, SPLITS)
        self._rules = rules
        top = path.parent if root is None else Path(root)
        names = _names(self.header, path)
        # How lines are read does not depend on which of the tasks without keypoints it is.
        lines = YoloLines(
            "detect" if keypoints is None else "pose",
            keypoints,
            _mirrored(self.header, keypoints, path),
            len(names),
        )
        listed = (
            name
            for each in ([split] if split else SPLITS)
            for name in _listed(top, self.header, each, path, wanted=split is not None)
        )
        # Small datasets are often trained and validated with the same pictures.
        samples = [self._sample(top, name, lines) for name in dict.fromkeys(listed)]
        super().__init__(samples, names)
        found = (each for sample in samples for each in sample.labels.annotations)
        found_task = task_of(found) if keypoints is None else "pose"
        self.task = task or found_task
        if self.task == "detect" and found_task != "detect":
            raise broken(str(path), f"the labels are for {found_task!r}, not for 'detect'")

    def _sample(self, top: Path, name: str, lines: YoloLines) -> Sample:
        text = top / _text_of(name)
        annotations: tuple[Annotation, ...] = ()
        if os.path.isfile(text):
            below(top, _text_of(name), str(text))
            annotations = lines.read(read_text(text), str(text))
        labels = PictureLabels(
            annotations=annotations, relative=True, rules=self._rules, where=str(text)
        )
        return Sample(file_in(top, name), labels)


def _settings_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml"))
    for name in ("data.yaml", "dataset.yaml"):
        found = [path / name] if path / name in found else found
    for name in () if found else (_DARKNET, _NAMES):
        if (path / name).is_file():
            return path / name
    if len(found) != 1:
        raise broken(str(path), f"there must be a data.yaml, found {len(found)} files of its kind")
    return found[0]


def _content(path: Path) -> dict[str, Any]:
    if path.name == _NAMES:  # Label Studio's, which has a class a line
        return {"names": _lines(path), "train": "images"}
    if path.suffix == ".data":
        return _darknet_content(path)
    yaml = need("yaml", extra="labels")
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise broken(str(path), f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise broken(str(path), "must hold names and values")
    return content


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _darknet_content(path: Path) -> dict[str, Any]:
    """What `obj.data` says, line by line, as `data.yaml` would."""
    said = {}
    for place, line in enumerate(read_text(path).splitlines(), 1):
        name, found, value = line.partition("=")
        if line.strip() and not found:
            raise broken(f"{path}: line {place}", "must be a name, = and a value")
        said[name.strip()] = value.strip()
    names = _place(path.parent, None, said.get("names") or "obj.names", f"{path}: names")
    if names is None:
        raise broken(f"{path}: names", f"there is no {said.get('names')!r} below {path.parent}")
    splits = {"train": said.get("train"), "val": said.get("valid"), "test": said.get("test")}
    return {"names": _lines(names), **{name: value for name, value in splits.items() if value}}


def _names(content: Mapping[str, Any], path: Path) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise broken(str(path), f"names must be numbered from 0, got {shown(list(names))}")
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        names = []
    if not names:
        raise broken(str(path), "has no names of classes")
    if content.get("nc", len(names)) != len(names):
        raise broken(str(path), f"has {len(names)} names, but nc is {shown(content['nc'])}")
    return [str(name) for name in names]


def _keypoint_shape(content: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    fits = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not fits or not 0 < shape[0] <= _MOST_KEYPOINTS or shape[1] not in (2, 3):
        raise broken(str(path), f"kpt_shape must be a count and 2 or 3, got {shown(shape)}")
    return shape[0], shape[1]


def _mirrored(
    content: Mapping[str, Any], keypoints: tuple[int, int] | None, path: Path
) -> tuple[int, ...]:
    order = content.get("flip_idx")
    if order is None or keypoints is None:
        return ()
    fits = isinstance(order, list) and all(type(place) is int for place in order)
    if not fits or sorted(order) != list(range(keypoints[0])):
        raise broken(str(path), f"flip_idx must have each keypoint once, got {shown(order)}")
    return tuple(order)


def _listed(
    top: Path, content: Mapping[str, Any], split: str, path: Path, *, wanted: bool
) -> Iterator[str]:
    """The pictures of a split, by their names below `top`."""
    entries = content.get(split) or (content.get("valid") if split == "val" else None)
    if not entries:
        if wanted:
            raise broken(str(path), f"has no split {split!r}")
        return
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, str):
            raise broken(f"{path}: {split}", f"must be a folder, got {shown(entry)}")
        place = _place(top, content.get("path"), entry, f"{path}: {split}")
        if place is None and not wanted and split == "test":
            continue  # Roboflow names a folder that it does not write
        if place is None:
            raise broken(f"{path}: {split}", f"there is no {entry!r} below {top}")
        found = _pictures_below(top, place) if place.is_dir() else _pictures_in(top, place)
        yield from found


def _place(top: Path, base: Any, entry: str, where: str) -> Path | None:
    """The folder or list, as it is seen from `top`, which may have been moved since."""
    inner = entry
    while inner.startswith("../"):  # Roboflow writes ../train/images for train/images
        inner = inner[3:]
    bases = [str(base)] if isinstance(base, str) and base not in (".", "") else []
    # Darknet's names are seen from its own folder, in which the dataset is called data.
    for name in [*(f"{each}/{entry}" for each in bases), entry, inner, entry.removeprefix("data/")]:
        relative = os.path.relpath(name, top) if os.path.isabs(name) else name
        if os.path.normpath(relative).startswith("..") or not os.path.exists(top / relative):
            continue
        return below(top, Path(os.path.normpath(relative)).as_posix(), where)
    if os.path.exists(top / entry):
        raise broken(where, f"{entry!r} leads out of {top}")
    return None


def _pictures_below(top: Path, folder: Path) -> Iterator[str]:
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    names = {path.relative_to(top).as_posix() for path in found if path.is_file()}
    for name in sorted(names):
        below(top, name, str(top))
    _refuse_lone_texts(top, folder, names)
    yield from sorted(names)


def _refuse_lone_texts(top: Path, folder: Path, names: set[str]) -> None:
    """Refuse labels of pictures that do not exist: the folder has been damaged."""
    texts = {_text_of(name) for name in names}
    place = top / Path(_text_of(f"{folder.relative_to(top).as_posix()}/x.png")).parent
    for path in sorted(place.rglob("*.txt")) if place.is_dir() and place != folder else ():
        if path.relative_to(top).as_posix() not in texts:
            raise broken(str(path), "there is no picture of this name")


def _pictures_in(top: Path, file: Path) -> Iterator[str]:
    """The pictures that a text file lists, one a line."""
    for place, line in enumerate(read_text(file).splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        where = f"{file}: line {place}"
        if name.startswith("./"):
            name = (file.parent / name).relative_to(top).as_posix()
        path = below(top, name, where)
        if not os.path.isfile(path) and name.startswith("data/"):
            path = below(top, name.removeprefix("data/"), where)
        if not os.path.isfile(path):
            raise broken(where, f"there is no picture {path}")
        yield path.relative_to(top).as_posix()


def _text_of(name: str) -> str:
    """The text of a picture: the last folder called `images` is called `labels` there."""
    parts = list(Path(name).with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return "/".join(parts)


class YoloWriter:
    """Writes pictures and labels as YOLO's: `images/`, `labels/` and `data.yaml`.

    `header` is that of the `Yolo` that was read; for the task "pose", it says how many keypoints
    there are, or `keypoints` does. Names of pictures which begin with a split, as in
    `train/a.jpg`, are listed in that split, all others in "train".
    """

    def __init__(
        self,
        classes: Sequence[str],
        task: str = "detect",
        header: Mapping[str, Any] | None = None,
        keypoints: int = 0,
    ) -> None:
        self._classes = list(classes)
        self._header = dict(header or {})
        count, width = self._header.get("kpt_shape") or (keypoints, 3)
        self._lines = YoloLines(one_of("task", task, TASKS), (count, width))

    def place(self, name: str) -> str:
        """Where the picture of this name belongs."""
        split, inner = _split_of(name)
        return f"images/{split}/{inner}"

    def label_files(self, name: str, labels: PictureLabels) -> dict[str, bytes]:
        """The text of one picture."""
        return {_text_of(self.place(name)): self._lines.write(labels)}

    def record(self, name: str, labels: PictureLabels) -> str:
        """The split of one picture, for `dataset_files`."""
        return _split_of(name)[0]

    def dataset_files(self, records: Iterable[str]) -> dict[str, bytes]:
        """`data.yaml`."""
        yaml = need("yaml", extra="labels")
        splits = set(records)
        folders = {"path", "train", "val", "valid", "test"}
        content = {name: value for name, value in self._header.items() if name not in folders}
        # Trainers ask for both of these.
        found = {split: f"images/{split}" for split in SPLITS if split in splits}
        first = next(iter(found.values()), "images/train")
        content = {"train": first, "val": first, **found, **content}
        content["names"] = dict(enumerate(self._classes))
        if self._lines.task == "pose":
            content.setdefault("kpt_shape", list(self._lines.keypoints or (0, 3)))
        return {"data.yaml": yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()}


def _split_of(name: str) -> tuple[str, str]:
    """The split of a picture, and its name in it."""
    parts = [_DARKNET_FOLDER.sub(r"\1", part) for part in name.split("/") if part != "images"]
    if len(parts) > 1 and (parts[0] in SPLITS or parts[0] == "valid"):
        return parts[0].replace("valid", "val"), "/".join(parts[1:])
    return "train", "/".join(parts)
