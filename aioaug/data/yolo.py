"""YOLO's datasets: `data.yaml`, and a text file for each picture.

A line is a class and numbers that are fractions of the picture: the middle and size of a box, the
points of a polygon or of an oriented box, or a box and keypoints. The text of
`images/train/a.jpg` is `labels/train/a.txt`. As Ultralytics describes them. Darknet's datasets, as
CVAT writes them, have the same lines beside the pictures, and `obj.data` in place of `data.yaml`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._base.arguments import one_of
from .._base.optional import need
from .._pictures.reading import SUFFIXES
from .annotation import SOUND_RULES, LabelRules
from .checks import (
    below,
    broken,
    file_at,
    label_folder,
    listed,
    read_text,
    read_texts,
    shown,
    split_place,
)
from .labels import PictureLabels
from .listing import Folder, has_suffix
from .references import File, is_url
from .samples import PictureDataset, Sample
from .yolo_lines import TASKS, YoloLines, task_of

SPLITS = ("train", "val", "test")
_YAML_NAMES = ("data.yaml", "dataset.yaml")
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
    `header` is what the file says, except for the folders. Both paths may be URLs that fsspec
    understands; a server that does not list its folders needs a file that lists the pictures of a
    split.

    Raises `UnreadableLabelsError` for files that are not as YOLO's are, `OSError` for a folder
    that cannot be listed, and `MissingExtra`.
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
        folder, path = _settings_file(data)
        self.header = _content(folder, path)
        keypoints = _keypoint_shape(self.header, path.place)
        if task is not None:
            one_of("task", task, TASKS)
        if split is not None:
            one_of("split", split, SPLITS)
        top = folder if root is None else label_folder(root)
        names = _names(self.header, path.place)
        # How lines are read does not depend on which of the tasks without keypoints it is.
        lines = YoloLines(
            "detect" if keypoints is None else "pose",
            keypoints,
            _mirrored(self.header, keypoints, path.place),
            len(names),
        )
        pictures = (
            name
            for each in ([split] if split else SPLITS)
            for name in _listed(top, self.header, each, path.place, wanted=split is not None)
        )
        # Small datasets are often trained and validated with the same pictures.
        samples = list(_samples(top, list(dict.fromkeys(pictures)), lines, rules))
        super().__init__(samples, names)
        found = (each for sample in samples for each in sample.labels.annotations)
        found_task = task_of(found) if keypoints is None else "pose"
        self.task = task or found_task
        if self.task == "detect" and found_task != "detect":
            raise broken(path.place, f"the labels are for {found_task!r}, not for 'detect'")


def _samples(
    top: Folder, names: Sequence[str], lines: YoloLines, rules: LabelRules
) -> Iterator[Sample]:
    """The pictures of these names; one without a text has nothing on it."""
    texts = [below(top, _text_of(name), top.root) for name in names]
    for name, file, text in zip(names, texts, read_texts(texts), strict=True):
        labels = PictureLabels(
            annotations=() if text is None else lines.read(text, file.place),
            relative=True,
            rules=rules,
            where=file.place,
        )
        yield Sample(below(top, name, top.root), labels)


def _settings_file(data: str | os.PathLike[str]) -> tuple[Folder, File]:
    """The folder of a dataset, and the file that says what is in it."""
    place, name = split_place(data)
    folder = label_folder(place)
    if name:
        return folder, file_at(data)
    entries = folder.entries()
    files = sorted(each for each in entries if not entries[each])
    found = [each for each in files if has_suffix(each, (".yaml", ".yml"))]
    usual = _YAML_NAMES if found else (_DARKNET, _NAMES)
    found = [each for each in usual if each in files][:1] or found
    if len(found) != 1:
        raise broken(place, f"there must be a data.yaml, found {len(found)} files of its kind")
    return folder, below(folder, found[0], place)


def _content(folder: Folder, file: File) -> dict[str, Any]:
    name = posixpath.basename(file.name)
    if name == _NAMES:  # Label Studio's, which has a class a line
        return {"names": _lines(file), "train": "images"}
    if name.endswith(".data"):
        return _darknet_content(folder, file)
    yaml = need("yaml", extra="labels")
    try:
        content = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, RecursionError) as error:
        raise broken(file.place, f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise broken(file.place, "must hold names and values")
    return content


def _lines(file: File) -> list[str]:
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def _darknet_content(folder: Folder, file: File) -> dict[str, Any]:
    """What `obj.data` says, line by line, as `data.yaml` would."""
    said = {}
    for place, line in enumerate(read_text(file).splitlines(), 1):
        name, found, value = line.partition("=")
        if line.strip() and not found:
            raise broken(f"{file.place}: line {place}", "must be a name, = and a value")
        said[name.strip()] = value.strip()
    where = f"{file.place}: names"
    names = _place(folder, None, said.get("names") or "obj.names", where)
    if names is None:
        raise broken(where, f"there is no {said.get('names')!r} below {folder.root}")
    splits = {"train": said.get("train"), "val": said.get("valid"), "test": said.get("test")}
    return {
        "names": _lines(below(folder, names, where)),
        **{name: value for name, value in splits.items() if value},
    }


def _names(content: Mapping[str, Any], path: str) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise broken(path, f"names must be numbered from 0, got {shown(list(names))}")
        names = [names[key] for key in sorted(names, key=int)]
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        names = []
    if not names:
        raise broken(path, "has no names of classes")
    if content.get("nc", len(names)) != len(names):
        raise broken(path, f"has {len(names)} names, but nc is {shown(content['nc'])}")
    return [str(name) for name in names]


def _keypoint_shape(content: Mapping[str, Any], path: str) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    fits = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not fits or not 0 < shape[0] <= _MOST_KEYPOINTS or shape[1] not in (2, 3):
        raise broken(path, f"kpt_shape must be a count and 2 or 3, got {shown(shape)}")
    return shape[0], shape[1]


def _mirrored(
    content: Mapping[str, Any], keypoints: tuple[int, int] | None, path: str
) -> tuple[int, ...]:
    order = content.get("flip_idx")
    if order is None or keypoints is None:
        return ()
    fits = isinstance(order, list) and all(type(place) is int for place in order)
    if not fits or sorted(order) != list(range(keypoints[0])):
        raise broken(path, f"flip_idx must have each keypoint once, got {shown(order)}")
    return tuple(order)


def _listed(
    top: Folder, content: Mapping[str, Any], split: str, path: str, *, wanted: bool
) -> Iterator[str]:
    """The pictures of a split, by their names below `top`."""
    entries = content.get(split) or (content.get("valid") if split == "val" else None)
    if not entries:
        if wanted:
            raise broken(path, f"has no split {split!r}")
        return
    for entry in entries if isinstance(entries, list) else [entries]:
        where = f"{path}: {split}"
        if not isinstance(entry, str):
            raise broken(where, f"must be a folder, got {shown(entry)}")
        place = _place(top, content.get("path"), entry, where)
        if place is None and not wanted and split == "test":
            continue  # Roboflow names a folder that it does not write
        is_folder = place is not None and top.is_folder(place)
        if place is None or not (is_folder or has_suffix(place, (".txt",))):
            raise broken(where, f"there is no {entry!r} below {top.root}{_remedy(top)}")
        yield from (_pictures_below if is_folder else _pictures_in)(top, place)


def _remedy(top: Folder) -> str:
    """What to do about a folder that may be there, at a server that lists none."""
    if not is_url(top.root):
        return ""
    return ", or the server does not list its folders: then name a text file that lists pictures"


def _place(top: Folder, base: Any, entry: str, where: str) -> str | None:
    """The folder or list by its name below `top`, which may have been moved since."""
    inner = entry
    while inner.startswith("../"):  # Roboflow writes ../train/images for train/images
        inner = inner[3:]
    bases = [str(base)] if isinstance(base, str) and base not in (".", "") else []
    # Darknet's names are seen from its own folder, in which the dataset is called data.
    for name in [*(f"{each}/{entry}" for each in bases), entry, inner, entry.removeprefix("data/")]:
        relative = os.path.relpath(name, top.root) if os.path.isabs(name) else name
        plain = "" if (plain := posixpath.normpath(relative)) == os.curdir else plain
        if plain.startswith(os.pardir) or not (top.is_folder(plain) or top.is_file(plain)):
            continue
        return below(top, plain, where).name if plain else ""
    if not is_url(top.root) and os.path.exists(os.path.join(top.root, entry)):
        raise broken(where, f"{entry!r} leads out of {top.root}")
    return None


def _pictures_below(top: Folder, place: str) -> Iterator[str]:
    names = sorted(listed(top, SUFFIXES, place))
    _refuse_lone_texts(top, place, set(names))
    yield from names


def _refuse_lone_texts(top: Folder, pictures: str, names: set[str]) -> None:
    """Refuse labels of pictures that do not exist: the folder has been damaged."""
    texts = {_text_of(name) for name in names}
    place = posixpath.dirname(_text_of(posixpath.join(pictures, "x.png")))
    if place == pictures or not top.is_folder(place):
        return
    for name in sorted(listed(top, (".txt",), place)):
        if name not in texts:
            raise broken(below(top, name, top.root).place, "there is no picture of this name")


def _pictures_in(top: Folder, list_name: str) -> Iterator[str]:
    """The pictures that a text file lists, one a line."""
    file = below(top, list_name, top.root)
    for place, line in enumerate(read_text(file).splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        where = f"{file.place}: line {place}"
        if name.startswith("./"):
            name = posixpath.join(posixpath.dirname(list_name), name[2:])
        picture = below(top, name, where)
        if not top.is_file(picture.name) and name.startswith("data/"):
            picture = below(top, name.removeprefix("data/"), where)
        if not top.is_file(picture.name):
            raise broken(where, f"there is no picture {picture.place}")
        yield picture.name


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
