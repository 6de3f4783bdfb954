"""All rounds of a run, interleaved, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from .._base import system
from .._base.versions import installed_version
from .figures import judged, summaries
from .files import make_files
from .peers import PEERS
from .trial_spec import UVLOOP, TrialSpec
from .workloads import WORKLOADS, Workload

# How long a trial may take, beside the seconds that it is to measure: one that hangs must end.
_PATIENCE = 180.0

Heard = Callable[[int, TrialSpec, dict[str, Any]], object]
Done = Callable[[str, dict[str, Any]], object]


@dataclass(frozen=True)
class BenchSettings:
    """What a run consists of; `peers` are those that are installed."""

    workloads: Sequence[str]
    peers: Sequence[str]
    rounds: int = 5
    workers: int = 2
    seconds: float = 2.0
    batches: int | None = None
    loop: str = UVLOOP
    engine: str | None = None  # the cluster whose peers these are

    def jobs(self, workload: str) -> list[TrialSpec]:
        """The trials of one round with one workload."""
        return [
            TrialSpec(peer, workload, self.workers, self.seconds, self.batches, self.loop)
            for peer in self.peers
            if PEERS[peer].takes(WORKLOADS[workload])
        ]

    @property
    def trials(self) -> int:
        """How many trials there are in all."""
        return self.rounds * sum(len(self.jobs(workload)) for workload in self.workloads)


async def measure(settings: BenchSettings, heard: Heard, done: Done) -> dict[str, Any]:
    """Do all rounds; `heard` is told of every trial, `done` of every workload.

    Returns a document of everything, fit for JSON; `done` gets it as it is so far.
    """
    document: dict[str, Any] = {
        "aioaug": __version__,
        "machine": this_machine(),
        "settings": asdict(settings),
        "peers": {
            peer.name: {
                "title": peer.title,
                "version": peer.version,
                "install": peer.install if peer.missing else None,
            }
            for peer in PEERS.values()
        },
        "workloads": {},
    }
    for name in settings.workloads:
        workload = WORKLOADS[name]
        rounds: dict[str, list[dict[str, Any]]] = {job.way: [] for job in settings.jobs(name)}
        async with _folder(workload) as folder:
            for number in range(1, settings.rounds + 1):
                for job in settings.jobs(name):
                    figures = await trial(replace(job, folder=folder))
                    rounds[job.way].append(figures)
                    heard(number, job, figures)
        document["workloads"][name] = {
            "title": workload.title,
            "megabytes": workload.megabytes,
            "chunksize": workload.chunksize,
            "ways": summaries(rounds),
        }
        document["targets"] = judged(document["workloads"])
        done(name, document)
    return document


@asynccontextmanager
async def _folder(workload: Workload) -> AsyncIterator[str]:
    """A folder with the pictures of a workload that reads files, for as long as it is measured."""
    if not workload.files:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="aioaug-bench-") as folder:
        await asyncio.to_thread(make_files, folder)
        yield folder


async def trial(job: TrialSpec) -> dict[str, Any]:
    """Run one trial as a program; its figures, or the error that it ended with."""
    command = [sys.executable, "-m", "aioaug.bench.trial", job.dumps()]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    try:
        patience = _PATIENCE + 5 * job.seconds
        out, err = await asyncio.wait_for(process.communicate(), patience)
    except TimeoutError:
        return {"error": f"took longer than {patience:.0f} s"}
    finally:
        if process.returncode != 0:
            await _kill(process)
    if process.returncode:
        lines = err.decode(errors="replace").strip().splitlines()
        return {"error": lines[-1] if lines else f"exit code {process.returncode}"}
    figures: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return figures


async def _kill(process: Process) -> None:
    """End a trial and all that it has started."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await process.wait()


def this_machine() -> dict[str, Any]:
    """What the figures depend on, in words."""
    return {
        "cpu": _cpu(),
        "cpus": system.available(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        **{name: installed_version(name) for name in ("numpy", "imgaug", "uvloop")},
        "opencv": installed_version("opencv-python-headless") or installed_version("opencv-python"),
    }


def _cpu() -> str | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None
