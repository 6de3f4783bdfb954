"""Workers as processes, each supervised on its own: a death costs one call, not the pool."""

from __future__ import annotations

from .engine import ProcessEngine

__all__ = ["ProcessEngine"]
