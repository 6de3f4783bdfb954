"""A directory with one subdirectory a class, as lists of files, and the index that keeps them.

The index of a class is a text file, `.index/<class>.txt`, with a name relative to the directory
on each line, in which the end of a line is written as `\\n` and a backslash as `\\\\`. In the
directory itself it is in alphabetical order; elsewhere it is shuffled once, and keeps that order as
files come and go.
"""

from __future__ import annotations

import math
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .._base import atomic
from .file_source import FileSource
from .files import SUFFIXES

INDEX = ".index"

Lister = Callable[..., tuple[str, list[Any]]]


def class_names(directory: str) -> list[str]:
    """The subdirectories in alphabetical order, without those whose names begin with a dot."""
    with os.scandir(directory) as entries:
        return sorted(one.name for one in entries if one.is_dir() and not one.name.startswith("."))


def list_class(
    base_directory: str,
    search_class: str,
    white_list_formats: tuple[str, ...],
    split: tuple[float, float] | None,
    follow_links: bool,
    shuffle_index_directory: str | None,
    *,
    seed: int = 0,
) -> tuple[str, list[str]]:
    """The files of one class, relative to the directory: the part of them that `split` is.

    The validation part is the first ones, rounded up, the training part is the rest.
    """
    found = list(_walk(base_directory, search_class, white_list_formats, follow_links))
    if shuffle_index_directory is None:
        _write(Path(base_directory), search_class, found)
    else:
        found = _shuffled(Path(shuffle_index_directory), search_class, found, seed)
    return search_class, part_of(found, split)


def directory_source(
    directory: str,
    classes: list[str] | None,
    split: tuple[float, float] | None,
    *,
    follow_links: bool,
    shuffle_index_dir: str | None,
    seed: int,
    limit: int,
    lister: Lister | None,
    class_counts: dict[str, int] | None,
    class_mode: str | None,
    dtype: np.dtype[Any],
) -> FileSource:
    """The files of every class, one class after the other; `RuntimeError` names an empty one."""
    names = class_names(directory) if classes is None else list(classes)
    filenames: list[Any] = []
    labels: list[int] = []
    for number, name in enumerate(names):
        asked = {
            "base_directory": directory,
            "search_class": name,
            "white_list_formats": SUFFIXES,
            "split": split,
            "follow_links": follow_links,
            "shuffle_index_directory": shuffle_index_dir,
        }
        answer = list_class(**asked, seed=seed) if lister is None else lister(**asked)  # type: ignore[arg-type]
        files = list(answer[1])[: None if limit < 0 else limit]
        if not files:
            raise RuntimeError(f"the class {name!r} has no pictures in {directory}")
        if class_counts is not None:
            class_counts[name] = len(files)
        filenames += files
        labels += [number] * len(files)
    return FileSource(
        directory,
        filenames,
        class_indices={name: number for number, name in enumerate(names)},
        class_mode=class_mode,
        labels=np.array(labels, np.int32),
        dtype=dtype,
    )


def part_of(files: list[Any], split: tuple[float, float] | None) -> list[Any]:
    """The items from one fraction of the list to another, fractions of an item rounded up."""
    if split is None:
        return files
    return files[math.ceil(split[0] * len(files)) : math.ceil(split[1] * len(files))]


def _walk(base: str, name: str, suffixes: tuple[str, ...], follow_links: bool) -> Iterator[str]:
    root = os.path.join(base, name)
    if not os.path.isdir(root):
        raise FileNotFoundError(f"the class {name!r} has no subdirectory in {base}")
    endings = tuple(f".{suffix}" for suffix in suffixes)
    for folder, _, files in sorted(os.walk(root, followlinks=follow_links)):
        inside = os.path.relpath(folder, base)
        yield from (
            os.path.join(inside, file) for file in sorted(files) if file.lower().endswith(endings)
        )


def _shuffled(folder: Path, name: str, found: list[str], seed: int) -> list[str]:
    """`found` in the order of the index; what is new comes last, and the index is renewed."""
    try:
        # No other end of a line: a name may well have a character that Unicode calls one.
        lines = os.fsdecode(_index(folder, name).read_bytes()).split("\n")[:-1]
    except FileNotFoundError:
        lines = []
    listed = [re.sub(r"\\(.)", lambda pair: pair[1].replace("n", "\n"), line) for line in lines]
    present = set(found)
    order = [one for one in listed if one in present]
    if len(order) < len(listed):
        warnings.warn(
            f"{len(listed) - len(order)} files of the class {name!r} in the index below {folder} "
            "are gone; it is made again",
            stacklevel=5,
        )
    known = set(order)
    new = [one for one in found if one not in known]
    np.random.default_rng((seed, zlib.crc32(os.fsencode(name)))).shuffle(new)
    if order + new != listed:
        _write(folder, name, order + new)
    return order + new


def _write(folder: Path, name: str, files: list[str]) -> None:
    """Put the index in its place, whole, where that is allowed."""
    lines = (file.replace("\\", r"\\").replace("\n", r"\n") for file in files)
    data = os.fsencode("".join(f"{line}\n" for line in lines))
    path = _index(folder, name)
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    # Data are often mounted read-only; without an index they are listed anew each time.
    with suppress(OSError):
        atomic.write(path, data)


def _index(folder: Path, name: str) -> Path:
    return folder / INDEX / f"{name}.txt"
