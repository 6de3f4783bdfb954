"""`aioaug doctor`: what this machine has, and what aioaug will use of it."""

from __future__ import annotations

import ctypes.util
import importlib
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import click

from .. import __version__, _imgaug
from .._base import cgroups, system
from .._base.versions import installed_version
from ..engines.process.worker_process import context_for
from .console import tell
from .exits import Exit, Interrupted, one_line
from .interrupts import run_interruptibly
from .options import PATH, chosen_spec, pipeline_options
from .pipeline_times import augmenter_times, lines
from .runner import JobResult, JobRunner, RunOptions

_IMGAUGS = ("imgaug", "imaug")
_LIBRARIES = ("numpy", *_IMGAUGS, "pillow", "anyio", "uvloop", "click", "tqdm", "scikit-image")
_OPENCVS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
_MEMORY = "/dev/shm"
_REMEDY = "keep imgaug 0.4.0 or imaug 0.4.3 alone, as docs/imgaug.md says"
Fact = str | int | float | bool | None | list[str]


@click.command(short_help="Tell what there is, and what aioaug will do with it.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@pipeline_options
@click.option("--picture", type=PATH, help="What the pipeline is measured on.  [default: 224x224]")
def doctor(
    as_json: bool,
    pipeline: str | None,
    preset: str | None,
    seed: int | None,
    picture: Path | None,
) -> int:
    """Print cores, quotas, memory, versions, and what aioaug will do with them.

    With --pipeline or --preset, print instead which of its augmenters take the time.
    """
    if pipeline is not None or preset is not None:
        times = augmenter_times(chosen_spec(pipeline, preset), seed or 0, picture)
        tell(*(_as_json([time._asdict() for time in times]) if as_json else lines(times)))
        return Exit.FINE
    if seed is not None or picture is not None:
        raise click.UsageError("--seed and --picture need --pipeline or --preset")
    problems = _problems()
    facts = {**_machine(), **_libraries(), **_decisions(), "a trial": _trial(problems)}
    facts["problems"] = problems
    if as_json:
        tell(*_as_json(facts))
    else:
        width = max(map(len, facts))
        for name, fact in facts.items():
            tell(f"{name:{width}}  {_shown(fact)}")
    return Exit.INPUT if problems else Exit.FINE


def _machine() -> dict[str, Fact]:
    quota = cgroups.quota()
    return {
        "aioaug": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "affinity": system.affinity(),
        "cgroup quota": None if quota is None else round(quota, 2),
        "memory": f"{system.free_memory() >> 20} MB free of {system.memory() >> 20} MB",
        "shared memory": _shared_memory(),
        "libGL": ctypes.util.find_library("GL"),
    }


def _libraries() -> dict[str, Fact]:
    opencv = [f"{name} {installed_version(name)}" for name in _OPENCVS if installed_version(name)]
    return {**{name: installed_version(name) for name in _LIBRARIES}, "opencv": opencv}


def _decisions() -> dict[str, Fact]:
    loop = "uvloop" if installed_version("uvloop") else "asyncio"
    return {
        "workers": system.available(),
        "engine": "process",
        "start method": context_for(None).get_start_method(),
        "event loop": loop,
    }


def _problems() -> list[str]:
    """What will not work, each with its remedy where there is one."""
    problems = []
    for name in ("cv2", "PIL.Image", "imgaug.augmenters"):
        try:
            importlib.import_module(name)
        except Exception as error:
            problems.append(f"{name} cannot be imported: {one_line(error)}")
    if "imgaug" in sys.modules and not _imgaug.is_known():
        version = sys.modules["imgaug"].__version__
        problems.append(
            f"aioaug does not mend imgaug {version}: where augmenters share imgaug's generator, "
            f"as in threads, results may depend on more than the seed; {_REMEDY}"
        )
    if all(map(installed_version, _IMGAUGS)):
        problems.append(f"imgaug and imaug overwrite each other; {_REMEDY}")
    flavours = {name: installed_version(name) for name in _OPENCVS if installed_version(name)}
    if len(set(flavours.values())) > 1:  # of one version, as imaug requires, they do not differ
        problems.append(f"{' and '.join(flavours)} overwrite each other; keep one of them")
    return problems


def _trial(problems: list[str]) -> str:
    """Start one worker and have it do something; what goes wrong is one more problem."""
    began = time.perf_counter()

    async def nothing(_: int, result: JobResult) -> None:
        pass

    try:
        run_interruptibly(JobRunner(abs, [-1], RunOptions(workers=1)).run(nothing))
    except Interrupted:
        raise
    except Exception as error:
        problems.append(f"a worker process cannot be started: {one_line(error)}")
        return "failed"
    return f"a worker started, worked and left in {time.perf_counter() - began:.1f} s"


def _shared_memory() -> str | None:
    try:
        usage = shutil.disk_usage(_MEMORY)
    except OSError:
        return None
    return f"{_MEMORY}, {usage.free >> 20} MB free of {usage.total >> 20} MB"


def _as_json(value: object) -> list[str]:
    return json.dumps(value, indent=2).split("\n")


def _shown(fact: Fact) -> str:
    if isinstance(fact, list):
        return "; ".join(fact) or "none"
    return "none" if fact is None else str(fact)
