"""What is published is complete and works away from the work tree; a newcomer's path is paved."""

import os
import re
import runpy
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import aioaug
import pytest

ROOT = Path(__file__).parent.parent
SET_UP = ROOT / ".ci" / "environment.py"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=50, **options)


def succeed(*command, **options):
    result = run(*command, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, built by the installed back end, which asks no index."""
    directory = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "hatchling", "build", "-d", str(directory), cwd=ROOT)
    [wheel], [sdist] = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return wheel, sdist


def test_changelog_begins_with_this_version():
    changelog = (ROOT / "docs" / "changelog.md").read_text("utf-8")
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == aioaug.__version__


def test_pythons_are_the_same_everywhere():
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    oldest = pyproject["project"]["requires-python"].removeprefix(">=")
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(pyproject["project"]["classifiers"]))
    assert versions[0] == oldest
    minors = [version.removeprefix("3.") for version in (oldest, versions[-1])]
    assert f"OLDEST, NEWEST = {', '.join(minors)} " in SET_UP.read_text("utf-8")
    assert pyproject["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.9", "3.10"])
def test_too_old_a_python_is_told_in_one_line(version, tmp_path):
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    old = str(found[0]) if found else shutil.which(f"python{version}")
    if old is None or run(old, "-c", "").returncode:
        pytest.skip(f"there is no Python {version} here")
    result = run(old, SET_UP, tmp_path / "env", "--python", old)
    assert result.returncode == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith(f"aioaug: Python 3.11 or newer is needed, found {version}.")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    precious = tmp_path / "precious"
    precious.touch()
    result = run(sys.executable, SET_UP, tmp_path)
    assert result.returncode == 1
    assert "was not made here" in result.stderr
    assert precious.exists()


def test_the_lowest_versions_are_those_of_pyproject():
    lowest = succeed(sys.executable, "-c", runpy.run_path(str(SET_UP))["LOWEST"], cwd=ROOT)
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    del extras["bench"]
    required = chain(project["dependencies"], *extras.values())
    bounded = {re.split(r"[<>=]", one)[0] for one in required if not one.startswith("aioaug[")}
    assert {line.partition("==")[0] for line in lowest.splitlines()} == bounded
    assert "imgaug==0.4.0" in lowest.splitlines()


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"aioaug", f"aioaug-{aioaug.__version__}.dist-info"}
    assert "aioaug/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "aioaug").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "aioaug/studio/page").iterdir()}
    assert "aioaug/studio/page/index.html" in page
    assert page <= set(names)


@pytest.mark.slow
def test_sdist_holds_what_builds_and_tests_it(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "LICENSE",
        "Makefile",
        "README.md",
        "aioaug/__init__.py",
        "docs/index.md",
        "pyproject.toml",
        "tests/test_packaging.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv", "docs/_build"))]


@pytest.mark.slow
def test_wheel_works_outside_the_repository(built, tmp_path):
    succeed(sys.executable, "-m", "venv", str(tmp_path / "env"))
    python = str(tmp_path / "env" / "bin" / "python")
    succeed(python, "-m", "pip", "install", "--no-deps", "--no-index", str(built[0]))
    # The dependencies are borrowed; a plain line does not bring the work tree's own .pth along.
    [purelib] = succeed(python, "-c", "import site; print(*site.getsitepackages())").split()
    Path(purelib, "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    shutil.copy(ROOT / ".ci" / "smoke.py", tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = succeed(python, "smoke.py", cwd=tmp_path, env=environment).split()
    assert said[:2] == ["OK", aioaug.__version__]
    assert Path(said[2]).is_relative_to(tmp_path)
    version = "import importlib.metadata as m; print(m.version('aioaug'))"
    assert succeed(python, "-c", version, cwd=tmp_path).strip() == aioaug.__version__
