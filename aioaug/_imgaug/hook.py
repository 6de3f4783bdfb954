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
    "pip uninstall -y opencv-python && pip install {}"
)


@dataclass(frozen=True)
class Release:
    """Versions of a package that start with `version`, and what they need.

    If a `distribution` is named, it has to be installed in the very version that the package's
    source says: forks have a package of the same name, and other forks may number alike. The keys
    of `patches` and `imports` are names of modules. `imports` tells which modules an `import` in
    that module gets instead of others. `headless` is what to install where windows cannot be shown.
    """

    version: str
    patches: Mapping[str, Patch]
    imports: Mapping[str, Substitutes]
    distribution: str | None = None
    headless: str = "opencv-python-headless"

    def is_of(self, version: str) -> bool:
        """Whether a package whose source says this version is one of these."""
        if not version.startswith(self.version):
            return False
        return self.distribution is None or _installed_version(self.distribution) == version


@dataclass(eq=False)
class Hook(MetaPathFinder):
    """Finds the modules of a package as usual, and patches each right after its execution.

    Packages that are none of the `releases` are left alone. `found` is the one that was imported.
    """

    package: str
    releases: Sequence[Release]
    found: Release | None = field(default=None, init=False)

    def install(self) -> None:
        if self in sys.meta_path:
            return
        sys.meta_path.insert(0, self)
        if (loaded := sys.modules.get(self.package)) is None:
            return
        self.found = self._release(getattr(loaded, "__version__", ""))
        if self.found is not None:
            for name, patch in self.found.patches.items():
                if name in sys.modules:
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
            self.found = self._release(_version_in_source(spec))
        if self.found is not None:
            spec.loader = _PatchingLoader(self.found, spec.loader)
        return spec

    def _release(self, version: str) -> Release | None:
        return next((release for release in self.releases if release.is_of(version)), None)

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
    def __init__(self, release: Release, loader: Loader) -> None:
        self._release = release
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
        if (substitutes := self._release.imports.get(module.__name__)) is not None:
            # If the name was added to numpy for a moment, other threads would see it, too.
            module.__dict__["__builtins__"] = importing(substitutes)
        try:
            self._loader.exec_module(module)
        except ImportError as error:
            if (missing := _NO_DISPLAY_LIBRARY.search(str(error))) is not None:
                remedy = _REMEDY.format(missing[1], self._release.headless)
                raise ImportError(remedy, name="cv2") from error
            raise
        if (patch := self._release.patches.get(module.__name__)) is not None:
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
    # Metadata may tell of two distributions that have this package; the files are those of one.
    get_source = getattr(spec.loader, "get_source", None)
    source = (get_source(spec.name) if get_source is not None else None) or ""
    found = re.search(r"""^__version__\s*=\s*["']([^"']+)""", source, re.MULTILINE)
    return found[1] if found is not None else ""


def _installed_version(distribution: str) -> str | None:
    from importlib import metadata  # takes a while, and imgaug itself does not need it

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
