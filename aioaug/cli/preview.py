"""`aioaug preview`: a contact sheet, each original beside what a pipeline makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .. import atomic
from ..darkroom import Darkroom
from ..seeding import check_seed
from ..sheets import Tile, encode, is_sheet, sheet, tile
from . import report
from .exits import Exit, Problem
from .interrupts import run_interruptibly
from .options import PATH, POSITIVE, chosen_recipe, pipeline_options, workers_option
from .report import showable
from .sources import Source, find, real
from .work import Crew, Report, Shift, read_source


@dataclass(frozen=True)
class Row:
    """One source and the indices of what is shown beside it."""

    source: Source
    indices: range


class Printer:
    """Augments one source some times, and makes small pictures of it all."""

    def __init__(self, darkroom: Darkroom, side: int) -> None:
        self._darkroom = darkroom
        self._side = side

    def __call__(self, row: Row) -> list[Tile]:
        picture, notes = read_source(row.source.path, row.source.annotations)
        tiles = [tile(showable(str(row.source.name)), picture, notes, self._side)]
        for copy, index in enumerate(row.indices):
            augmented = self._darkroom(index, picture, notes)
            tiles.append(tile(f"copy {copy}, index {index}", *augmented, self._side))
        return tiles


@click.command(short_help="Make a contact sheet.")
@click.argument("src", nargs=-1, required=True, type=PATH)
@click.argument("out", type=PATH)
@click.option("--rows", type=POSITIVE, default=4, show_default=True, help="Sources shown.")
@click.option("--cols", type=POSITIVE, default=4, show_default=True, help="Copies of each.")
@click.option("--side", type=click.IntRange(32, 2048), default=240, show_default=True,
              help="Of a picture's square, in pixels.")  # fmt: skip
@pipeline_options
@workers_option
def preview(
    src: tuple[Path, ...],
    out: Path,
    rows: int,
    cols: int,
    side: int,
    pipeline: str | None,
    preset: str | None,
    seed: int | None,
    workers: int | None,
) -> int:
    """Write a contact sheet of the pictures in SRC as OUT, a PNG.

    Keypoints and boxes are drawn where there are any. With the same seed and --copies COLS,
    `aioaug augment` makes the pictures that the sheet shows.
    """
    recipe = chosen_recipe(pipeline, preset)
    _check_out(out)
    sources = find(src, frozenset({real(out)}))
    seed = check_seed(seed)
    jobs = [
        Row(source, range(position * cols, (position + 1) * cols))
        for position, source in enumerate(sources[:rows])
    ]
    shift = Shift(Printer(Darkroom(recipe, seed), side), jobs, Crew(workers, batch_size=1))
    strips, skipped = _print(shift, jobs)
    if strips:
        _save(strips, side, out)
        shown = report.counted(len(strips), "picture")
        report.tell(f"{out}: {shown} of {len(sources)}, {recipe}, seed {seed}")
    skipped.tell()
    return skipped.exit_code(len(strips))


def _print(shift: Shift[Row], rows: Sequence[Row]) -> tuple[list[list[Tile]], report.Skipped]:
    strips: dict[int, list[Tile]] = {}
    skipped = report.Skipped()

    async def each(row: Row, result: Report) -> None:
        if result.problem:
            skipped.add(row.source.path, result.problem)
        else:
            strips[row.indices.start] = result.value

    run_interruptibly(shift.run(each))
    return [strips[row.indices.start] for row in rows if row.indices.start in strips], skipped


def _check_out(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise Problem(f"{out} must end in .png")
    if out.is_dir():
        raise Problem(f"{out} is a folder")
    if out.exists() and not is_sheet(out):
        raise Problem(f"{out} is there already, and is no contact sheet of ours")


def _save(strips: list[list[Tile]], side: int, out: Path) -> None:
    try:
        atomic.write(out, encode(sheet(strips, side)))
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}", Exit.OUTPUT) from error
