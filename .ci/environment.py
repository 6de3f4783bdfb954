"""Make a virtual environment ready for work on aioaug; do nothing if it is ready already.

    python3 .ci/environment.py .venv            all that a developer needs
    python3 .ci/environment.py --python 3.12 --group test .venv-old 'numpy<2'
    python3 .ci/environment.py --fork imaug==0.4.3 .venv-fork    a fork in imgaug's place
    python3 .ci/environment.py --lowest .venv-lowest    the oldest that pyproject.toml allows
    python3 .ci/environment.py --list           every Python that would do

Runs on Python 3.6 and later, so that it can say that 3.11 is needed. `make` and `.ci/run` call it.
"""

import argparse
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

OLDEST, NEWEST = 11, 14  # minor versions of Python 3; newer ones are the second choice
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# imgaug's wheel asks for opencv-python, which needs libGL; its sdist, of the same code, asks for
# opencv-python-headless, which needs nothing.
HEADLESS = ["--no-binary", "imgaug", "--build-constraint", ".ci/build-constraints.txt"]
# Prints the lowest versions that pyproject.toml allows, as constraints; Python 3.11 can read it.
# What the benchmark compares with is left out, which would hold back what other packages bring.
LOWEST = r"""
import re, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
del extras["bench"]
for group in project["dependencies"], *extras.values():
    for requirement in group:
        if found := re.match(r"([\w.-]+)>=([\w.]+)[^;]*(;.*)?$", requirement):
            print(f"{found[1]}=={found[2]}{found[3] or ''}")
"""
UNREACHABLE = re.compile(
    r"name resolution|NameResolution|getaddrinfo|Name or service not known|nodename nor servname"
    r"|NewConnectionError|Connection refused|Network is unreachable|No route to host"
)


class Problem(Exception):
    """What is said, in one line, in place of an environment."""


class Python:
    """An interpreter that has been tried: a pyenv shim may be there and not work."""

    PROBE = (
        "import sys, importlib.util as u; print(*sys.version_info[1:3],"
        " *[int(bool(u.find_spec(m))) for m in ('venv', 'ensurepip', 'pip')],"
        " getattr(sys, '_base_executable', None) or sys.executable)"
    )

    def __init__(self, command):
        try:
            out = subprocess.check_output(
                [command, "-c", self.PROBE], stderr=subprocess.DEVNULL, timeout=60
            )
            *numbers, self.path = out.decode().strip().split(" ", 5)
            self.minor, micro, venv, self.ensurepip, pip = map(int, numbers)
        except (OSError, ValueError, subprocess.SubprocessError):
            raise Problem(f"{command} does not run as a Python 3") from None
        self.version = f"3.{self.minor}.{micro}"
        self.lacks = "venv" if not venv else "" if self.ensurepip or pip else "pip"

    def check(self):
        if self.minor < OLDEST:
            raise Problem(
                f"Python 3.{OLDEST} or newer is needed, found {self.version} ({self.path});"
                " name another one with PYTHON="
            )
        if self.lacks:
            raise Problem(
                f"{self.path} (Python {self.version}) lacks the module {self.lacks}; install it"
                " (Debian, Ubuntu: apt-get install python3-venv) or name another with PYTHON="
            )
        return self


def pythons(directories):
    """The first Python 3 of each version that works there, the best version first."""
    numbered = [f"python3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1)]
    found = {}
    for directory in directories:
        for name in [*numbered, "python3", "python"]:
            command = os.path.join(directory, name)
            if os.access(command, os.X_OK):
                try:
                    python = Python(command)
                except Problem:
                    continue
                if found.setdefault(python.minor, python).lacks:
                    found[python.minor] = python
    return sorted(found.values(), key=preference, reverse=True)


def preference(python):
    return OLDEST <= python.minor <= NEWEST, not python.lacks, python.minor


def on_path():
    return pythons(os.environ.get("PATH", os.defpath).split(os.pathsep))


def of_pyenv():
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    return pythons(sorted(glob.glob(os.path.join(root, "versions", "3.*", "bin")), reverse=True))


def usable():
    """One Python of each version that would do: those on PATH, then pyenv's."""
    every = {}
    for python in on_path() + of_pyenv():
        if python.minor >= OLDEST and not python.lacks:
            every.setdefault(python.minor, python)
    return [every[minor] for minor in sorted(every)]


def choose(wanted):
    """The Python that was asked for ("3.12", "python3.12", a path), or the best one here."""
    version = re.match(r"(?:python)?3\.(\d+)$", wanted)
    if version:
        for python in usable():
            if python.minor == int(version.group(1)):
                return python
        raise Problem(f"found no Python 3.{version.group(1)} that works")
    if wanted:
        return Python(wanted).check()
    found = on_path()
    if not found or found[0].minor < OLDEST:
        found = usable() or found
    if not found:
        raise Problem(f"Python 3.{OLDEST} or newer is needed, found none")
    return found[0].check()


class Environment:
    def __init__(self, path, arguments):
        self.path = os.path.abspath(path)
        self.arguments = arguments
        self.python = os.path.join(self.path, "bin", "python")
        self.log = os.path.join(self.path, "setup.log")
        self.stamp = os.path.join(self.path, "aioaug-environment")

    def wanted(self):
        """All that it was made from; when this changes it is made anew."""
        made_from = hashlib.sha256(repr((ROOT, self.path, vars(self.arguments))).encode())
        for name in ("pyproject.toml", ".ci/environment.py", ".ci/build-constraints.txt"):
            with open(os.path.join(ROOT, name), "rb") as file:
                made_from.update(file.read())
        return made_from.hexdigest()

    def ready(self):
        try:
            with open(self.stamp) as file:
                stamped = file.read()
            works = subprocess.call([self.python, "-c", ""], stderr=subprocess.DEVNULL) == 0
        except OSError:
            return False
        return works and stamped == self.wanted()

    def make(self):
        python = choose(self.arguments.python)
        self.clear()
        shown = os.path.relpath(self.path)
        print(f"setting up {shown} with Python {python.version}: about a minute", flush=True)
        venv = [python.path, "-m", "venv", self.path]
        if python.ensurepip:
            self.run(venv, "make a virtual environment")
            pip = [self.python, "-m", "pip"]
        else:  # as Debian has it without python3-venv
            self.run([*venv, "--without-pip"], "make a virtual environment")
            pip = [python.path, "-m", "pip", "--python", self.python]
        self.run([*pip, "install", "--upgrade", "pip>=25.3"], "install pip")
        groups = [word for group in self.arguments.group for word in ("--group", group)]
        packages = [*self.arguments.package, *self.arguments.requirement]
        packages += [self.arguments.fork] if self.arguments.fork else []
        install = [self.python, "-m", "pip", "install", *HEADLESS, *groups, *packages]
        if self.arguments.lowest:
            install += ["--constraint", self.write_lowest()]
        self.run(install, "install the packages")
        if self.arguments.fork:
            self.put_in_place(self.arguments.fork)
        self.write_stamp(self.wanted())

    def put_in_place(self, fork):
        """Leave of imgaug and `fork`, and of the OpenCVs that they ask for, one of each."""
        pip = [self.python, "-m", "pip"]
        self.run([*pip, "uninstall", "-y", "imgaug", "opencv-python"], "remove imgaug")
        # What was uninstalled had written the same files.
        again = ["install", "--force-reinstall", "--no-deps", fork, "opencv-python-headless<4.13"]
        self.run([*pip, *again], "put the fork in its place")

    def clear(self):
        """Empty the directory, if it is ours; from here until the end it counts as unfinished."""
        if os.path.isdir(self.path) and os.listdir(self.path):
            if not os.path.exists(self.stamp):
                raise Problem(
                    f"{self.path} exists and was not made here; remove it,"
                    " or name another directory with VENV="
                )
            self.write_stamp("unfinished")
            for name in os.listdir(self.path):
                entry = os.path.join(self.path, name)
                if os.path.isdir(entry) and not os.path.islink(entry):
                    shutil.rmtree(entry)
                elif entry != self.stamp:
                    os.remove(entry)
        os.makedirs(self.path, exist_ok=True)
        self.write_stamp("unfinished")

    def write_lowest(self):
        path = os.path.join(self.path, "lowest.txt")
        with open(path, "wb") as file:
            file.write(subprocess.check_output([self.python, "-c", LOWEST], cwd=ROOT))
        return path

    def write_stamp(self, text):
        with open(self.stamp, "w") as file:
            file.write(text)

    def run(self, command, purpose):
        """Run `command` with its output in the log; say what it was for if it fails."""
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        with open(self.log, "ab") as log:
            code = subprocess.call(
                command,
                cwd=ROOT,
                env=dict(os.environ, **quiet),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if code:
            with open(self.log, errors="replace") as file:
                lines = file.read()
            errors = re.findall(r"^(?:ERROR|error): (.+)$", lines, re.MULTILINE)
            why = errors[-1] if errors else f"exit code {code}"
            if UNREACHABLE.search(lines):
                why = "the package index cannot be reached"
            raise Problem(f"could not {purpose}: {why}; the log is {self.log}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default=".venv", help="the virtual environment")
    parser.add_argument("requirement", nargs="*", help="what else to ask pip for, as 'numpy<2'")
    parser.add_argument("--python", default="", help="a version, a command or a path")
    parser.add_argument("--group", action="append", help="of pyproject.toml; default: dev")
    parser.add_argument("--wheel", help="install this, and no groups, in place of the work tree")
    parser.add_argument("--fork", help="what takes imgaug's place, as 'imaug==0.4.3'")
    parser.add_argument("--lowest", action="store_true", help="the oldest dependencies allowed")
    parser.add_argument("--list", action="store_true", help="print the Pythons that would do")
    parsed = parser.parse_args(arguments)
    parsed.package = [os.path.abspath(parsed.wheel)] if parsed.wheel else ["--editable", ".[all]"]
    parsed.group = parsed.group or ([] if parsed.wheel else ["dev"])
    return parsed


def main():
    arguments = parse(sys.argv[1:])
    if arguments.list:
        for python in usable():
            print(f"3.{python.minor}", python.path)
        return
    environment = Environment(arguments.path, arguments)
    tree = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(tree, fcntl.LOCK_EX)  # two terminals may run `make` at once
    if not environment.ready():
        environment.make()


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(f"aioaug: {problem}")
    except KeyboardInterrupt:
        sys.exit("aioaug: the set-up was interrupted; run it again")
