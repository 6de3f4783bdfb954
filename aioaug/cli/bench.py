"""`aioaug bench`: measures aioaug and other libraries on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .._base import atomic, system
from .._base.optional import need
from ..bench import kernels, tables, web
from ..bench.measure import BenchSettings, measure
from ..bench.peers import OURS, PEERS, POOL, SERIAL, usual_peers
from ..bench.trial_spec import LOOPS, UVLOOP, TrialSpec
from ..bench.workloads import ALBUMENTATIONS, GROUPS, IMGAUG, STREAMS, WORKLOADS
from .console import say, showable, tell
from .exits import CommandError, Exit
from .interrupts import run_interruptibly
from .options import PATH, POSITIVE

_QUICK = BenchSettings(("identity", "tiny"), (SERIAL, POOL), rounds=1, seconds=0.2)
_USUAL = BenchSettings(tuple(STREAMS), usual_peers())
_ON_CLUSTERS = ("typical",)

_KERNELS = "kernels"
_WEB = "web"
_NOT_WITH = {
    _KERNELS: ("peers", "engine", "seconds", "batches", "plot", "load"),
    _WEB: ("peers", "engine", "batches", "plot", "load", "into", "json_file"),
}
_CLIENTS = 50  # of servers, each with one request at a time
_END = "<!-- end -->"  # what --into renews is between `_mark` and this


def _split_peers(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...]:
    names = tuple(name for name in (value or "").split(",") if name)
    for name in names:
        if name not in PEERS:
            raise click.BadParameter(f"no peer {name!r}; there are {', '.join(PEERS)}")
    return names


@click.command(short_help="Measure how fast it is, beside others.")
@click.argument("workload", nargs=-1, type=click.Choice((*GROUPS, *WORKLOADS, _KERNELS, _WEB)))
@click.option("--peers", callback=_split_peers, metavar="A,B",
              help=f"Of {', '.join(PEERS)}.  [default: all that are installed]")  # fmt: skip
@click.option("--engine", type=click.Choice(("dask", "ray")),
              help="Measure it on a cluster of this machine, beside processes.")  # fmt: skip
@click.option("--augmenter", type=click.Choice((IMGAUG, ALBUMENTATIONS)), default=IMGAUG,
              show_default=True, help="The library whose augmenters do the work.")  # fmt: skip
@click.option("--rounds", type=POSITIVE, help="Of each way.  [default: 5]")
@click.option("--workers", type=POSITIVE, default=2, show_default=True, help="Of each way.")
@click.option("--seconds", type=click.FloatRange(min=0.01), help="A round.  [default: 2]")
@click.option("--batches", type=POSITIVE, help="A round takes so many in place of seconds.")
@click.option("--loop", type=click.Choice(LOOPS), default=UVLOOP, show_default=True,
              help="What asynchronous libraries run on.")  # fmt: skip
@click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write every figure.")
@click.option("--plot", type=PATH, metavar="DIR", help="Write charts.")
@click.option("--markdown", is_flag=True, help="Print tables in Markdown.")
@click.option("--into", type=PATH, metavar="FILE.md", help="Renew the tables in FILE.md.")
@click.option("--load", type=PATH, metavar="FILE", help="Run nothing, show what --json wrote.")
@click.option("--quick", is_flag=True, help="A few seconds: does it work at all?")
def bench(
    workload: tuple[str, ...],
    peers: tuple[str, ...],
    engine: str | None,
    augmenter: str,
    rounds: int | None,
    workers: int,
    seconds: float | None,
    batches: int | None,
    loop: str,
    json_file: Path | None,
    plot: Path | None,
    markdown: bool,
    into: Path | None,
    load: Path | None,
    quick: bool,
) -> int:
    """Measure aioaug beside other ways to augment the same batches: WORKLOADs, or the usual ones.

    "requests" stands for those where many tasks ask for one batch after the other, "buffers" for
    streams with small buffers. "files" decodes JPEGs, and "train" makes tensors of them.

    Rounds are interleaved, each in a process of its own. Whatever the figures, the exit code is 0.
    The workload `kernels` is another thing: single augmenters in this process, in ms a picture,
    with --rounds, --json, --markdown, --into and --quick. So is `web`: 50 clients send pictures to
    an app of aioaug.web and to one on an executor, with --rounds, --seconds, --markdown, --quick.
    """
    alone = next((name for name in (_KERNELS, _WEB) if name in workload), "")
    if alone:
        _check_alone(alone, workload)
    if alone == _WEB:
        return _measure_web(rounds, seconds, markdown, quick)
    if alone == _KERNELS:
        return _measure_kernels(rounds or (1 if quick else 7), json_file, markdown, into, quick)
    if load is not None:
        document = _read(load)
    else:
        default = _default(engine, quick)
        settings = BenchSettings(
            _workloads(workload, default.workloads, augmenter),
            _installed(peers or default.peers),
            rounds or default.rounds,
            workers,
            seconds or default.seconds,
            batches,
            loop,
            engine,
        )
        document = _run(settings, markdown, json_file)
    if load is not None or markdown:
        tell(*tables.whole(document, markdown).split("\n"))
    elif document["targets"]:
        tell(*tables.targets(document).split("\n"))
    if into is not None:
        text = tables.whole(document, markdown=True)
        _write(into, _renewed(into, _mark(document), text))
    if plot is not None:
        _plot(document, plot)
    return Exit.FINE


def _default(engine: str | None, quick: bool) -> BenchSettings:
    """What is measured if nobody says more."""
    default = _QUICK if quick else _USUAL
    if engine is None:
        return default
    return replace(default, workloads=_ON_CLUSTERS, peers=usual_peers(engine))


def _check_alone(name: str, workload: tuple[str, ...]) -> None:
    """Refuse options and workloads that do not go with this one, which is measured by itself."""
    if len(workload) > 1:
        raise click.UsageError(f"{name} cannot be measured together with workloads")
    given = click.get_current_context().params
    for option in _NOT_WITH[name]:
        if given[option]:
            raise click.UsageError(f"{name} goes without --{option.removesuffix('_file')}")


def _named(workloads: Sequence[str]) -> tuple[str, ...]:
    """The workloads, with the members of a group in its place."""
    return tuple(name for given in workloads for name in GROUPS.get(given, (given,)))


def _run(settings: BenchSettings, quiet: bool, json_file: Path | None) -> dict[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    if load > system.available() / 2:
        say(f"this machine is busy (load {load:.1f}); the figures will be worse, and less certain")

    def done(name: str, document: dict[str, Any]) -> None:
        if json_file is not None:  # after each workload: an interrupted run keeps its figures
            _write(json_file, json.dumps(document, indent=1) + "\n")
        if not quiet:
            tell(*tables.workload(document, name).split("\n"), "")

    with _progress(settings) as heard:
        return run_interruptibly(measure(settings, heard, done))


def _workloads(asked: Sequence[str], default: Sequence[str], library: str) -> Sequence[str]:
    """The workloads that were asked for, or the default ones, with augmenters of the library."""
    if library == IMGAUG:
        return _named(asked) or default
    need(library, extra=library)
    there = tuple(name for name in STREAMS if f"{name}-{library}" in WORKLOADS)
    for name in asked:
        if name not in there:
            raise CommandError(f"{name} has no augmenter of {library}; {', '.join(there)} has one")
    return tuple(f"{name}-{library}" for name in asked or there)


def _measure_kernels(
    rounds: int, json_file: Path | None, markdown: bool, into: Path | None, quick: bool
) -> int:
    batch, side = (4, 64) if quick else (64, 224)
    figures = {}
    for name, found in kernels.measure_kernels(tuple(kernels.KERNELS), rounds, batch, side):
        figures[name] = found
        if json_file is not None:  # after each kernel: an interrupted run keeps its figures
            document = kernels.as_document(figures, rounds, batch, side)
            _write(json_file, json.dumps(document, indent=1) + "\n")
        say(f"{name}: done")
    tell(*kernels.as_table(figures, markdown).split("\n"))
    if into is not None:
        table = kernels.as_table(figures, markdown=True)
        _write(into, _renewed(into, kernels.mark(), table))
    return Exit.FINE


def _measure_web(rounds: int | None, seconds: float | None, markdown: bool, quick: bool) -> int:
    figures: dict[str, list[web.WebFigures]] = {way: [] for way in web.WAYS}
    rounds, seconds = rounds or (1 if quick else 3), seconds or (0.5 if quick else 5)
    for way, found in web.measure_web(rounds, seconds, _CLIENTS):
        figures[way].append(found)
        say(f"web, {way}: {found.per_second:.0f} requests/s")
    tell(*web.as_web_table(figures, markdown).split("\n"))
    return Exit.FINE


def _installed(names: Sequence[str]) -> tuple[str, ...]:
    """aioaug and those of the peers that are installed; says how to install the others."""
    for name in names:
        peer = PEERS[name]
        if peer.missing:
            say(f"{peer.title} is not installed; run: {peer.install}")
    return (OURS, *(name for name in names if name != OURS and not PEERS[name].missing))


@contextmanager
def _progress(
    settings: BenchSettings,
) -> Iterator[Callable[[int, TrialSpec, dict[str, Any]], object]]:
    """A progress bar where stderr is a terminal, otherwise a line for each trial."""
    bar = None
    if sys.stderr.isatty():
        bar = need("tqdm", extra="cli").tqdm(
            total=settings.trials, unit=" trials", dynamic_ncols=True, leave=False
        )

    def heard(number: int, job: TrialSpec, figures: dict[str, Any]) -> None:
        told = figures.get("error") or f"{tables.number(figures['batches_per_s'])} batches/s"
        line = f"{job.workload}, round {number} of {settings.rounds}, {job.way}: {told}"
        if bar is None:
            say(line)
        else:
            bar.set_postfix_str(showable(line))
            bar.update()

    try:
        yield heard
    finally:
        if bar is not None:
            bar.close()


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        document["workloads"], document["targets"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CommandError(f"{path} holds no figures of `aioaug bench`") from error
    return document


def _mark(document: dict[str, Any]) -> str:
    """What stands in a page before the tables of such workloads."""
    if engine := document["settings"].get("engine"):
        return f"<!-- aioaug bench --engine {engine} -->"
    groups = [name for name in GROUPS if set(document["workloads"]) <= set(GROUPS[name])]
    return f"<!-- aioaug bench{''.join(f' {name}' for name in groups[:1])} -->"


def _renewed(path: Path, mark: str, text: str) -> str:
    """The page with what stands behind this mark replaced."""
    try:
        before, _, rest = path.read_text("utf-8").partition(mark)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read") from error
    _, end, after = rest.partition(_END)
    if not end:
        raise CommandError(f"{path} has no {mark} ... {_END}")
    return f"{before}{mark}\n\n{text}\n\n{_END}{after}"


def _write(path: Path, text: str) -> None:
    try:
        atomic.write(path, text.encode(errors="backslashreplace"))
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", Exit.OUTPUT) from error


def _plot(document: dict[str, Any], folder: Path) -> None:
    need("matplotlib", extra="bench")
    from ..bench import charts

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in charts.draw(document, folder):
            say(f"wrote {path}")
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror}", Exit.OUTPUT) from error
