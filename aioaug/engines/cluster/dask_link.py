"""How a cluster of Dask is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DaskLink:
    """A client or the address of a scheduler, and how long to wait; see `DaskEngine`."""

    client: Any
    direct: bool | None
    patience: float
    reconnect: float
