"""Import an optional dependency, or say which command installs it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ..errors import MissingExtra


def need(module: str, *, extra: str) -> Any:
    """Import `module`, or raise `MissingExtra` that ends in the command to install it."""
    if module.partition(".")[0] == "albumentations":
        # Else its import asks PyPI for news, may wait for seconds, and warns of newer versions.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingExtra(
            f"{error.name} is not installed; run: pip install 'aioaug[{extra}]'", name=error.name
        ) from error
