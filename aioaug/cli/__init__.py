"""The command line: `aioaug augment | remake | preview | serve | inspect | bench | doctor`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from .. import MissingExtra
from .._base.optional import need
from .exits import Exit, Interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` if there are no arguments; returns the exit code."""
    try:
        for module in ("click", "tqdm"):
            need(module, extra="cli")
        from .commands import run_command
    except MissingExtra as error:
        print(f"aioaug: error: {error}", file=sys.stderr)
        return Exit.INPUT
    except KeyboardInterrupt:
        return Interrupted(signal.SIGINT).code
    return run_command(arguments)
