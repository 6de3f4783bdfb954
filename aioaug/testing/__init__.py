"""For tests of code that uses or extends aioaug: whether an engine keeps what engines promise."""

from __future__ import annotations

from .conformance import check_engine

__all__ = ["check_engine"]
