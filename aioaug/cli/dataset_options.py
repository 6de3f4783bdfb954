"""The options of `aioaug augment` for datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..data.beside import file_elsewhere
from ..data.opening import FORMATS
from . import console
from .dataset_plan import DatasetRequest, chosen_kind
from .options import PATH, POSITIVE
from .picture_files import PictureFile

Command = TypeVar("Command", bound=Callable[..., Any])


def reading_options(command: Command) -> Command:
    """`--format`, `--images` and `--split`: how a dataset is read."""
    for option in reversed(
        (
            click.option("--format", "kind", type=click.Choice(("auto", *FORMATS, "folder")),
                         default="auto", show_default=True, help="Of the labels in SRC."),
            click.option("--images", type=PATH, help="The folder of COCO and VIA names."),
            click.option("--split", help="Only this one, such as train, of YOLO and VOC."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def dataset_options(command: Command) -> Command:
    """How a dataset is read, `--to`, `--count`, and what goes with these."""
    for option in reversed(
        (
            reading_options,
            click.option("--to", type=click.Choice(FORMATS),
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
    sources: Sequence[Path],
    suffix: str,
    kind: str,
    to: str | None,
    images: Path | None,
    split: str | None,
    count: int | None,
    per_class: bool,
    originals: bool,
) -> DatasetRequest | None:
    """What the options ask for; `None` if the arguments are plain pictures."""
    found = chosen_kind(sources, kind, to)
    if per_class and count is None:
        raise click.UsageError("--per-class needs --count")
    if found is None:
        if split or images or count or originals:
            raise click.UsageError(
                "--split, --images, --count and --include-originals are for datasets"
            )
        return None
    place = None if images is None else str(images)
    return DatasetRequest(
        str(sources[0]), found, to or found, split, place, suffix, count, per_class, originals
    )


def tell_of_labels_elsewhere(sources: Sequence[PictureFile]) -> None:
    """Say so if the pictures are those of a dataset whose labels would stay behind."""
    for source in sources:
        if (file := file_elsewhere(source.path)) is not None:
            console.say(
                f"{source.path} has labels in {file}, which are not augmented with it; "
                "name the folder of the dataset, or say --format folder"
            )
            return
