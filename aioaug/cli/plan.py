"""What a run is going to do, checked before it does anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .. import _pictures
from ..augmenters import specs
from .exits import CommandError, Exit
from .manifest import NAME, Manifest, relative
from .picture_files import PictureFile, Source, find, real, seen_from

ORIGINAL = -1  # the number of the copy that is no copy


@dataclass(frozen=True)
class OutputJob:
    """One output to make: what a worker has to know."""

    index: int
    copy: int
    source: Source
    annotations: tuple[Path, ...]
    output: Path

    def files(self) -> list[Path]:
        """What the job may write."""
        suffixes = (notes.suffix for notes in self.annotations)
        return [self.output, *map(self.output.with_suffix, suffixes)]

    def clean_up(self) -> None:
        """Remove what an unfinished job may have written."""
        for path in self.files():
            with suppress(OSError):
                path.unlink()


@dataclass(frozen=True)
class AugmentSettings:
    """The settings that have to be the same if a run continues an earlier one."""

    seed: int
    copies: int
    pipeline: str
    pipeline_digest: str
    quality: int
    fast: bool
    dataset: dict[str, Any] | None = None


def read_manifest(destination: Path, sources: Sequence[Source]) -> Manifest:
    """The manifest in DST, there or not yet; `CommandError` if DST cannot be a destination."""
    if os.path.exists(destination) and not os.path.isdir(destination):
        raise CommandError(f"{destination} is a file, the last argument must be a folder")
    target = real(destination)
    for source in sources:
        if (
            isinstance(source, Path)
            and os.path.isdir(source)
            and real(source).is_relative_to(target)
        ):
            raise CommandError(
                f"{destination} holds the source folder {source}; write to another one"
            )
    manifest = Manifest(destination / NAME)
    if os.path.islink(manifest.path) or (os.path.exists(manifest.path) and not manifest.exists):
        # Through a link we would write to another file, and a pipe would make us wait.
        raise CommandError(f"{manifest.path} is no file of its own", Exit.MANIFEST)
    return manifest


def find_sources(arguments: Sequence[Source], manifest: Manifest) -> list[PictureFile]:
    """The pictures in the arguments, without those that an earlier run has made."""
    made = {real(manifest.place_of(entry.output)) for entry in manifest.entries.values()}
    return find(arguments, frozenset({*made, real(manifest.path.parent)}))


def make_jobs(
    sources: Sequence[PictureFile], destination: Path, copies: int, suffix: str
) -> list[OutputJob]:
    """All outputs of a run, by index. The suffix is the source's own if none is given."""
    digits = len(str(copies - 1))
    jobs = []
    for position, source in enumerate(sources):
        for copy in range(copies):
            output = destination / name_of_copy(source.name, copy, digits, suffix)
            index = position * copies + copy
            jobs.append(OutputJob(index, copy, source.path, source.annotations, output))
    refuse_collisions(jobs)
    _refuse_overwriting(jobs, sources)
    return jobs


def name_of_copy(name: PurePosixPath, copy: int, digits: int, suffix: str) -> PurePosixPath:
    """The name of a copy of a picture; the suffix is the picture's own if none is given."""
    ending = suffix or _pictures.written_suffix(name.suffix)
    return name.with_name(f"{name.stem}-{copy:0{digits}d}{ending}")


def left_to_do(
    jobs: Sequence[OutputJob], manifest: Manifest, settings: AugmentSettings
) -> list[OutputJob]:
    """The jobs that an earlier run has not done; `CommandError` if it was another kind of run."""
    if not manifest.exists:
        for job in jobs:
            if os.path.exists(job.output):
                raise CommandError(f"{job.output} is there already, and no {NAME} that lists it")
        return list(jobs)
    folder = manifest.path.parent
    for index, entry in manifest.entries.items():
        for name, now in vars(settings).items():
            then = getattr(entry, name)
            if then != now:
                _does_not_fit(manifest, f"was made with {_named(name, then)}, not {now}")
        source = seen_from(folder, jobs[index].source) if index < len(jobs) else "nothing"
        if source != entry.source:
            _does_not_fit(manifest, f"has {entry.source} as number {index}, not {source}")
        output = relative(jobs[index].output, folder)
        if output != entry.output:
            _does_not_fit(manifest, f"has {entry.output} as number {index}, not {output}")
    return [
        job for job in jobs if job.index not in manifest.entries or not os.path.exists(job.output)
    ]


def settings_for(
    pipeline: str,
    seed: int,
    copies: int,
    quality: int,
    fast: bool,
    folder: Path,
    dataset: dict[str, Any] | None = None,
) -> AugmentSettings:
    """The settings as the manifest in `folder` holds them: a path is relative to it."""
    place, _, name = pipeline.rpartition(":")
    shown = f"{relative(Path(place), folder)}:{name}" if place.endswith(".py") else pipeline
    digest = specs.fingerprint(pipeline)
    return AugmentSettings(seed, copies, shown, digest, quality, fast, dataset)


def _does_not_fit(manifest: Manifest, why: str) -> None:
    raise CommandError(
        f"{manifest.path} {why}; take another folder, or the same again", Exit.MANIFEST
    )


def _named(name: str, value: object) -> str:
    return f"{name.replace('_', ' ')} {value}"


def refuse_collisions(jobs: Sequence[OutputJob]) -> None:
    """Refuse two outputs of one name; some disks do not tell upper from lower case."""
    seen: dict[str, OutputJob] = {}
    for job in jobs:
        for file in job.files():
            other = seen.setdefault(str(file).casefold(), job)
            if other is not job:
                raise CommandError(
                    f"{other.source} and {job.source} would both be written to {file}"
                )


def _refuse_overwriting(jobs: Sequence[OutputJob], sources: Sequence[PictureFile]) -> None:
    ours = [
        path
        for source in sources
        for path in (source.path, *source.annotations)
        if isinstance(path, Path)
    ]
    known = {str(way).casefold() for path in ours for way in (path.absolute(), real(path))}
    folders: dict[Path, Path] = {}
    for job in jobs:
        parent = job.output.parent
        folder = folders.setdefault(parent, real(parent))
        for file in job.files():
            if str(folder / file.name).casefold() in known:
                raise CommandError(f"{file} is a source, and would be overwritten")
