"""Measures the coverage of tests in workers, where coverage.py's own ways do not reach."""

from __future__ import annotations

import os
from multiprocessing import util
from typing import Any

# The package `coverage` itself asks for the first, and sets the second with `patch = subprocess`.
_VARIABLES = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
# Seconds that a worker may take to end when it has to write down what it measured.
SAVING = 10.0


def wanted() -> bool:
    """Whether the program asks for coverage to be measured in its processes."""
    return any(map(os.environ.get, _VARIABLES))


def start_if_wanted() -> None:
    """Measure from now on, and save that when the process ends in good order.

    A process that the fork server forked inherits the measurement of that, if anything, and ends
    by `os._exit`, upon which coverage.py saves nothing.
    """
    if not wanted():
        return
    try:
        from coverage import process_startup
    except ImportError:
        return
    begin: Any = process_startup
    inherited = vars(begin).pop("coverage", None)
    if inherited is not None:
        inherited.stop()
    measured = begin()
    if measured is not None:
        util.Finalize(None, _save, args=(measured,), exitpriority=-1000)


def _save(measured: Any) -> None:
    measured.stop()
    measured.save()
