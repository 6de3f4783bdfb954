"""`aioaug preview`: a contact sheet, each original beside what a pipeline makes of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .._base import atomic
from .._base.seeding import check_seed
from .._pictures.contact_sheet import Tile, encode, is_sheet, sheet, tile
from ..data.labels import NamedLabels
from . import console
from .console import showable
from .dataset_options import reading_options
from .dataset_plan import labelled_sources
from .exits import CommandError, Exit
from .interrupts import run_interruptibly
from .options import PATH, POSITIVE, chosen_spec, pipeline_options, source, workers_option
from .picture_augmenter import PictureAugmenter
from .picture_files import PictureFile, Source, real
from .runner import JobResult, JobRunner, RunOptions, read_source


@dataclass(frozen=True)
class PreviewRow:
    """One source and the indices of what is shown beside it.

    `labels` are those of a dataset; labels in a file beside the picture come before its class.
    """

    source: PictureFile
    indices: range
    labels: NamedLabels | None = None


class PreviewTask:
    """Augments one source several times, and makes tiles of the source and its copies."""

    def __init__(self, augmenter: PictureAugmenter, side: int) -> None:
        self._augmenter = augmenter
        self._side = side

    def __call__(self, row: PreviewRow) -> list[Tile]:
        labels: Any
        picture, labels, _ = read_source(row.source.path, row.source.annotations)
        labels = row.labels if labels is None else labels
        tiles = [tile(showable(str(row.source.name)), picture, labels, self._side)]
        for copy, index in enumerate(row.indices):
            augmented = self._augmenter(index, picture, labels)
            tiles.append(tile(f"copy {copy}, index {index}", *augmented, self._side))
        return tiles


@click.command(short_help="Make a contact sheet.")
@click.argument("src", nargs=-1, required=True, type=source)
@click.argument("out", type=PATH)
@click.option("--rows", type=POSITIVE, default=4, show_default=True, help="Sources shown.")
@click.option("--cols", type=POSITIVE, default=4, show_default=True, help="Copies of each.")
@click.option("--side", type=click.IntRange(32, 2048), default=240, show_default=True,
              help="Of a picture's square, in pixels.")  # fmt: skip
@pipeline_options
@workers_option
@reading_options
def preview(
    src: tuple[Source, ...],
    out: Path,
    rows: int,
    cols: int,
    side: int,
    pipeline: str | None,
    preset: str | None,
    seed: int | None,
    workers: int | None,
    kind: str,
    images: Source | None,
    split: str | None,
) -> int:
    """Write a contact sheet of the pictures in SRC as OUT, a PNG.

    SRC may be a labelled dataset, also at a URL. Labels are drawn where there are any. With the
    same seed and --copies COLS, `aioaug augment` makes the pictures that the sheet shows.
    """
    spec = chosen_spec(pipeline, preset)
    _check_out(out)
    sources = labelled_sources(src, kind, images, split, frozenset({real(out)}))
    seed = check_seed(seed)
    jobs = [
        PreviewRow(source, range(position * cols, (position + 1) * cols), labels)
        for position, (source, labels) in enumerate(sources[:rows])
    ]
    runner = JobRunner(
        PreviewTask(PictureAugmenter(spec, seed), side), jobs, RunOptions(workers, batch_size=1)
    )
    strips, skipped = _print(runner, jobs)
    if strips:
        _save(strips, side, out)
        shown = console.counted(len(strips), "picture")
        console.tell(f"{out}: {shown} of {len(sources)}, {spec}, seed {seed}")
    skipped.tell()
    return skipped.exit_code(len(strips))


def _print(
    runner: JobRunner[PreviewRow], rows: Sequence[PreviewRow]
) -> tuple[list[list[Tile]], console.SkippedPictures]:
    strips: dict[int, list[Tile]] = {}
    skipped = console.SkippedPictures()

    async def each(row: PreviewRow, result: JobResult) -> None:
        if result.problem:
            skipped.add(row.source.path, result.problem)
        else:
            strips[row.indices.start] = result.value

    run_interruptibly(runner.run(each))
    return [strips[row.indices.start] for row in rows if row.indices.start in strips], skipped


def _check_out(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise CommandError(f"{out} must end in .png")
    if os.path.isdir(out):
        raise CommandError(f"{out} is a folder")
    if os.path.exists(out) and not is_sheet(out):
        raise CommandError(f"{out} is there already, and is no contact sheet of ours")


def _save(strips: list[list[Tile]], side: int, out: Path) -> None:
    try:
        atomic.write(out, encode(sheet(strips, side)))
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error.strerror}", Exit.OUTPUT) from error
