"""Import an optional dependency, or say which command installs it."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingExtra


def need(module: str, *, extra: str) -> Any:
    """Import `module`, or raise `MissingExtra` that ends in the command to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingExtra(
            f"{error.name} is not installed; run: pip install 'aioaug[{extra}]'", name=error.name
        ) from error
