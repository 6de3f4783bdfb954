"""`aioaug remake`: one output again, from nothing but the manifest."""

from __future__ import annotations

from pathlib import Path

import click

from .. import recipes
from ..darkroom import Darkroom
from ..sidecars import beside
from . import report
from .exits import Exit, Problem
from .interrupts import run_interruptibly
from .manifest import NAME, Entry, Manifest
from .options import PATH
from .plan import Job
from .sources import real
from .work import Crew, Developer, Report, Shift


@click.command(short_help="Make a single output again.")
@click.argument("manifest", type=PATH)
@click.argument("index", type=click.IntRange(min=0))
@click.argument("file", type=PATH)
def remake(manifest: Path, index: int, file: Path) -> int:
    """Make the output with this INDEX in MANIFEST again, as FILE, to the byte.

    MANIFEST is a manifest.jsonl or its folder, FILE a file or a folder.
    """
    listed = Manifest(manifest / NAME if manifest.is_dir() else manifest)
    entry = _entry(listed, index)
    job = _job(listed, entry, file)
    recipe = _recipe(listed, entry)
    differs = False

    async def each(job: Job, result: Report) -> None:
        nonlocal differs
        if result.problem:
            raise Problem(f"{job.source}: {result.problem}")
        differs = result.value.sha256 != entry.sha256

    darkroom = Darkroom(recipe, entry.seed, entry.pipeline_digest)
    shift = Shift(Developer(darkroom, entry.quality), [job], Crew(workers=1))
    run_interruptibly(shift.run(each))
    report.tell(f"{job.output} from {job.source}, seed {entry.seed}, index {index}")
    if differs:
        report.say(
            f"{job.output} differs from {entry.output}: "
            "the picture, what the pipeline uses, or a library has changed since"
        )
        return Exit.MANIFEST
    return Exit.FINE


def _entry(manifest: Manifest, index: int) -> Entry:
    if not manifest.exists:
        raise Problem(f"there is no manifest {manifest.path}")
    if index not in manifest.entries:
        raise Problem(f"{manifest.path} has no output with index {index}", Exit.MANIFEST)
    return manifest.entries[index]


def _job(manifest: Manifest, entry: Entry, file: Path) -> Job:
    suffix = Path(entry.output).suffix
    if file.is_dir():
        file = file / Path(entry.output).name
    if file.suffix.lower() != suffix.lower():
        raise Problem(f"{file} must end in {suffix}, as {entry.output} does")
    source = manifest.place_of(entry.source)
    notes = None if entry.annotations is None else beside(source)
    kept = {real(manifest.place_of(each.source)) for each in manifest.entries.values()}
    kept |= {beside(path) for path in kept}
    for path in (file, beside(file)):
        if real(path) in kept:
            raise Problem(f"{path} is a source, and would be overwritten")
    return Job(entry.index, entry.copy, source, notes, file)


def _recipe(manifest: Manifest, entry: Entry) -> str:
    """The entry's recipe; `Problem` for a file that is not the one that the output was made with.

    It is compared before anything of it runs, and again by the worker that loads it.
    """
    place, _, name = entry.pipeline.rpartition(":")
    path = real(manifest.place_of(place))
    recipe = recipes.check(f"{path}:{name}" if place.endswith(".py") else entry.pipeline)
    if recipes.fingerprint(recipe) != entry.pipeline_digest:
        why = f"{path} is not what {entry.output} was made with, so it is not run"
        raise Problem(why, Exit.MANIFEST)
    return recipe
