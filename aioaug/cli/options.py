"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .._base.seeding import SEED_LIMIT
from .._base.system import worker_count
from ..augmenters import specs
from ..augmenters.presets import PRESETS
from ..data.references import is_url
from .picture_files import Source

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT_PRESET = "standard"

PATH = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)


def source(value: str) -> Source:
    """An argument that is a path, or a URL that fsspec understands: a path has no two slashes."""
    return value if is_url(value) else Path(value)


def pipeline_options(command: Command) -> Command:
    """`--pipeline`, `--preset` and `--seed`."""
    pipeline = click.option(
        "--pipeline",
        metavar="FILE.py:NAME",
        help="An augmenter, a function that returns one, or a callable batch -> batch; "
        "MODULE:NAME works too.",
    )
    preset = click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        help=f"A built-in pipeline, {DEFAULT_PRESET} unless told otherwise.",
    )
    seed = click.option(
        "--seed",
        type=click.IntRange(0, SEED_LIMIT),
        help="The same seed makes the same pictures; drawn if it is not given.",
    )
    return pipeline(preset(seed(command)))


def workers_option(command: Command) -> Command:
    """`--workers`."""
    return click.option(
        "--workers",
        type=int,
        callback=_check_workers,
        help="Processes; a negative number leaves that many CPUs free.  [default: all CPUs]",
    )(command)


def chosen_spec(pipeline: str | None, preset: str | None) -> str:
    """The spec that the two options together ask for."""
    if pipeline is not None and preset is not None:
        raise click.UsageError("--pipeline and --preset exclude each other")
    return specs.check(pipeline or f"preset:{preset or DEFAULT_PRESET}")


def _check_workers(
    context: click.Context, parameter: click.Parameter, value: int | None
) -> int | None:
    try:
        worker_count(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value
