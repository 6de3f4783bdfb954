"""`aioaug inspect`: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import click

from ..data.annotation import VOID, Annotation
from ..data.labels import NamedLabels, PictureLabels
from . import console
from .dataset_options import reading_options
from .dataset_plan import labelled_sources
from .exits import Exit
from .interrupts import run_interruptibly
from .options import source, workers_option
from .picture_files import PictureFile, Source, load
from .runner import JobResult, JobRunner, RunOptions, read_source

_BATCH = 8
_TOLERANCE = 1.0  # pixels: labels are often rounded


@dataclass(frozen=True)
class InspectedPicture:
    """What a worker finds out about one picture."""

    size: tuple[int, int]
    sha256: str
    things: Counter[str]
    problems: list[str]


@dataclass
class Inspection:
    """What was found out about all pictures."""

    pictures: dict[str, InspectedPicture] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)

    def add(self, name: str, result: JobResult) -> None:
        """Note what was found out about the picture of this name."""
        if name in self.pictures or name in self.unreadable:
            self.twice.add(name)
        elif result.problem:
            self.unreadable[name] = result.problem
        else:
            self.pictures[name] = result.value

    def report(self) -> list[str]:
        """What is in the dataset: numbers of pictures, things and sizes."""
        things = sum((each.things for each in self.pictures.values()), Counter[str]())
        sizes = Counter(each.size for each in self.pictures.values())
        empty = sum(not each.things for each in self.pictures.values())
        lines = [
            f"{console.counted(len(self.pictures) + len(self.unreadable), 'picture')}, "
            f"{console.counted(things.total(), 'label')}, {empty} without labels"
        ]
        if sizes:
            sides = list(zip(*sizes.elements(), strict=True))
            low, middle, high = (
                " x ".join(f"{function(side):g}" for side in sides)
                for function in (min, median, max)
            )
            lines.append(f"sizes {low} to {high}, median {middle}, {len(sizes)} different")
        of_class = Counter(name for each in self.pictures.values() for name in each.things)
        width = max(map(len, things), default=0)
        lines += [
            f"{name:{width}}  {count:7}  in {console.counted(of_class[name], 'picture')}"
            for name, count in sorted(things.items(), key=lambda item: (-item[1], item[0]))
        ]
        return lines

    def problems(self) -> list[str]:
        """What is wrong, a line for each."""
        same: defaultdict[str, list[str]] = defaultdict(list)
        for name, each in self.pictures.items():
            same[each.sha256].append(name)
        lines = [f"{name}: {why}" for name, why in self.unreadable.items()]
        lines += [f"{name}: is listed more than once" for name in self.twice]
        lines += [f"{name}: {why}" for name, each in self.pictures.items() for why in each.problems]
        lines += [f"{', '.join(names)}: the same picture" for names in same.values() if names[1:]]
        return sorted(lines)


class InspectTask:
    """Reads a picture and its labels, and compares them."""

    def __call__(self, source: tuple[PictureFile, NamedLabels | None]) -> InspectedPicture:
        file, named = source
        picture, beside, _ = read_source(file.path, file.annotations)
        digest = hashlib.sha256(load(file.path)).hexdigest()
        # A picture in the folder of its class may have labels beside it, too.
        found = [each for each in (named, beside) if isinstance(each, NamedLabels)]
        annotations: list[tuple[Annotation, str]] = []
        for each in found:
            labels: PictureLabels = each.labels.in_pixels(picture.pixels.shape)
            things = [one for one in labels.annotations if VOID not in one.others]
            annotations += [(one, _name(one, each.classes)) for one in things]
        names = [name for _, name in annotations]
        problems = [
            f"{name}: {why}" for each, name in annotations if (why := _problem(each, picture.size))
        ]
        twice = Counter(
            (name, each.box, each.polygons, each.mask, each.keypoints, each.lines)
            for each, name in annotations
        )
        problems += [f"{key[0]}: the same label {n} times" for key, n in twice.items() if n > 1]
        return InspectedPicture(picture.size, digest, Counter(names), problems)


def _name(each: Annotation, classes: Sequence[str]) -> str:
    if each.category is None:
        return "(no class)"
    return classes[each.category] if each.category < len(classes) else str(each.category)


def _problem(each: Annotation, size: tuple[int, int]) -> str:
    """What is wrong with one label; nothing for those that are not in any place."""
    whole = each.bounds()
    if whole is None:
        return "" if each.mask is None else "the mask is empty"
    # A box may be right where the polygon or the keypoints of the same thing are not.
    parts = [replace(each, box=None, mask=None), replace(each, box=None, mask=None, polygons=())]
    parts.append(replace(parts[1], lines=()))
    inner = (-_TOLERANCE, -_TOLERANCE, size[0] + _TOLERANCE, size[1] + _TOLERANCE)
    for box in filter(None, (whole, *(part.bounds() for part in parts))):
        if box[0] < inner[0] or box[1] < inner[1] or box[2] > inner[2] or box[3] > inner[3]:
            shown = " ".join(f"{number:g}" for number in box)
            return f"out of the picture: {shown} in {size[0]} x {size[1]}"
    return "has no area" if each.has_area() and not each.own_area() else ""


@click.command(short_help="Count and check a dataset.")
@click.argument("src", nargs=-1, required=True, type=source)
@reading_options
@workers_option
def inspect(
    src: tuple[Source, ...],
    kind: str,
    images: Source | None,
    split: str | None,
    workers: int | None,
) -> int:
    """Count what is in SRC, a labelled dataset or pictures, and list what is wrong with it.

    That are pictures that cannot be read or are there twice, and labels that are out of their
    picture, have no area, are there twice or are of a picture of another size. A dataset may be at
    a URL.
    """
    sources = labelled_sources(src, kind, images, split)
    found = Inspection()
    runner = JobRunner(InspectTask(), sources, RunOptions(workers, _BATCH))
    with console.progress(len(sources)) as advance:

        async def each(source: tuple[PictureFile, NamedLabels | None], result: JobResult) -> None:
            found.add(str(source[0].name), result)
            advance()

        run_interruptibly(runner.run(each))
    console.tell(*found.report())
    problems = found.problems()
    for problem in problems:
        console.say(problem)
    return Exit.SKIPPED if problems else Exit.FINE
