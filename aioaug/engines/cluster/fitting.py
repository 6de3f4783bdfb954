"""Whether a cluster's workers have what the program has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from ..._worker.parcels import OTHERS, VITAL
from ...errors import ClusterMismatch


def check_versions(worker: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise `ClusterMismatch` where calls could not work, and warn where pixels may differ.

    Both are what `parcels.versions` found, `there` on the worker.
    """
    differing = {name: (there.get(name, ""), here[name]) for name in (*VITAL, *OTHERS)}
    differing = {name: pair for name, pair in differing.items() if pair[0] != pair[1]}
    if not differing:
        return
    text = ", ".join(
        f"{name} {found or 'missing'} (here {wanted or 'missing'})"
        for name, (found, wanted) in differing.items()
    )
    if any(name in VITAL for name in differing) or not there.get("imgaug"):
        raise ClusterMismatch(
            f"the worker {worker} has {text}; install the same versions on all machines"
        )
    warnings.warn(
        f"the worker {worker} has {text}; pixels may differ from those of other workers",
        RuntimeWarning,
        stacklevel=2,
    )
