"""Patches the modules of a package when they are imported, or at once if they are loaded."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]
Substitutes = Mapping[str, Callable[[], ModuleType]]

_NO_DISPLAY_LIBRARY = re.compile(r"\b(lib(?:GL|gthread)\S*): cannot open shared object file")
_REMEDY = (
    "OpenCV cannot be loaded: this machine lacks {}, which only OpenCV's windows need. Remedy: "
    "pip uninstall -y opencv-python && pip install opencv-python-headless"
)


@dataclass(eq=False)
class Hook(MetaPathFinder):
    """Finds the modules of a package as usual, and patches each right after its execution.

    Only versions that start with `version` are patched. The keys of `patches` and `imports` are
    names of modules. `imports` tells which modules an `import` in that module gets instead of
    others.
    """

    package: str
    version: str
    patches: Mapping[str, Patch]
    imports: Mapping[str, Substitutes]
    _wanted: bool = field(default=True, init=False)

    def install(self) -> None:
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        if (loaded := sys.modules.get(self.package)) is None:
            return
        self._wanted = getattr(loaded, "__version__", "").startswith(self.version)
        if self._wanted:
            for name, patch in self.patches.items():
                if name.partition(".")[0] == self.package and name in sys.modules:
                    patch(sys.modules[name])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = self._found_by_others(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        if fullname == self.package:
            self._wanted = _version_in_source(spec).startswith(self.version)
        if self._wanted:
            spec.loader = _PatchingLoader(self, spec.loader)
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


class _PatchingLoader(Loader):
    def __init__(self, hook: Hook, loader: Loader) -> None:
        self._hook = hook
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # inspect, pkgutil and importlib.resources look at the type of a module's loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if (substitutes := self._hook.imports.get(module.__name__)) is not None:
            # If the name was added to numpy for a moment, other threads would see it, too.
            module.__dict__["__builtins__"] = importing(substitutes)
        try:
            self._loader.exec_module(module)
        except ImportError as error:
            if (missing := _NO_DISPLAY_LIBRARY.search(str(error))) is not None:
                raise ImportError(_REMEDY.format(missing[1]), name="cv2") from error
            raise
        if (patch := self._hook.patches.get(module.__name__)) is not None:
            patch(module)


def importing(substitutes: Substitutes) -> dict[str, Any]:
    """Builtins whose ``import`` gives the substitute for a module of that name."""

    def import_(
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and name in substitutes:
            return substitutes[name]()
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    return {**vars(builtins), "__import__": import_}


def _version_in_source(spec: ModuleSpec) -> str:
    # Not from installed metadata: forks have this package in distributions of other names.
    get_source = getattr(spec.loader, "get_source", None)
    source = (get_source(spec.name) if get_source is not None else None) or ""
    found = re.search(r"""^__version__\s*=\s*["']([^"']+)""", source, re.MULTILINE)
    return found[1] if found is not None else ""
