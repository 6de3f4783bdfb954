"""`aioaug augment`: pictures in, augmented pictures and a manifest out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from .._aio.tasks import finish, in_thread
from .._base import atomic
from .._base.seeding import check_seed
from ..data.opening import LabelWriter
from . import console, plan
from .dataset_options import (
    dataset_options,
    dataset_request,
    tell_of_labels_beside,
    tell_of_labels_elsewhere,
)
from .dataset_plan import make_plan
from .dataset_task import DatasetTask, write_dataset_files
from .exits import Interrupted
from .interrupts import run_interruptibly
from .manifest import Manifest, ManifestEntry, relative
from .options import PATH, POSITIVE, chosen_spec, pipeline_options, source, workers_option
from .picture_augmenter import PictureAugmenter
from .picture_files import Source, seen_from
from .runner import AugmentTask, JobResult, JobRunner, RunOptions, WrittenFile

QUALITY = click.IntRange(1, 100)
_SUFFIXES = ("bmp", "jpg", "png", "tiff", "webp")


@click.command(short_help="Augment pictures into a folder.")
@click.argument("src", nargs=-1, required=True, type=source)
@click.argument("dst", type=PATH)
@click.option("--copies", type=POSITIVE, default=1, show_default=True, help="Outputs a picture.")
@pipeline_options
@workers_option
@click.option("--batch-size", type=POSITIVE, default=4, show_default=True, help="Outputs a call.")
@click.option("--buffer", type=POSITIVE, help="Outputs under way at once.  [default: 4 calls each]")
@click.option("--suffix", type=click.Choice(_SUFFIXES), help="Of the outputs.  "
              "[default: the source's own]")  # fmt: skip
@dataset_options
@click.option("--quality", type=QUALITY, default=95, show_default=True, help="Of JPEG and WebP.")
@click.option("--fast", is_flag=True, help="Faster, and the pictures may differ by a grey level.")
def augment(
    src: tuple[Source, ...],
    dst: Path,
    copies: int,
    pipeline: str | None,
    preset: str | None,
    seed: int | None,
    workers: int | None,
    batch_size: int,
    buffer: int | None,
    suffix: str | None,
    quality: int,
    fast: bool,
    **of_dataset: Any,
) -> int:
    """Augment the pictures in SRC (files, or folders with all their subfolders) into DST.

    SRC may be a dataset, such as in COCO's, YOLO's or VOC's format, also at a URL; DST is one, too.
    DST gets the pictures and a manifest.jsonl. Interrupted, the same command does the rest.
    Labels beside NAME.jpg are augmented along: NAME.json (ours or labelme's), NAME.xml (VOC's),
    NAME.txt (YOLO's).
    """
    spec = chosen_spec(pipeline, preset)
    manifest = plan.read_manifest(dst, src)
    if seed is None:
        seed = next((entry.seed for entry in manifest.entries.values()), None)
    ending = f".{suffix}" if suffix else ""
    request = dataset_request(src, ending, **of_dataset)
    about = None if request is None else request.as_json(dst)
    settings = plan.settings_for(spec, check_seed(seed), copies, quality, fast, dst, about)
    augmenter = PictureAugmenter(spec, settings.seed, settings.pipeline_digest, fast)
    writer: LabelWriter | None = None
    if request is None:
        jobs = plan.make_jobs(plan.find_sources(src, manifest), dst, copies, ending)
    else:
        made = make_plan(request, dst, copies)
        jobs, writer = made.jobs, made.writer
    task: Callable[..., WrittenFile] = AugmentTask(augmenter, quality)
    if writer is not None:
        task = DatasetTask(augmenter, quality, writer)
    pictures = dict.fromkeys(job.source for job in jobs if isinstance(job.source, Path))
    if of_dataset["kind"] == "auto" and (request is None or request.kind == "folder"):
        tell_of_labels_elsewhere(pictures)
    if writer is not None and request is not None and request.kind == "folder":
        tell_of_labels_beside(pictures)
    left = plan.left_to_do(jobs, manifest, settings)
    run = _Run(manifest, settings, jobs, len(left), writer)
    return run(JobRunner[Any](task, left, RunOptions(workers, batch_size, buffer)))


class _Run:
    """Runs the jobs, lists their outputs in the manifest, and reports to the user."""

    def __init__(
        self,
        manifest: Manifest,
        settings: plan.AugmentSettings,
        jobs: Sequence[plan.OutputJob],
        left: int,
        writer: LabelWriter | None,
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._writer = writer
        self._folders = {path.parent for job in jobs for path in job.files()}
        self._total = len(jobs)
        self._before = self._done = self._total - left
        self._skipped = console.SkippedPictures()

    def __call__(self, runner: JobRunner[plan.OutputJob]) -> int:
        console.say(f"seed {self._settings.seed}")
        if self._before:
            console.say(f"{self._progress()} are there already")
        if self._manifest.exists:
            self._remove_drafts()
        self._manifest.start()
        began = time.perf_counter()
        if self._before < self._total:
            self._work(runner)
        self._manifest.finish()
        if self._writer is not None:
            entries = self._manifest.entries
            records = [entries[index].record for index in sorted(entries)]
            write_dataset_files(self._writer, records, self._manifest.path.parent)
        self._sum_up(time.perf_counter() - began)
        self._skipped.tell()
        return self._skipped.exit_code(self._done)

    def _work(self, runner: JobRunner[plan.OutputJob]) -> None:
        try:
            with console.progress(self._total, self._before) as advance:

                async def each(job: plan.OutputJob, result: JobResult) -> None:
                    await self._note(job, result)
                    advance()

                run_interruptibly(runner.run(each))
        except Interrupted as signal:
            signal.hint = f"{self._progress()} are done; the same command does the rest"
            raise
        finally:
            # The next run would take a file that the manifest does not list for the user's own.
            for job in runner.under_way.values():
                job.clean_up()
            self._remove_drafts()

    def _remove_drafts(self) -> None:
        for folder in self._folders:
            atomic.remove_drafts(folder)

    async def _note(self, job: plan.OutputJob, result: JobResult) -> None:
        if result.problem:
            self._skipped.add(job.source, result.problem)
            await finish(in_thread(job.clean_up))
            return
        entry = self._entry(job, result.value)
        await finish(in_thread(self._list, entry))  # or half a line would be left

    def _list(self, entry: ManifestEntry) -> None:
        self._manifest.append(entry)
        self._done += 1

    def _entry(self, job: plan.OutputJob, written: WrittenFile) -> ManifestEntry:
        folder = self._manifest.path.parent
        notes = None if written.annotations is None else relative(written.annotations, folder)
        return ManifestEntry(
            source=seen_from(folder, job.source),
            output=relative(job.output, folder),
            copy=job.copy,
            index=job.index,
            annotations=notes,
            size=written.size,
            sha256=written.sha256,
            record=written.record,
            **vars(self._settings),
        )

    def _progress(self) -> str:
        return f"{self._done} of {console.counted(self._total, 'picture')}"

    def _sum_up(self, seconds: float) -> None:
        made = self._done - self._before
        console.tell(
            f"{console.counted(made, 'picture')} in {seconds:.1f} s, "
            f"{made / seconds:.1f} pictures/s, in {self._manifest.path.parent}"
        )
