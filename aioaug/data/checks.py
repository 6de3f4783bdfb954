"""Checks of label files: every error is one line that names the file and the entry."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from ..errors import UnreadableLabelsError
from .annotation import Outline
from .listing import checked_name, leads_out
from .references import FileReference

_NUMBERS = frozenset((int, float))
_LARGEST = 1e12  # of coordinates and areas, so that nothing computed of them overflows


def broken(where: str, why: str) -> UnreadableLabelsError:
    """The error for broken labels: `where` is the file and the entry."""
    return UnreadableLabelsError(f"{where}: {why}")


def read_file(path: Path) -> bytes:
    """The content of a label file."""
    if not os.path.isfile(path):
        raise broken(str(path), "there is no such file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise broken(str(path), f"cannot be read: {error.strerror}") from error


def read_text(path: Path) -> str:
    """The content of a label file in UTF-8."""
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(str(path), "is not UTF-8") from error


def read_any_json(path: Path) -> Any:
    """What is in a file of JSON, NaN and infinity included, which other programs write."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnreadableLabelsError):
            raise
        raise broken(str(path), f"is not JSON: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    content = read_any_json(path)
    if not isinstance(content, dict):
        raise broken(str(path), f"must hold a JSON object, got {type(content).__name__}")
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


def file_in(root: Path, name: str) -> FileReference:
    """The file of this name below `root`, whatever becomes the program's folder."""
    return FileReference(os.path.abspath(root), name)


def below(root: Path, name: str, where: str) -> Path:
    """The path of `name` below `root`; a name that leads out of it is refused.

    Who loads a dataset of somebody else's must not send or overwrite any other file. The names may
    come from Windows, and none goes up even for a moment: through a link that would be elsewhere.
    """
    plain = name.replace("\\", "/")
    try:
        path = root / checked_name(plain, str(root))
        if os.pardir in plain.split("/") or PureWindowsPath(name).drive:
            raise ValueError(f"{name!r} leads out of {root}")
    except ValueError as error:
        raise broken(where, str(error)) from error
    # Most files are no links, and their folder need not be compared with the real one.
    linked = os.path.islink(path) or os.path.realpath(path.parent) != str(path.parent)
    if linked and leads_out(str(path), os.path.realpath(root)):
        raise broken(where, f"{name!r} is a link that leads out of {root}")
    return path
