"""The ways to augment that are compared, and what has to be installed for each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util

from .._base.versions import installed_version
from .workloads import ALBUMENTATIONS, IMGAUG, Workload

OURS = "aioaug"
SERIAL, POOL, TORCH = "serial", "imgaug", "torch"
EXECUTOR = "executor"
_EVERY = (IMGAUG, ALBUMENTATIONS)
PREINSTALLED = (
    OURS,
    SERIAL,
    "serial-threads",
    POOL,
    EXECUTOR,
    "to-thread",
)  # aioaug needs no more than these


@dataclass(frozen=True)
class Peer:
    """One way to augment: `module` is what it needs, in the distribution `package`.

    It is for `streams` of batches, takes whole `lists`, is asked for single ones by many tasks, or
    reads `files`, or makes `tensors` of them.
    """

    name: str
    title: str
    module: str
    package: str
    install: str = "pip install 'aioaug[bench]'"
    chunks: bool = True
    streams: bool = True
    requests: bool = False
    lists: bool = False
    files: bool = False
    tensors: bool = False
    engine: str = ""  # the cluster that it runs on, and is measured on only if it is asked for
    augmenters: tuple[str, ...] = (IMGAUG,)  # the libraries whose augmenters it runs

    @property
    def version(self) -> str | None:
        """The version that is installed, or `None`."""
        return installed_version(self.package)

    @property
    def missing(self) -> bool:
        """Whether it is not there, and `install` would help."""
        return util.find_spec(self.package) is None

    def takes(self, workload: Workload) -> bool:
        """Whether it can be measured with this workload."""
        if workload.augmenter not in self.augmenters:
            return False
        if workload.files:
            return self.tensors if workload.tensors else self.files
        if workload.tasks:
            return self.requests
        if workload.listed:
            return self.lists
        return self.streams and (self.chunks or workload.chunksize == 1)


_PYTORCH = "pip install torch (its CPU build is enough, and small; pytorch.org tells how)"


def _for_files(name: str, title: str, module: str, package: str) -> Peer:
    return Peer(name, title, module, package, _PYTORCH, streams=False, files=True)


def _for_requests(name: str, title: str, module: str, package: str) -> Peer:
    return Peer(name, title, module, package, streams=False, requests=True)


def _on_cluster(name: str, title: str, engine: str, module: str) -> Peer:
    install = f"pip install 'aioaug[{engine}]'"
    return Peer(name, title, module, module, install, engine=engine)


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            OURS,
            "aioaug",
            "aioaug",
            "aioaug",
            requests=True,
            lists=True,
            files=True,
            tensors=True,
            augmenters=_EVERY,
        ),
        Peer(SERIAL, "serial imgaug", "imgaug", "imgaug"),
        Peer("serial-threads", "serial, OpenCV's threads", "imgaug", "imgaug"),
        Peer(POOL, "imgaug.multicore.Pool", "imgaug.multicore", "imgaug", lists=True),
        Peer(
            TORCH,
            "PyTorch DataLoader",
            "torch.utils.data",
            "torch",
            _PYTORCH,
            chunks=False,
            augmenters=_EVERY,
        ),
        Peer("spdl", "SPDL, processes", "spdl.pipeline", "spdl"),
        Peer("spdl-subprocess", "SPDL, subprocess", "spdl.pipeline", "spdl", chunks=False),
        Peer(
            "spdl-shared", "SPDL, shared memory", "spdl.pipeline", "spdl", chunks=False, files=True
        ),
        Peer("grain", "Grain", "grain", "grain", chunks=False, files=True),
        Peer(
            "torch-train",
            "PyTorch DataLoader, Albumentations",
            "torch.utils.data",
            "torch",
            _PYTORCH,
            streams=False,
            tensors=True,
        ),
        Peer(
            "torchvision-train",
            "PyTorch DataLoader, torchvision",
            "torchvision.transforms.v2",
            "torchvision",
            _PYTORCH,
            streams=False,
            tensors=True,
        ),
        _for_files("torch-pillow", "PyTorch DataLoader, Pillow", "torch.utils.data", "torch"),
        _for_files(
            "torch-albumentations",
            "PyTorch DataLoader, OpenCV, Albumentations",
            "torch.utils.data",
            "torch",
        ),
        Peer("joblib", "joblib, loky", "joblib", "joblib"),
        _for_requests(EXECUTOR, "ProcessPoolExecutor", "concurrent.futures", "imgaug"),
        _for_requests("to-thread", "asyncio.to_thread", "asyncio", "imgaug"),
        _for_requests("anyio", "anyio.to_process", "anyio.to_process", "anyio"),
        _for_requests(
            "aiomultiprocess", "aiomultiprocess.Pool", "aiomultiprocess", "aiomultiprocess"
        ),
        _on_cluster("dask", "aioaug, DaskEngine", "dask", "distributed"),
        _on_cluster("dask-map", "Dask, client.map", "dask", "distributed"),
        _on_cluster("ray", "aioaug, RayEngine", "ray", "ray"),
        _on_cluster("ray-tasks", "Ray, remote function", "ray", "ray"),
    )
}


def usual_peers(engine: str | None = None) -> tuple[str, ...]:
    """Those that are measured if nobody says which; with an engine, it and what is beside it."""
    if engine is not None:
        return (OURS, *(name for name, peer in PEERS.items() if peer.engine == engine))
    return tuple(name for name, peer in PEERS.items() if not peer.engine)
