"""A directory with one subdirectory a class, as lists of files, and the index that keeps them.

The index of a class is a text file, `.index-<class>.txt`, with a name relative to the directory
on each line, in which the end of a line is written as `\\n` and a backslash as `\\\\`. It keeps its
order as files come and go. In the directory itself that begins as the alphabetical one; elsewhere
it is shuffled once.
"""

from __future__ import annotations

import logging
import math
import os
import re
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .._base import atomic
from .._base.arguments import one_of
from .file_source import CLASS_MODES, FileSource
from .files import SUFFIXES

_FOLDER = ".index"  # where mltk keeps them

log = logging.getLogger(__package__)

Lister = Callable[..., tuple[str, list[Any]]]


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
    found = _pictures_of(base_directory, search_class, white_list_formats, follow_links)
    shuffled = shuffle_index_directory is not None
    folder = Path(shuffle_index_directory or base_directory)
    found = _in_order(base_directory, folder, search_class, found, seed if shuffled else None)
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
    from ..data.listing import LocalFolder  # workers need nothing of the datasets

    one_of("class_mode", class_mode, CLASS_MODES)
    names = LocalFolder(directory).folders() if classes is None else list(classes)
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
    log.info("Found %d images belonging to %d classes.", len(filenames), len(names))
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


def _pictures_of(base: str, name: str, suffixes: tuple[str, ...], follow_links: bool) -> list[str]:
    """The files of a class in the order of Keras: those of a folder, then those of the next one."""
    from ..data.listing import LocalFolder

    if not os.path.isdir(os.path.join(base, name)):
        raise FileNotFoundError(f"the class {name!r} has no subdirectory in {base}")
    folder = LocalFolder(
        base,
        links="follow" if follow_links else "skip",
        suffixes=[f".{suffix}" for suffix in suffixes],
        hidden=True,
    )
    return sorted(folder.pictures(name), key=os.path.split)


def _in_order(base: str, folder: Path, name: str, found: list[str], seed: int | None) -> list[str]:
    """`found` in the order of the index, which is renewed; what is new comes last.

    With a seed that is shuffled before. Files that are there, but were not looked for this time,
    keep their places in the index.
    """
    listed = _listed(folder, name)
    present, known = set(found), set(listed)
    gone = {one for one in known - present if not os.path.exists(os.path.join(base, one))}
    if gone:
        warnings.warn(
            f"{len(gone)} files of the class {name!r} in the index in {folder} are gone; it is "
            "made again",
            stacklevel=5,
        )
    new = [one for one in found if one not in known]
    if seed is not None:
        np.random.default_rng((seed, zlib.crc32(os.fsencode(name)))).shuffle(new)
    order = [one for one in listed if one not in gone] + new
    if order != listed:
        _write(_index(folder, name), order)
    return [one for one in order if one in present]


def _listed(folder: Path, name: str) -> list[str]:
    """What the index says, or the one that other programs and earlier versions keep."""
    for path in (_index(folder, name), folder / _FOLDER / f"{name}.txt"):
        with suppress(OSError):
            # No other end of a line: a name may well have a character that Unicode calls one.
            lines = filter(None, os.fsdecode(path.read_bytes()).split("\n"))
            return [re.sub(r"\\(.)", lambda pair: pair[1].replace("n", "\n"), one) for one in lines]
    return []


def _write(path: Path, files: list[str]) -> None:
    """Put the index in its place, whole, where that is allowed."""
    lines = (file.replace("\\", r"\\").replace("\n", r"\n") for file in files)
    data = os.fsencode("".join(f"{line}\n" for line in lines))
    # Data are often mounted read-only; without an index they are listed anew each time.
    with suppress(OSError):
        atomic.write(path, data)


def _index(folder: Path, name: str) -> Path:
    # In one folder, as Keras and others would take a folder of indexes for one more class.
    return folder / f".index-{name.replace('%', '%25').replace(os.sep, '%2F')}.txt"
