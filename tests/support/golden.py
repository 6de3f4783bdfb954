"""What is in ../imgaug/golden, which is not on the path: its scripts must not know of aioaug."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import aioaug  # noqa: F401  imgaug cannot be imported without it


def load(name):
    path = Path(__file__).parents[1] / "imgaug" / "golden" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"golden_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = load("cases")
