"""The ways to augment that are compared, and what has to be installed for each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util

from .._base.versions import installed_version
from .workloads import ALBUMENTATIONS, IMGAUG, Workload

OURS = "aioaug"
SERIAL, POOL, TORCH = "serial", "imgaug", "torch"
_EVERY = (IMGAUG, ALBUMENTATIONS)
PREINSTALLED = (OURS, SERIAL, "serial-threads", POOL)  # aioaug needs no more than these


@dataclass(frozen=True)
class Peer:
    """One way to augment: `module` is what it needs, in the distribution `package`."""

    name: str
    title: str
    module: str
    package: str
    install: str = "pip install 'aioaug[bench]'"
    chunks: bool = True
    augmenters: tuple[str, ...] = (IMGAUG,)  # the libraries whose augmenters it runs

    def runs(self, what: Workload) -> bool:
        """Whether the workload can be measured with it."""
        return what.augmenter in self.augmenters and (self.chunks or what.chunksize == 1)

    @property
    def version(self) -> str | None:
        """The version that is installed, or `None`."""
        return installed_version(self.package)

    @property
    def missing(self) -> bool:
        """Whether it is not there, and `install` would help."""
        return util.find_spec(self.package) is None


PEERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, "aioaug", "aioaug", "aioaug", augmenters=_EVERY),
        Peer(SERIAL, "serial imgaug", "imgaug", "imgaug"),
        Peer("serial-threads", "serial, OpenCV's threads", "imgaug", "imgaug"),
        Peer(POOL, "imgaug.multicore.Pool", "imgaug.multicore", "imgaug"),
        Peer(
            TORCH,
            "PyTorch DataLoader",
            "torch.utils.data",
            "torch",
            "pip install torch (its CPU build is enough, and small; pytorch.org tells how)",
            chunks=False,
            augmenters=_EVERY,
        ),
        Peer("spdl", "SPDL, processes", "spdl.pipeline", "spdl"),
        Peer("grain", "Grain", "grain", "grain", chunks=False),
        Peer("joblib", "joblib, loky", "joblib", "joblib"),
    )
}
