"""Stand-ins for modules and parameters that imgaug uses."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class View(ModuleType):
    """A module with a few names changed, for one importer; all others see the module itself."""

    def __init__(self, module: ModuleType, **names: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(names, _module=module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


class PlainNumbers:
    """Draws Python numbers: NumPy 2 computes with these as NumPy 1 did with NumPy scalars."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter

    def draw_sample(self, random_state: Any = None) -> Any:
        return self._parameter.draw_sample(random_state).item()
