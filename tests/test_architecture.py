"""The rules of the package that a reader relies on, enforced on its source."""

import ast
import graphlib
import inspect
import re
from collections import defaultdict
from pathlib import Path

import aioaug
import aioaug.blocking
import pytest

LONGEST_MODULE, LONGEST_FUNCTION = 400, 60

ROOT = Path(aioaug.__file__).parent

# The list in the package's docstring is the order of imports, the ground first. The package itself,
# `aioaug`, stands where the doors begin: they use its names as any other program would.
FLOORS = dict(re.findall(r"^    (\S.*?)  +(\S.*)$", aioaug.__doc__, re.MULTILINE))
FLOORS |= {"doors": f"aioaug {FLOORS['doors']} __main__"}
ORDER = " ".join(FLOORS.values()).split()


def module_name(path):
    """As in the list: "pool", "engines.base", "engines", and "aioaug" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "aioaug"


SOURCES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}
every_module = pytest.mark.parametrize("module", SOURCES)


def imports(module):
    """Every module of ours that `module` imports anywhere, functions and type hints included."""
    package = ["aioaug", *module.split(".")] if module != "aioaug" else ["aioaug"]
    if SOURCES[module].name != "__init__.py":
        package.pop()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            found = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.split(".")[0] == "aioaug":
                name = name.removeprefix("aioaug.")
                parent = name.rpartition(".")[0] or "aioaug"
                yield node.lineno, name if name in SOURCES else parent


def place(module):
    """Its place in the list; the modules of a package share the package's."""
    return ORDER.index(module.split(".")[0])


def calls(module, name):
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call) and name in (
            getattr(node.func, "id", None),
            getattr(node.func, "attr", None),
        ):
            yield node.lineno


def test_every_module_has_its_place():
    assert sorted({module.split(".")[0] for module in SOURCES} - set(ORDER)) == []


@every_module
def test_imports_only_what_stands_above(module):
    package = module.split(".")[0]
    wrong = [
        (line, name)
        for line, name in imports(module)
        if place(name) >= place(module) and name.split(".")[0] != package
    ]
    assert wrong == []


def test_no_cycles():
    graph = {module: {name for _, name in imports(module)} for module in SOURCES}
    assert list(graphlib.TopologicalSorter(graph).static_order())  # or CycleError, naming them


@every_module
def test_never_sleeps(module):
    """Waiting for something is a future, a callback or a sentinel; a sleep is a guess."""
    assert list(calls(module, "sleep")) == []


@every_module
def test_never_asserts(module):
    """Assertions vanish under `python -O`; wrong arguments must not."""
    asserts = [node.lineno for node in ast.walk(TREES[module]) if isinstance(node, ast.Assert)]
    assert asserts == []


@every_module
def test_only_the_command_line_prints(module):
    assert module.split(".")[0] == "cli" or list(calls(module, "print")) == []


@every_module
def test_functions_are_short(module):
    functions = [
        (node.name, node.end_lineno - node.lineno + 1)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [function for function in functions if function[1] > LONGEST_FUNCTION] == []


def test_modules_are_short():
    lengths = {name: path.read_text("utf-8").count("\n") for name, path in SOURCES.items()}
    assert {name: n for name, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_two_classes_share_a_name():
    """A name stands for one thing; only the blocking twins are called as what they are twins of."""
    places = defaultdict(list)
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    twins = set(aioaug.blocking.__all__) & set(aioaug.__all__)
    for name in twins:
        if "blocking" in places[name]:
            places[name].remove("blocking")
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_every_package_says_what_is_in_it():
    packages = [name for name, path in SOURCES.items() if path.name == "__init__.py"]
    assert [name for name in packages if not ast.get_docstring(TREES[name])] == []


@every_module
def test_exports_are_sorted(module):
    for node in TREES[module].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            names = ast.literal_eval(node.value)
            assert list(names) == sorted(set(names))


def test_everything_public_is_documented():
    public = {name: getattr(aioaug, name) for name in aioaug.__all__}
    for name, thing in list(public.items()):
        if inspect.isclass(thing):
            members = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
            public |= {f"{name}.{key}": value for key, value in members.items()}
    documentable = inspect.isclass, inspect.isroutine, inspect.isdatadescriptor, inspect.ismodule
    undocumented = [
        name
        for name, thing in public.items()
        if any(kind(thing) for kind in documentable) and not inspect.getdoc(thing)
    ]
    assert undocumented == []
    reference = ROOT.parent / "docs" / "reference.md"
    listed = re.findall(r":: aioaug\.(\w+)", reference.read_text("utf-8"))
    assert sorted(listed) == sorted(aioaug.__all__)
