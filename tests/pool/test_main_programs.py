"""Programs of every kind, and what workers take of them: they import it only where they need it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from programs_testing import PATIENCE, assert_gone, environment, session_of

HEAD = """
import asyncio, sys
import numpy as np
import aioaug
import aioaug_testing as aug
import imgaug.augmenters as iaa

class Twice:
    def __call__(self, batch):
        return batch * 2

class Number(int):
    pass

async def main(augmenter, batch, method):
    async with aioaug.AsyncPool(augmenter, processes=1, seed=1, start_method=method) as pool:
        print((await pool.map_batches([batch]))[0].sum(), flush=True)

picture = np.ones((1, 4, 4, 3), np.uint8)
"""
# It says so whenever it is imported, in whatever process.
LOUD = HEAD + 'print("imported as", __name__, flush=True)\n'
GUARD = 'if __name__ == "__main__":\n    '
METHODS = ["forkserver", "spawn"]


def ended(command, folder, text=None):
    """What a program prints, line by line, and the last line of its errors."""
    program = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = program.communicate(text, timeout=2 * PATIENCE)
    assert_gone(session_of(program.pid))
    return out.splitlines(), (err.splitlines() or [""])[-1]


def script(folder, call, head=LOUD):
    path = folder / "script.py"
    path.write_text(head + call)
    return [str(path)]


@pytest.mark.parametrize(
    ("augmenter", "method"),
    [
        ("iaa.Identity()", "forkserver"),
        ("aug.nothing", "spawn"),
        pytest.param("iaa.Identity()", "spawn", marks=pytest.mark.slow),
        pytest.param("aug.nothing", "forkserver", marks=pytest.mark.slow),
    ],
)
def test_a_script_is_not_imported_by_workers(tmp_path, augmenter, method):
    call = f"asyncio.run(main({augmenter}, picture, {method!r}))\n"
    done = ended(script(tmp_path, call), tmp_path)  # without a guard, as nothing needs one
    assert done == (["imported as __main__", "48"], "")


@pytest.mark.slow
def test_a_program_of_any_kind(tmp_path):
    text = LOUD + "asyncio.run(main(iaa.Identity(), picture, None))\n"
    (tmp_path / "program.py").write_text(text)
    right = (["imported as __main__", "48"], "")
    assert ended(["-"], tmp_path, text) == right
    assert ended(["-c", text], tmp_path) == right
    assert ended(["-m", "program"], tmp_path) == right


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (["script.py"], "forkserver"),
        (["-m", "script"], "spawn"),
        pytest.param(["script.py"], "spawn", marks=pytest.mark.slow),
        pytest.param(["-m", "script"], "forkserver", marks=pytest.mark.slow),
    ],
)
def test_what_a_script_defines(tmp_path, command, method):
    script(tmp_path, f"{GUARD}asyncio.run(main(Twice(), picture, {method!r}))\n")
    lines = ["imported as __main__", "imported as __mp_main__", "96"]
    assert ended(command, tmp_path) == (lines, "")


def test_a_class_that_first_comes_with_a_batch(tmp_path):
    call = f"{GUARD}asyncio.run(main(aug.nothing, np.array([Number(3)], object), None))\n"
    lines = ["imported as __main__", "imported as __mp_main__", "3"]
    assert ended(script(tmp_path, call), tmp_path) == (lines, "")


def test_a_script_that_needs_a_guard_is_told_so(tmp_path):
    call = "asyncio.run(main(Twice(), picture, None))\n"
    _, last = ended(script(tmp_path, call), tmp_path)
    assert last.startswith("aioaug.errors.TransportError: ")
    assert last.endswith("put what the script does under: if __name__ == '__main__':")


def test_a_pool_at_the_top_of_a_script_that_workers_import(tmp_path):
    body = """
    pool = aioaug.AsyncPool(Twice(), processes=1)

    async def use():
        async with pool:
            print((await pool.map_batches([picture]))[0].sum())

    """
    call = textwrap.dedent(body) + f"{GUARD}asyncio.run(use())\n"
    lines = ["imported as __main__", "imported as __mp_main__", "96"]
    assert ended(script(tmp_path, call), tmp_path) == (lines, "")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("command", [["-"], ["-c"]])
def test_what_no_worker_can_import_is_sent(tmp_path, command, method):
    text = LOUD + f"{GUARD}asyncio.run(main(Twice(), picture, {method!r}))\n"
    done = ended(command if command == ["-"] else ["-c", text], tmp_path, text)
    assert done == (["imported as __main__", "96"], "")


# Python 3.13 reads what is not typed there line by line, each of them whole.
PROMPT = """
import numpy as np
import aioaug
pool = aioaug.AsyncPool(lambda batch: batch * 2, processes=1)
print((await pool.map_batches([np.ones((1, 4, 4, 3), np.uint8)]))[0].sum())
await pool.close()
"""


def test_the_prompt_of_asyncio(tmp_path):
    lines, _ = ended(["-i", "-m", "asyncio"], tmp_path, PROMPT)
    assert "96" in " ".join(lines).split()


CODE = """
import threading
from dataclasses import dataclass

OFFSET = 3

@dataclass
class Sample:
    images: object

    def offset(self):
        return OFFSET

class Refused(ValueError):
    pass

def augment(sample):
    if sample is None:
        raise Refused("nothing")
    return Sample(sample.images + OFFSET)

async def one(augmenter, batch):
    async with aioaug.AsyncPool(augmenter, processes=1, start_method=METHOD) as pool:
        return (await pool.map_batches([batch]))[0]

async def all_kinds():
    global OFFSET
    factor = 5
    closures = (
        lambda batch: batch * factor,
        iaa.Lambda(func_images=lambda images, *_: [image * factor for image in images]),
        iaa.Convolve(matrix=lambda image, channels, rng: [np.full((1, 1), factor)] * channels),
    )
    print([int(np.sum(await one(closure, picture))) for closure in closures])
    sample = await one(lambda batch: augment(batch), Sample(picture))
    OFFSET = 4
    print(type(sample) is Sample, sample.images.sum(), sample.offset())
    try:
        await one(lambda batch: augment(batch), None)
    except Refused as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (["script.py"], "forkserver"),
        (["-"], "spawn"),
        pytest.param(["script.py"], "spawn", marks=pytest.mark.slow),
        pytest.param(["-"], "forkserver", marks=pytest.mark.slow),
    ],
)
def test_lambdas_closures_and_what_they_use(tmp_path, command, method):
    text = HEAD + CODE.replace("METHOD", repr(method)) + f"{GUARD}asyncio.run(all_kinds())\n"
    script(tmp_path, text, head="")
    lines = ["[240, 240, 240]", "True 192 4", "nothing"]
    assert ended(command, tmp_path, text) == (lines, "")


@pytest.mark.parametrize("method", METHODS)
def test_functions_of_main_need_no_guard(tmp_path, method):
    body = """
    async def start():
        factor = 5
        await main(lambda batch: batch * factor, picture, METHOD)

    asyncio.run(start())
    """
    body = textwrap.dedent(body).replace("METHOD", repr(method))
    assert ended(script(tmp_path, body), tmp_path) == (["imported as __main__", "240"], "")


DAEMON = """
import multiprocessing, os

async def use(method):
    async with aioaug.AsyncPool(aug.pid_of, processes=1, start_method=method) as pool:
        return (await pool.map_batches([1]))[0]

def job(method, there):
    pid = aioaug.run(use(method))
    print(pid != os.getpid(), flush=True)
    try:
        multiprocessing.get_context("spawn").Process(target=os.getpid).start()
    except AssertionError as error:  # what others start is refused as before
        print(error, flush=True)
    if there is not None:
        aioaug.run(linger(there))

async def linger(there):
    async with aioaug.AsyncPool(aug.nothing, processes=2) as pool:
        await pool.map_batches([1])
        there.set()
        await asyncio.sleep(1000)

if __name__ == "__main__":
    context = multiprocessing.get_context({context!r})
    there = context.Event() if {lingers} else None
    process = context.Process(target=job, args=({method!r}, there), daemon=True)
    process.start()
    if there is not None:
        there.wait()
        process.terminate()
    process.join()
"""
REFUSED = "daemonic processes are not allowed to have children"


@pytest.mark.parametrize(
    ("context", "method"),
    [
        ("fork", "forkserver"),
        ("forkserver", "spawn"),
        *(pytest.param(one, METHODS[1], marks=pytest.mark.slow) for one in ("fork", "spawn")),
        *(pytest.param(one, METHODS[0], marks=pytest.mark.slow) for one in ("spawn", "forkserver")),
    ],
)
def test_a_daemonic_process_has_a_pool(tmp_path, context, method):
    call = DAEMON.format(context=context, method=method, lingers=False)
    lines, last = ended(script(tmp_path, call, HEAD), tmp_path)
    assert (lines, last) == (["True", REFUSED], "")


def test_a_daemonic_process_that_is_ended_leaves_nothing(tmp_path):
    call = DAEMON.format(context="fork", method="forkserver", lingers=True)
    lines, _ = ended(script(tmp_path, call, HEAD), tmp_path)  # which sees that no process is left
    assert lines == ["True", REFUSED]


def test_the_workers_of_a_large_program_are_small(tmp_path):
    """A program of 200 MB has workers that hold none of it."""
    body = """
    ballast = np.ones(200_000_000, np.uint8)

    async def use():
        async with aioaug.AsyncPool(aug.pid_of, processes=1) as pool:
            import psutil
            (pid,) = await pool.map_batches([0])
            print(psutil.Process(pid).memory_full_info().uss // 2**20)

    asyncio.run(use())
    """
    (_, megabytes), _ = ended(script(tmp_path, textwrap.dedent(body)), tmp_path)
    assert int(megabytes) < 100
