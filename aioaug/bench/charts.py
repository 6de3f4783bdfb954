"""The figures of a run as pictures: speed, loop lag, start and memory, latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from .._base import atomic
from .figures import TARGETS
from .peers import OURS
from .tables import number
from .workloads import REQUESTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Document = Mapping[str, Any]
Bar = tuple[str, float, float, float]  # way, median, lower and upper quartile

_OURS, _THEIRS, _INK, _FAINT = "#d1495b", "#8fa3b8", "#22303c", "#d9dfe5"
_GREY = "#66727d"
_LINES = ("#22303c", "#5b7c99", "#8fa3b8", "#c2a05b")
_FAR = 20  # longest to shortest bar: from here on the scale is logarithmic
_LAG = {"lag_p50_ms": "#b9c7d6", "lag_p99_ms": "#5b7c99", "lag_max_ms": "#22303c"}
_LAG_LABELS = {"lag_p50_ms": "median", "lag_p99_ms": "99th percentile", "lag_max_ms": "maximum"}


def draw(document: Document, folder: Path) -> list[Path]:
    """Write all charts that there are figures for; returns their paths."""
    drawn = []
    for name, chart in (
        ("speed", speed(document)),
        ("lag", lag(document)),
        ("start-and-memory", start_and_memory(document)),
        ("requests", requests(document)),
    ):
        if chart is not None:
            path = folder / f"performance-{name}.png"
            with atomic.replacing(path) as file:
                chart.savefig(file, dpi=130, format="png")
            drawn.append(path)
    return drawn


def speed(document: Document) -> Figure | None:
    """Batches a second of every way, a panel for each workload."""
    names = [name for name in _streams(document) if _bars(document, name, "batches_per_s")]
    if not names:
        return None
    most = max(len(document["workloads"][name]["ways"]) for name in names)
    rows = -(-len(names) // 2)
    columns = min(2, len(names))
    figure = _figure(5.6 * columns, rows * (0.75 + 0.27 * most) + 0.7)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, name in zip(panels, names, strict=False):
        _panel(panel, document, name, "batches_per_s", number)
        _widen(panel, document, name)
        panel.set_title(_short(document, name), loc="left", fontsize=9, color=_INK)
    for panel in panels[len(names) :]:
        panel.remove()
    _headline(figure, document, "Batches per second (longer is better; thin lines: quartiles)")
    return figure


def _widen(axes: Axes, document: Document, name: str) -> None:
    """Make the scale logarithmic where the shortest bar could hardly be seen otherwise."""
    medians = [median for _, median, _, _ in _bars(document, name, "batches_per_s")]
    if max(medians) < _FAR * min(medians):
        return
    axes.set_xscale("log")
    axes.set_xlim(min(medians) / 4, max(medians) * 4)
    axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
    axes.annotate("logarithmic scale", (1, 0), xycoords="axes fraction", ha="right", va="bottom",
                  fontsize=7.5, style="italic", color=_GREY)  # fmt: skip


def start_and_memory(document: Document) -> Figure | None:
    """The time to the first batch and the memory, of the first workload."""
    name = next(iter(_streams(document)), None)
    if name is None or not _bars(document, name, "first_s"):
        return None
    ways = len(document["workloads"][name]["ways"])
    figure = _figure(11.2, 1.5 + 0.27 * ways)
    left, right = figure.subplots(1, 2)
    _panel(left, document, name, "first_s", lambda value: f"{value:.2f} s")
    left.set_title("From nothing to the first batch", loc="left", fontsize=10, color=_INK)
    _panel(right, document, name, "peak_mib", lambda value: f"{value:.0f} MiB")
    right.set_title("Memory, with all workers", loc="left", fontsize=10, color=_INK)
    about = f"{_short(document, name)} (shorter is better)"
    _headline(figure, document, about)
    return figure


def lag(document: Document) -> Figure | None:
    """How late the event loop was with the largest batches, and what is aimed at."""
    name = max(
        _streams(document),
        key=lambda name: document["workloads"][name]["megabytes"],
        default=None,
    )
    if name is None or not _bars(document, name, "lag_max_ms"):
        return None
    ways = [bar[0] for bar in _bars(document, name, "lag_max_ms")]
    figure = _figure(9.0, 1.7 + 0.42 * len(ways))
    axes = figure.subplots()
    titles = [document["peers"][way]["title"] for way in ways]
    for offset, (figures, colour) in enumerate(_LAG.items()):
        bars = {way: median for way, median, _, _ in _bars(document, name, figures)}
        places = [place + (offset - 1) * 0.26 for place in range(len(ways))]
        lengths = [max(bars[way], 0.05) for way in ways]
        axes.barh(places, lengths, 0.24, color=colour, label=_LAG_LABELS[figures])
        for place, way in zip(places, ways, strict=True):
            axes.annotate(number(bars[way]), (max(bars[way], 0.05), place), (3, 0), va="center",
                          textcoords="offset points", fontsize=7.5, color=_INK)  # fmt: skip
    _limits(axes, name)
    axes.set_xscale("log")
    axes.set_xlim(0.04, axes.get_xlim()[1] * 2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ms")
    figure.legend(loc="outside lower right", ncols=3, fontsize=8, frameon=False)
    _tidy(axes, titles)
    axes.grid(axis="x", color=_FAINT, linewidth=0.7)
    about = f"How late a 1 ms timer of the event loop is, {_short(document, name)}"
    _headline(figure, document, about)
    return figure


def requests(document: Document) -> Figure | None:
    """How long a request takes with so many tasks that ask, a panel for each size of batch."""
    names = [name for name in document["workloads"] if name in REQUESTS]
    shapes = {REQUESTS[name].shape: "x".join(map(str, REQUESTS[name].shape)) for name in names}
    if not names:
        return None
    figure = _figure(3.9 * len(shapes) + 1.6, 3.6)
    panels = figure.subplots(1, len(shapes), squeeze=False).flatten()
    for panel, (shape, title) in zip(panels, shapes.items(), strict=True):
        of_shape = [name for name in names if REQUESTS[name].shape == shape]
        ways = {way for name in of_shape for way in document["workloads"][name]["ways"]}
        for place, way in enumerate(sorted(ways, key=lambda way: (way != OURS, way))):
            found = [
                (REQUESTS[name].tasks, document["workloads"][name]["ways"][way]["latency_p50_ms"])
                for name in of_shape
            ]
            points = [(tasks, latency["median"]) for tasks, latency in found if latency]
            panel.plot(*zip(*points, strict=True) if points else ((), ()), marker="o", ms=4,
                       color=_OURS if way == OURS else _LINES[(place - 1) % len(_LINES)],
                       lw=2.2 if way == OURS else 1.4,
                       label=document["peers"][way]["title"])  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks([1, 10, 100], ["1", "10", "100"])
        panel.set_xticks([], minor=True)
        panel.yaxis.set_minor_formatter(LogFormatter())  # else as powers of ten
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g} ms")
        panel.set_title(title, loc="left", fontsize=9, color=_INK)
        panel.set_xlabel("tasks that ask", fontsize=8, color=_GREY)
        panel.grid(color=_FAINT, linewidth=0.7)
        panel.tick_params(labelsize=8, labelcolor=_INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    _headline(figure, document, "How long half of the requests take at most (lower is better)")
    return figure


def _streams(document: Document) -> list[str]:
    return [name for name in document["workloads"] if name not in REQUESTS]


def _limits(axes: Axes, name: str) -> None:
    for target in TARGETS:
        if target.workload == name and target.figure in _LAG:
            axes.axvline(target.limit, color=_OURS, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            label = f"aim: {_LAG_LABELS[target.figure]}\n{target.limit:g} ms"
            axes.annotate(label, (target.limit, 1), (0, 2), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
                          color=_OURS)  # fmt: skip


def _panel(
    axes: Axes, document: Document, name: str, figures: str, label: Callable[[float], str]
) -> None:
    """Horizontal bars, one a way; the longest and the label behind it fit in."""
    bars = _bars(document, name, figures)
    medians = [bar[1] for bar in bars]
    errors = [
        [max(0.0, median - low) for _, median, low, _ in bars],
        [max(0.0, high - median) for _, median, _, high in bars],
    ]
    colours = [_OURS if way == OURS else _THEIRS for way, *_ in bars]
    axes.barh(range(len(bars)), medians, 0.68, color=colours, xerr=errors,
              error_kw={"ecolor": _INK, "elinewidth": 0.9})  # fmt: skip
    for place, (_, median, _, high) in enumerate(bars):
        axes.annotate(label(median), (max(median, high), place), (4, 0), va="center",
                      textcoords="offset points", fontsize=9, color=_INK)  # fmt: skip
    longest = max((max(bar[1], bar[3]) for bar in bars), default=1.0)
    axes.set_xlim(0, longest * 1.2 or 1)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    _tidy(axes, [document["peers"][way]["title"] for way, *_ in bars])


def _bars(document: Document, name: str, figures: str) -> list[Bar]:
    ways = document["workloads"][name]["ways"]
    return [
        (way, found["median"], found["q1"], found["q3"])
        for way, found in ((way, each[figures]) for way, each in ways.items())
        if found
    ]


def _short(document: Document, name: str) -> str:
    shape, _, about = str(document["workloads"][name]["title"]).partition(", ")
    return f"{shape}\n{about}"


def _figure(width: float, height: float) -> Figure:
    return Figure((width, height), layout="constrained", facecolor="white")


def _tidy(axes: Axes, titles: Sequence[str]) -> None:
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.tick_params(length=0, labelsize=9, labelcolor=_INK)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for label in axes.get_yticklabels():
        if label.get_text() == OURS:
            label.set_fontweight("bold")


def _headline(figure: Figure, document: Document, text: str) -> None:
    settings, machine = document["settings"], document["machine"]
    figure.suptitle(text, x=0.01, ha="left", fontsize=12, fontweight="bold", color=_INK)
    figure.supxlabel(
        f"{machine['cpus']} CPUs, {settings['workers']} workers, median of "
        f"{settings['rounds']} rounds; {machine['system']}, {machine['python']}",
        x=0.01, ha="left", fontsize=8, color=_GREY,
    )  # fmt: skip
