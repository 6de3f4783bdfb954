"""The figures of a run as tables, plain or in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .peers import OURS, PREINSTALLED
from .trial_spec import UVLOOP
from .workloads import REQUESTS

Document = Mapping[str, Any]
TableRows = Sequence[Sequence[str]]
HEADS = (
    "",
    "batches/s [quartiles]",
    "{time}",
    "aioaug is faster",
    "first batch, s",
    "memory, MiB",
    "loop lag p50 / p99 / max (worst), ms",
)
NOTHING = "-"
TIMES = "\N{MULTIPLICATION SIGN}"


def workload(document: Document, name: str, markdown: bool = False) -> str:
    """The table of one workload, with its title."""
    found = document["workloads"][name]
    # Of single batches that many tasks ask for, what counts is how long each of them waits.
    time = "p50 / p99, ms" if name in REQUESTS else "ms/batch"
    rows = [[head.format(time=time) for head in HEADS], *_ways(document, found["ways"])]
    errors = [
        f"{document['peers'][way]['title']} failed: {figures['error']}"
        for way, figures in found["ways"].items()
        if figures["error"]
    ]
    title = f"**{found['title']}**\n" if markdown else found["title"]
    return "\n".join([title, table(rows, markdown), *errors])


def targets(document: Document, markdown: bool = False) -> str:
    """The table of targets."""
    rows = [("target", "wanted", "measured [quartiles]", "")]
    for target in document["targets"]:
        sign = TIMES if target["unit"] == "times" else " ms"
        at_least = "at_least" in target
        limit = target["at_least" if at_least else "at_most"]
        wanted = f"at {'least' if at_least else 'most'} {limit:g}{sign}"
        verdict = {True: "met", False: "MISSED", None: "not measured"}[target["met"]]
        rows.append((target["about"], wanted, _spread(target["measured"], sign), verdict))
    return table(rows, markdown)


def about(document: Document) -> str:
    """The machine and the settings in words."""
    machine, settings = document["machine"], document["settings"]
    libraries = ", ".join(
        f"{name} {machine[name]}"
        for name in ("numpy", "opencv", "imgaug", "uvloop")
        if machine[name]
    )
    peers = ", ".join(
        f"{peer['title']} {peer['version']}"
        for name, peer in document["peers"].items()
        if name in settings["peers"] and peer["version"] and name not in PREINSTALLED
    )
    took = f"{settings['batches']} batches" if settings["batches"] else f"{settings['seconds']:g} s"
    loop = settings.get("loop", UVLOOP)
    words = [
        f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['system']}, {machine['python']}",
        f"aioaug {document['aioaug']}, {libraries}",
        f"{settings['workers']} workers, {settings['rounds']} rounds of {took} each, on {loop}",
    ]
    return "; ".join([*words, *([peers] if peers else [])]) + "."


def whole(document: Document, markdown: bool = False) -> str:
    """Everything: machine, workloads, targets."""
    tables = [workload(document, name, markdown) for name in document["workloads"]]
    parts = [about(document), *tables]
    if document["targets"]:
        parts.append(targets(document, markdown))
    return "\n\n".join(parts)


def _ways(document: Document, ways: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for way, figures in ways.items():
        rate, lag = figures["batches_per_s"], figures["lag_p50_ms"]
        title = document["peers"][way]["title"]
        if rate is None:
            rows.append((title, "failed", *[NOTHING] * (len(HEADS) - 2)))
            continue
        rows.append(
            (
                title,
                _spread(rate),
                _time(figures),
                NOTHING if way == OURS else _spread(figures["speedup"], TIMES),
                f"{figures['first_s']['median']:.2f}",
                f"{figures['peak_mib']['median']:.0f}" if figures["peak_mib"] else NOTHING,
                _lag(figures) if lag else NOTHING,
            )
        )
    return rows


def _time(figures: Mapping[str, Any]) -> str:
    latencies = figures.get("latency_p50_ms"), figures.get("latency_p99_ms")
    shown = [each["median"] for each in latencies if each] or [figures["ms_per_batch"]["median"]]
    return " / ".join(map(number, shown))


def _lag(figures: Mapping[str, Any]) -> str:
    names = ("lag_p50_ms", "lag_p99_ms", "lag_max_ms")
    median = " / ".join(f"{figures[name]['median']:.1f}" for name in names)
    return f"{median} ({figures['lag_worst_ms']:.1f})"


def _spread(figures: Mapping[str, float] | None, sign: str = "") -> str:
    if not figures:
        return NOTHING
    q1, q3 = number(figures["q1"]), number(figures["q3"])
    return f"{number(figures['median'])}{sign} [{q1}-{q3}]"


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(rows: TableRows, markdown: bool = False) -> str:
    """Rows as a table; the first one is its heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for place, row in enumerate(rows):
        cells = [
            cell.ljust(width) if column == 0 or markdown else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip())
        if place == 0 and markdown:
            rule = ["---", *["--:"] * (len(row) - 1)]
            lines.append(f"|{'|'.join(rule)}|")
    return "\n".join(lines)
