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
    recipe, digest = _recipe(listed, entry)
    problems: list[str] = []

    async def each(job: Job, result: Report) -> None:
        if result.problem:
            raise Problem(f"{job.source}: {result.problem}")
        if result.value.sha256 != entry.sha256:
            problems.append("the picture, the pipeline or a library has changed since")

    shift = Shift(Developer(Darkroom(recipe, entry.seed), entry.quality), [job], Crew(workers=1))
    run_interruptibly(shift.run(each))
    click.echo(f"{job.output} from {job.source}, seed {entry.seed}, index {index}")
    if digest != entry.pipeline_digest:
        problems.insert(0, f"{recipe.rpartition(':')[0]} has changed since")
    if problems:
        report.say(f"{job.output} may differ from {entry.output}: {problems[0]}")
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
    kept = {manifest.place_of(each.source).resolve() for each in manifest.entries.values()}
    kept |= {beside(path) for path in kept}
    for path in (file, beside(file)):
        if path.resolve() in kept:
            raise Problem(f"{path} is a source, and would be overwritten")
    return Job(entry.index, entry.copy, source, notes, file)


def _recipe(manifest: Manifest, entry: Entry) -> tuple[str, str]:
    place, _, name = entry.pipeline.rpartition(":")
    path = manifest.place_of(place).resolve()
    recipe = recipes.check(f"{path}:{name}" if place.endswith(".py") else entry.pipeline)
    return recipe, recipes.fingerprint(recipe)
