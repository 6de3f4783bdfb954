"""`aioaug remake`: one output again, from nothing but the manifest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..augmenters import specs
from ..data.opening import LabelWriter
from ..data.references import is_url
from . import console
from .dataset_plan import DatasetJob, DatasetRequest, make_plan
from .dataset_task import DatasetTask, beside
from .exits import CommandError, Exit
from .interrupts import run_interruptibly
from .manifest import NAME, Manifest, ManifestEntry
from .options import PATH
from .picture_augmenter import PictureAugmenter
from .picture_files import real, seen_from
from .plan import OutputJob
from .runner import AugmentTask, JobResult, JobRunner, RunOptions, WrittenFile


@click.command(short_help="Make a single output again.")
@click.argument("manifest", type=PATH)
@click.argument("index", type=click.IntRange(min=0))
@click.argument("file", type=PATH)
def remake(manifest: Path, index: int, file: Path) -> int:
    """Make the output with this INDEX in MANIFEST again, as FILE, to the byte.

    MANIFEST is a manifest.jsonl or its folder, FILE a file or a folder.
    """
    listed = Manifest(manifest / NAME if os.path.isdir(manifest) else manifest)
    entry = _entry(listed, index)
    spec = _spec(listed, entry)
    augmenter = PictureAugmenter(spec, entry.seed, entry.pipeline_digest, entry.fast)
    task: Callable[..., WrittenFile]
    if entry.dataset is None:
        job = _job(listed, entry, file)
        task = AugmentTask(augmenter, entry.quality)
    else:
        job, writer = _dataset_job(listed, entry, file)
        task = AugmentTask(augmenter, entry.quality)
        if writer is not None:
            task = DatasetTask(augmenter, entry.quality, writer, beside=True)
    differs = False

    async def each(job: OutputJob, result: JobResult) -> None:
        nonlocal differs
        if result.problem:
            raise CommandError(f"{job.source}: {result.problem}")
        differs = result.value.sha256 != entry.sha256

    runner = JobRunner[Any](task, [job], RunOptions(workers=1))
    run_interruptibly(runner.run(each))
    console.tell(f"{job.output} from {job.source}, seed {entry.seed}, index {index}")
    if differs:
        console.say(
            f"{job.output} differs from {entry.output}: "
            "the picture, what the pipeline uses, or a library has changed since"
        )
        return Exit.MANIFEST
    return Exit.FINE


def _entry(manifest: Manifest, index: int) -> ManifestEntry:
    if not manifest.exists:
        raise CommandError(f"there is no manifest {manifest.path}")
    if index not in manifest.entries:
        raise CommandError(f"{manifest.path} has no output with index {index}", Exit.MANIFEST)
    return manifest.entries[index]


def _output(entry: ManifestEntry, file: Path) -> Path:
    suffix = Path(entry.output).suffix
    if os.path.isdir(file):
        file = file / Path(entry.output).name
    if file.suffix.lower() != suffix.lower():
        raise CommandError(f"{file} must end in {suffix}, as {entry.output} does")
    return file


def _dataset_job(
    manifest: Manifest, entry: ManifestEntry, file: Path
) -> tuple[OutputJob, LabelWriter | None]:
    """The job of the plan that the entry is of; its labels are written beside the picture."""
    request = DatasetRequest(**(entry.dataset or {}))
    request = replace(
        request,
        source=_place(manifest, request.source),
        images=request.images and _place(manifest, request.images),
    )
    folder = manifest.path.parent
    plan = make_plan(request, folder, entry.copies)
    job = plan.jobs[entry.index] if entry.index < len(plan.jobs) else None
    if job is None or seen_from(folder, job.source) != entry.source:
        why = f"{request.source} is not what {entry.output} was made of"
        raise CommandError(why, Exit.MANIFEST)
    output = _output(entry, file)
    written = replace(job, output=output).files()
    if isinstance(job, DatasetJob):
        names = [file.relative_to(folder) for file in job.label_files]
        written = [output, *beside(output, names)]
        job = replace(job, label_files=())
    for path in () if is_url(request.source) else written:
        if real(path).is_relative_to(real(Path(request.source))):
            raise CommandError(f"{path} is in the dataset, which is not written to")
    return replace(job, output=output), plan.writer


def _place(manifest: Manifest, source: str) -> str:
    """The path or URL behind one that an entry holds."""
    return source if is_url(source) else str(manifest.place_of(source))


def _job(manifest: Manifest, entry: ManifestEntry, file: Path) -> OutputJob:
    file = _output(entry, file)
    source = manifest.place_of(entry.source)
    notes = () if entry.annotations is None else (_like(source, entry.annotations),)
    kept = set()
    for each in manifest.entries.values():
        path = real(manifest.place_of(each.source))
        kept |= {path, path if each.annotations is None else _like(path, each.annotations)}
    job = OutputJob(entry.index, entry.copy, source, notes, file)
    for path in job.files():
        if real(path) in kept:
            raise CommandError(f"{path} is a source, and would be overwritten")
    return job


def _like(path: Path, other: str) -> Path:
    """`path` with the suffix of another one."""
    return path.with_suffix(Path(other).suffix)


def _spec(manifest: Manifest, entry: ManifestEntry) -> str:
    """The entry's spec; `CommandError` for a file that is not the one the output was made with.

    It is compared before anything of it runs, and again by the worker that loads it.
    """
    place, _, name = entry.pipeline.rpartition(":")
    path = real(manifest.place_of(place))
    spec = specs.check(f"{path}:{name}" if place.endswith(".py") else entry.pipeline)
    if specs.fingerprint(spec) != entry.pipeline_digest:
        why = f"{path} is not what {entry.output} was made with, so it is not run"
        raise CommandError(why, Exit.MANIFEST)
    return spec
