"""`aioaug augment`: pictures in, augmented pictures and a manifest out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from .. import atomic
from .._tasks import finish, in_thread
from ..darkroom import Darkroom
from ..seeding import check_seed
from ..sidecars import beside
from . import plan, report
from .exits import Interrupted
from .interrupts import run_interruptibly
from .manifest import Entry, Manifest, relative
from .options import PATH, POSITIVE, chosen_recipe, pipeline_options, workers_option
from .work import Crew, Developer, Report, Shift, Written

QUALITY = click.IntRange(1, 100)
_FORMATS = ("bmp", "jpg", "png", "tiff", "webp")


@click.command(short_help="Augment pictures into a folder.")
@click.argument("src", nargs=-1, required=True, type=PATH)
@click.argument("dst", type=PATH)
@click.option("--copies", type=POSITIVE, default=1, show_default=True, help="Outputs a picture.")
@pipeline_options
@workers_option
@click.option("--batch-size", type=POSITIVE, default=4, show_default=True, help="Outputs a call.")
@click.option("--buffer", type=POSITIVE, help="Outputs under way at once.  [default: 4 calls each]")
@click.option("--format", "suffix", type=click.Choice(_FORMATS), help="[default: the source's own]")
@click.option("--quality", type=QUALITY, default=95, show_default=True, help="Of JPEG and WebP.")
def augment(
    src: tuple[Path, ...],
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
) -> int:
    """Augment the pictures in SRC (files, or folders with all their subfolders) into DST.

    DST gets the pictures and a manifest.jsonl. Interrupted, the same command does the rest.
    Keypoints and boxes in NAME.json beside NAME.jpg are augmented along.
    """
    recipe = chosen_recipe(pipeline, preset)
    manifest = plan.read_manifest(dst, src)
    if seed is None:
        seed = next((entry.seed for entry in manifest.entries.values()), None)
    settings = plan.settings_for(recipe, check_seed(seed), copies, quality, dst)
    sources = plan.find_sources(src, manifest)
    jobs = plan.make_jobs(sources, dst, copies, f".{suffix}" if suffix else "")
    left = plan.left_to_do(jobs, manifest, settings)
    run = _Run(manifest, settings, jobs, left=len(left))
    developer = Developer(Darkroom(recipe, settings.seed, settings.pipeline_digest), quality)
    return run(Shift(developer, left, Crew(workers, batch_size, buffer)))


class _Run:
    """The work itself, and what is said about it."""

    def __init__(
        self, manifest: Manifest, settings: plan.Settings, jobs: Sequence[plan.Job], left: int
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._folders = {job.output.parent for job in jobs}
        self._total = len(jobs)
        self._before = self._done = self._total - left
        self._skipped = report.Skipped()

    def __call__(self, shift: Shift[plan.Job]) -> int:
        report.say(f"seed {self._settings.seed}")
        if self._before:
            report.say(f"{self._progress()} are there already")
        if self._manifest.exists:
            self._remove_drafts()
        self._manifest.start()
        began = time.perf_counter()
        if self._before < self._total:
            self._work(shift)
        self._manifest.finish()
        self._sum_up(time.perf_counter() - began)
        self._skipped.tell()
        return self._skipped.exit_code(self._done)

    def _work(self, shift: Shift[plan.Job]) -> None:
        try:
            with report.progress(self._total, self._before) as advance:

                async def each(job: plan.Job, result: Report) -> None:
                    await self._note(job, result)
                    advance()

                run_interruptibly(shift.run(each))
        except Interrupted as signal:
            signal.hint = f"{self._progress()} are done; the same command does the rest"
            raise
        finally:
            # A file that the manifest does not list would look like somebody else's.
            for job in shift.under_way.values():
                job.clean_up()
            self._remove_drafts()

    def _remove_drafts(self) -> None:
        for folder in self._folders:
            atomic.remove_drafts(folder)

    async def _note(self, job: plan.Job, result: Report) -> None:
        if result.problem:
            self._skipped.add(job.source, result.problem)
            await finish(in_thread(job.clean_up))
            return
        entry = self._entry(job, result.value)
        await finish(in_thread(self._list, entry))  # half a line is no use

    def _list(self, entry: Entry) -> None:
        self._manifest.append(entry)
        self._done += 1

    def _entry(self, job: plan.Job, written: Written) -> Entry:
        folder = self._manifest.path.parent
        notes = relative(beside(job.output), folder) if written.annotations else None
        return Entry(
            source=relative(job.source, folder),
            output=relative(job.output, folder),
            copy=job.copy,
            index=job.index,
            annotations=notes,
            size=written.size,
            sha256=written.sha256,
            **vars(self._settings),
        )

    def _progress(self) -> str:
        return f"{self._done} of {report.counted(self._total, 'picture')}"

    def _sum_up(self, seconds: float) -> None:
        made = self._done - self._before
        report.tell(
            f"{report.counted(made, 'picture')} in {seconds:.1f} s, "
            f"{made / seconds:.1f} pictures/s, in {self._manifest.path.parent}"
        )
