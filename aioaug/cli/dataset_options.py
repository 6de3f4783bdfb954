"""The options of `aioaug augment` for datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..data.beside import file_elsewhere, files_beside
from ..data.opening import FORMATS
from . import console
from .dataset_plan import DatasetRequest, chosen_kind
from .exits import CommandError
from .options import POSITIVE, source
from .picture_files import Source

Command = TypeVar("Command", bound=Callable[..., Any])


def reading_options(command: Command) -> Command:
    """`--format`, `--images` and `--split`: how a dataset is read."""
    for option in reversed(
        (
            click.option("--format", "kind", type=click.Choice(("auto", *FORMATS, "folder")),
                         default="auto", show_default=True, help="Of the labels in SRC."),
            click.option("--images", type=source, metavar="PATH",
                         help="The folder of COCO and VIA names."),
            click.option("--split", help="Only this one, such as train."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def dataset_options(command: Command) -> Command:
    """How a dataset is read, `--to`, `--count`, and what goes with these."""
    for option in reversed(
        (
            reading_options,
            click.option("--to", type=click.Choice((*FORMATS, "folder")),
                         help="Of the labels in DST.  [default: as in SRC]"),
            click.option("--count", type=POSITIVE,
                         help="So many pictures in all, in place of --copies."),
            click.option("--per-class", is_flag=True,
                         help="With --count: until each class has so many things."),
            click.option("--include-originals", "originals", is_flag=True,
                         help="DST gets the pictures of SRC, too."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def dataset_request(
    sources: Sequence[Source],
    suffix: str,
    kind: str,
    to: str | None,
    images: Source | None,
    split: str | None,
    count: int | None,
    per_class: bool,
    originals: bool,
) -> DatasetRequest | None:
    """What the options ask for; `None` if the arguments are plain pictures."""
    found = chosen_kind(sources, kind)
    if per_class and count is None:
        raise click.UsageError("--per-class needs --count")
    if to is not None and found is None:
        raise CommandError(f"--to needs one dataset that is recognised, got {_shown(sources)}")
    if to == "folder" != found:
        raise CommandError("--to folder: only of pictures that are in the folders of their classes")
    wanted = split or images or count or originals or to
    if found is None and wanted:
        raise click.UsageError(
            "--split, --images, --count and --include-originals are for datasets"
        )
    if found is None or (found == "folder" and not wanted):
        return None
    place = None if images is None else str(images)
    return DatasetRequest(
        str(sources[0]), found, to or found, split, place, suffix, count, per_class, originals
    )


def tell_of_labels_elsewhere(pictures: Iterable[Path]) -> None:
    """Say so if the pictures are those of a dataset whose labels would stay behind."""
    for path in pictures:
        if (file := file_elsewhere(path)) is not None:
            console.say(
                f"{path} has labels in {file}, which are not augmented with it; "
                "name the folder of the dataset, or say --format folder"
            )
            return


def tell_of_labels_beside(pictures: Iterable[Path]) -> None:
    """Say so if there are labels beside pictures, of which only the classes become others."""
    for path in pictures:
        for file in files_beside(path):
            console.say(f"{file} stays behind: --to takes the classes of pictures in folders only")
            return


def _shown(sources: Sequence[Source]) -> str:
    return str(sources[0]) if len(sources) == 1 else f"{len(sources)} arguments"
