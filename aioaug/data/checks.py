"""Checks of label files: every error is one line that names the file and the entry."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import PureWindowsPath
from typing import Any

from ..errors import UnreadableLabelsError, UnreadablePictureError
from .annotation import Outline
from .listing import Folder, LocalFolder, open_folder
from .references import File, FileReference, UrlReference, is_url, read_each

_NUMBERS = frozenset((int, float))
# Files that a dataset may be named by, at a URL; whatever else is there is a folder.
_LABEL_FILES = (".data", ".json", ".txt", ".xml", ".yaml", ".yml")
_REMEDY = "what it leads to has to be in the folder itself"
_LARGEST = 1e12  # of coordinates and areas, so that nothing computed of them overflows


def broken(where: str, why: str) -> UnreadableLabelsError:
    """The error for broken labels: `where` is the file and the entry."""
    return UnreadableLabelsError(f"{where}: {why}")


def label_folder(root: str | os.PathLike[str]) -> Folder:
    """The folder of a labelled dataset at a path or URL."""
    if is_url(root):
        return open_folder(root)
    try:
        return LocalFolder(root, remedy=_REMEDY)
    except OSError as error:
        why = (
            f"cannot be read: {error.strerror}"
            if os.path.exists(root)
            else "there is no such folder"
        )
        raise broken(os.fspath(root), why) from error


def listed(folder: Folder, suffixes: Collection[str], inner: str = "") -> list[str]:
    """The names of the files with these suffixes in a folder of a dataset; links are refused."""
    try:
        return list(folder.files(inner, suffixes))
    except ValueError as error:
        raise broken(folder.root, str(error)) from error


def split_place(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The folder that a dataset is in, and the name of its file; of a folder, that and no name."""
    place = os.fspath(path)
    if is_url(place):
        is_file = os.path.splitext(place)[1].lower() in _LABEL_FILES
        folder, _, name = place.rstrip("/").rpartition("/")
        return (folder, name) if is_file else (place.rstrip("/"), "")
    if os.path.isdir(place):
        return place, ""
    return os.path.dirname(place) or os.curdir, os.path.basename(place)


def file_at(path: str | os.PathLike[str]) -> File:
    """The file at a path or URL, which may be any: a user has named it."""
    place = os.fspath(path)
    return (UrlReference if is_url(place) else FileReference)("", place)


def read_head(file: File, count: int) -> bytes:
    """The first bytes of a label file."""
    try:
        return file.head(count)
    except (OSError, UnreadablePictureError) as error:
        return content_of(file, error)


def read_file(file: File) -> bytes:
    """The content of a label file."""
    (content,) = read_each([file])
    return content_of(file, content)


def read_texts(files: Sequence[File]) -> Iterator[str | None]:
    """The content of label files in UTF-8, in turn; `None` where there is no file."""
    for file, content in zip(files, read_each(files), strict=True):
        if isinstance(content, FileNotFoundError):
            yield None
        else:
            yield decoded(file, content)


def read_text(file: File) -> str:
    """The content of a label file in UTF-8."""
    return decoded(file, read_file(file))


def content_of(file: File, content: bytes | Exception) -> bytes:
    """What was read of a label file; why it could not be read is raised."""
    if isinstance(content, FileNotFoundError):
        raise broken(file.place, "there is no such file") from content
    if isinstance(content, Exception):
        why = content.strerror if isinstance(content, OSError) else str(content)
        raise broken(file.place, f"cannot be read: {why}") from content
    return content


def decoded(file: File, content: bytes | Exception) -> str:
    """The text in UTF-8 of what was read of a label file."""
    try:
        return content_of(file, content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(file.place, "is not UTF-8") from error


def read_any_json(file: File) -> Any:
    """What is in a file of JSON, NaN and infinity included, which other programs write."""
    return any_json(file, read_text(file))


def any_json(file: File, text: str) -> Any:
    """What is in the text of a file of JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(file.place, f"is not JSON: {error}") from error


def read_json(file: File) -> dict[str, Any]:
    """The JSON object in a file."""
    content = read_any_json(file)
    if not isinstance(content, dict):
        raise broken(file.place, f"must hold a JSON object, got {type(content).__name__}")
    return content


def to_json(content: Any, *, indent: int | None = None) -> bytes:
    """JSON in UTF-8; what UTF-8 cannot hold was an escape when it was read, and is one again."""
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    return f"{text}\n".encode(errors="backslashreplace")


def shown(value: Any) -> str:
    """A value of a file in a message: what is long, or nested without end, is cut."""
    return reprlib.repr(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number that a coordinate or an area may have."""
    return type(value) in _NUMBERS and -_LARGEST <= value <= _LARGEST


def number(value: Any, where: str, what: str) -> float:
    """A finite number."""
    if not is_number(value):
        raise broken(where, f"{what} must be a number, got {shown(value)}")
    return value  # type: ignore[no-any-return]


def number_in(text: str | None, where: str, what: str) -> float:
    """A finite number in a text."""
    try:
        return number(float(text or ""), where, what)
    except ValueError as error:
        if isinstance(error, UnreadableLabelsError):
            raise
        raise broken(where, f"{what} must be a number, got {shown(text)}") from error


def numbers(value: Any, where: str, what: str, length: int | None = None) -> Outline:
    """A list of finite numbers."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise broken(where, f"{what} must be a list of numbers, got {shown(value)}")
    if length is not None and len(value) != length:
        raise broken(where, f"{what} must be {length} numbers, got {len(value)}")
    # A large file has millions, so they are looked at one by one only if something is wrong.
    try:
        fine = (
            _NUMBERS.issuperset(map(type, value))
            and all(map(math.isfinite, value))
            and max(map(abs, value), default=0) <= _LARGEST
        )
    except OverflowError:
        fine = False
    if not fine:
        wrong = next(each for each in value if not is_number(each))
        raise broken(where, f"{what} must be numbers, got {shown(wrong)}")
    return tuple(value)


def size_of(width: Any, height: Any, where: str) -> tuple[int, int] | None:
    """The size that a file says its picture has; `None` if it says nothing, or 0."""
    if not width or not height:
        return None
    for value in (width, height):
        if number(value, where, "the size of the picture") < 0 or value != int(value):
            raise broken(where, f"the size of the picture must be whole numbers, got {value!r}")
    return int(width), int(height)


def unique(values: Collection[Any], where: str, what: str) -> None:
    """Refuse a list in which something is there twice."""
    if len(set(values)) < len(values):
        twice, _ = Counter(values).most_common(1)[0]
        raise broken(where, f"{what} {twice!r} is there twice")


def below(folder: Folder, name: str, where: str) -> File:
    """The file or folder called `name` in a folder; a name that leads out of it is refused.

    Who loads a dataset of somebody else's must not send or overwrite any other file. The names may
    come from Windows, and none goes up even for a moment: through a link that would be elsewhere.
    """
    plain = name.replace("\\", "/")
    try:
        if os.pardir in plain.split("/") or PureWindowsPath(name).drive:
            raise ValueError(f"{name!r} leads out of {folder.root}")
        return folder.reference(plain)
    except ValueError as error:
        raise broken(where, str(error)) from error
