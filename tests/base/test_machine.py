"""What this process may use: limits of control groups, wherever they are mounted, and of ulimit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from aioaug._base import cgroups, system

MB = 1 << 20
SUPPORT = Path(__file__).parents[1] / "support"
PATIENCE = 60.0  # seconds that a program may take on a busy machine


class Tree:
    """A made-up /proc/self, and what is mounted according to it."""

    def __init__(self, folder):
        self.folder = folder
        self.proc = folder / "proc"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "cgroup").touch()
        (self.proc / "self" / "mountinfo").touch()

    def mount(self, name, kind, options="rw", root="/"):
        """Mounts a tree of groups, or the part of it below `root`."""
        point = self.folder / name
        point.mkdir(parents=True)
        shown = str(point).replace(" ", "\\040")
        with (self.proc / "self" / "mountinfo").open("a") as file:
            file.write(f"9 8 0:1 {root} {shown} rw,relatime shared:1 - {kind} {kind} {options}\n")
        return point

    def member(self, line):
        with (self.proc / "self" / "cgroup").open("a") as file:
            file.write(f"{line}\n")

    @property
    def limits(self):
        """The limits in MB."""
        known = cgroups.memory(self.proc / "self"), cgroups.free_memory(self.proc / "self")
        return tuple(None if limit is None else limit / MB for limit in known)

    @property
    def quota(self):
        return cgroups.quota(self.proc / "self")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def group(folder, **files):
    """A group with these files, `__` in their names for a dot; numbers are megabytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = str(content * MB) if isinstance(content, int) else content
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def v1(folder, limit, usage, idle=0, hierarchical=1 << 43):
    group(
        folder,
        memory__limit_in_bytes=limit,
        memory__usage_in_bytes=usage,
        memory__stat=f"cache 7\nhierarchical_memory_limit {hierarchical * MB}\n"
        f"inactive_file 1\ntotal_inactive_file {idle * MB}",
    )


def v2(folder, most, usage, idle=0, high="max"):
    group(
        folder,
        memory__max=most,
        memory__high=high,
        memory__current=usage,
        memory__stat=f"anon 7\ninactive_file {idle * MB}",
    )


def test_nothing_is_limited_where_there_are_no_groups(tree):
    assert (tree.limits, tree.quota) == ((None, None), None)
    assert cgroups.memory(tree.folder / "missing") is None
    tree.member("0::/a")
    point = tree.mount("cgroup", "cgroup2")
    assert tree.limits == (None, None)  # the group is nowhere to be seen
    v2(point / "a", "max", 5)
    assert tree.limits == (None, None)


def test_the_least_limit_on_the_way_up_holds_in_v2(tree):
    point = tree.mount("cgroup", "cgroup2")
    tree.member("0::/a/b/c")
    v2(point / "a" / "b" / "c", 900, 100, idle=40)
    v2(point / "a" / "b", "max", 100)
    assert tree.limits == (900, 840)
    v2(point / "a", 400, 300, idle=50)
    assert tree.limits == (400, 150)
    v2(point / "a" / "b", "max", 100, high=300)
    assert tree.limits == (300, 150)
    v2(point / "a" / "beside", 1, 1)
    v2(point / "a" / "b" / "c" / "below", 1, 1)
    assert tree.limits == (300, 150)
    v2(point / "a" / "b", "max", 500, high=300)
    assert tree.limits == (300, 0)


def test_the_least_limit_on_the_way_up_holds_in_v1(tree):
    point = tree.mount("memory", "cgroup", "rw,memory")
    tree.mount("cpu", "cgroup", "rw,cpu,cpuacct")
    tree.member("3:cpuacct,cpu:/elsewhere")
    tree.member("2:memory:/a/b")
    tree.member("1:name=systemd:/a")
    v1(point, 1 << 43, 900)
    v1(point / "a" / "b", 1 << 43, 100)
    assert tree.limits == (None, None)
    v1(point / "a", 400, 300, idle=50)
    assert tree.limits == (400, 150)
    v1(point / "a" / "b", 350, 100)
    assert tree.limits == (350, 150)


def test_v1_tells_of_groups_that_are_not_mounted(tree):
    tree.member("2:memory:/pods/one/box")
    point = tree.mount("memory", "cgroup", "rw,memory", root="/pods/one/box")
    v1(point, 1 << 43, 100, idle=30, hierarchical=400)
    assert tree.limits == (400, 330)


def test_of_a_hybrid_whatever_has_the_memory_counts(tree):
    old = tree.mount("memory", "cgroup", "rw,memory")
    new = tree.mount("unified", "cgroup2")
    tree.member("4:memory:/a")
    tree.member("0::/b")
    v1(old / "a", 400, 100)
    (new / "b").mkdir()
    assert tree.limits == (400, 300)
    v2(new / "b", 300, 200)
    assert tree.limits == (300, 100)


@pytest.mark.parametrize(
    ("root", "path", "place"),
    [
        ("/docker/x", "/docker/x/inner", "inner"),  # a container without groups of its own
        ("/docker/x", "/docker/x", "."),
        ("/..", "/../beside", "beside"),  # a group beside those that may be known
        ("/", "/not/seen/here", "."),  # the listing of another place
        ("/", "/gone (deleted)", "."),
    ],
)
def test_a_part_of_the_tree_is_mounted(root, path, place, tree):
    point = tree.mount("a place", "cgroup2", root=root)
    tree.member(f"0::{path}")
    v2(point / place, 400, 100)
    assert tree.limits == (400, 300)


def test_a_part_that_does_not_hold_this_process_does_not_count(tree):
    tree.member("0::/mine")
    v2(tree.mount("theirs", "cgroup2", root="/theirs"), 1, 1)
    assert tree.limits == (None, None)
    v2(tree.mount("all", "cgroup2") / "mine", 400, 100)
    assert tree.limits == (400, 300)


def test_a_mount_that_begins_above_what_may_be_known(tree):
    tree.member("0::/inner")
    point = tree.mount("host", "cgroup2", root="/../..")
    for name in ("one", "two"):
        v2(point / "pods" / name, 500, 100)
        v2(point / "pods" / name / "inner", 1 if name == "one" else 400, 100)
        group(point / "pods" / name / "inner", cgroup__procs="1")
    group(point / "pods" / "two" / "inner", cgroup__procs=f"77777777\n{os.getpid()}")
    assert tree.limits == (400, 300)


def test_the_least_quota_on_the_way_up_holds(tree):
    new = tree.mount("unified", "cgroup2")
    tree.member("0::/a/b")
    group(new / "a" / "b", cpu__max="max 100000")
    assert tree.quota is None
    group(new / "a", cpu__max="150000 100000")
    assert tree.quota == 1.5
    old = tree.mount("cpu", "cgroup", "rw,cpu,cpuacct")
    tree.member("3:cpu,cpuacct:/c/d")
    group(old / "c" / "d", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert tree.quota == 1.5
    group(old / "c", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    assert tree.quota == 0.5


def test_the_least_number_of_processes_on_the_way_up_holds(tree):
    new = tree.mount("unified", "cgroup2")
    tree.member("0::/a/b")
    group(new / "a" / "b", pids__max="max")
    group(new / "a", pids__max="90")
    assert cgroups.processes(tree.proc / "self") == 90
    tree.member("8:pids:/")
    group(tree.mount("pids", "cgroup", "rw,pids"), pids__max="80")
    assert cgroups.processes(tree.proc / "self") == 80


def test_memory_is_the_least_of_all_there_is(tree):
    (tree.proc / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:     250880 kB\n")
    assert system.memory(tree.proc) == system.memory()
    assert system.free_memory(tree.proc) == 245 * MB
    tree.member("0::/")
    point = tree.mount("cgroup", "cgroup2")
    v2(point, 400, 100)
    assert (system.memory(tree.proc), system.free_memory(tree.proc)) == (400 * MB, 245 * MB)
    v2(point, 400, 300)
    assert system.free_memory(tree.proc) == 100 * MB
    (tree.proc / "meminfo").unlink()
    v2(point, 300, 100)
    assert (system.memory(tree.proc), system.free_memory(tree.proc)) == (300 * MB, 200 * MB)


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_what_ulimit_set_counts(name):
    script = f"""
        import resource
        from aioaug._base import system as machine
        before = machine.memory()
        resource.setrlimit(resource.{name}, (3 << 30, resource.RLIM_INFINITY))
        print(before > 3 << 30, machine.memory() == 3 << 30, machine.free_memory() < (3 << 30) - 1)
    """
    if system.memory() <= 4 << 30:
        pytest.skip("this machine has too little memory")
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == ["True", "True", "True"], done.stderr


@pytest.mark.parametrize(
    ("cores", "asked", "count"),
    [(1, -1, 1), (2, -1, 1), (3, -1, 2), (4, -2, 2), (2, -1000, 1), (2, None, 2), (2, 5, 5)],
)
def test_worker_count(cores, asked, count, monkeypatch):
    monkeypatch.setattr(system, "available", lambda: cores)
    assert system.worker_count(asked) == count


def test_affinity_counts(monkeypatch):
    monkeypatch.setattr(system, "_QUOTA", None)
    assert system.available() == len(os.sched_getaffinity(0))
    monkeypatch.setattr(system, "_QUOTA", 0.5)
    assert system.available() == 1


@pytest.fixture
def small_group():
    """A real group below this process's own, limited to 400 MB; the test's process goes within."""
    (own,) = [
        Path("/sys/fs/cgroup/memory" + path.strip())
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        for number, names, path in [line.split(":", 2)]
        if names == "memory"
    ] or [Path("/nowhere")]
    if not own.is_dir():
        pytest.skip("there is no tree of version 1 to make a group in")
    outer = own / f"aioaug-test-{os.getpid()}"
    inner = outer / "inner"
    try:
        inner.mkdir(parents=True)
        (outer / "memory.limit_in_bytes").write_text(str(400 * MB))
    except OSError as error:
        pytest.skip(f"groups cannot be made here: {error}")
    else:
        yield inner
    finally:
        for folder in (inner, outer):
            _remove(folder)


def _remove(folder):
    deadline = time.monotonic() + PATIENCE
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:  # helpers of multiprocessing leave a little after their program
            assert time.monotonic() < deadline
            time.sleep(0.01)


IN_A_SMALL_GROUP = """
    import asyncio, sys
    import numpy as np
    import aioaug, aioaug_testing as aug
    from aioaug._base import system as machine

    async def main():
        print(machine.memory() >> 20, machine.free_memory() <= machine.memory())
        batches = (np.full(8_000_000, number, np.uint8) for number in range(60))
        held, most, right = [], 0, 0
        async with aioaug.AsyncPool(aug.nothing, processes=2) as pool:
            segment_pool = pool.pool._segment_pool
            async for batch in pool.imap_batches(batches, output_buffer_size=3):
                right += bool((batch == right).all())
                held = [*held[-7:], batch]
                most = max(most, sum(segment.size for segment in segment_pool._all.values()))
        print(0 < most <= 100 << 20, right)

    if __name__ == "__main__":
        asyncio.run(main())
"""


def test_a_pool_stays_within_its_group(tmp_path, small_group):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(IN_A_SMALL_GROUP))
    enter = f"echo $$ > {small_group}/cgroup.procs && exec {sys.executable} {script}"
    path = os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])
    done = subprocess.run(
        ["sh", "-c", enter],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    killed = (small_group / "memory.oom_control").read_text()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["400", "True", "True", "60"]
    assert "oom_kill 0" in killed
