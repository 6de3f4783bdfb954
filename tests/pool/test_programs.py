"""Programs that end, are ended, fork or are forked: no orphan, no hang, a clear word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from programs_testing import PATIENCE, SUPPORT, assert_gone, run, session_of, start

STREAMING = """
async def main():
    async with aioaug.AsyncPool(aug.slow, processes=2) as pool:
        async with pool.imap_batches(endless(), output_buffer_size=4) as stream:
            async for batch in stream:
                if batch == 5:
                    print("streaming", flush=True)

if __name__ == "__main__":
    {run}(main())
"""


@pytest.mark.parametrize("run", ["aioaug.run", pytest.param("asyncio.run", marks=pytest.mark.slow)])
def test_one_interrupt_of_the_whole_group(tmp_path, run):
    program = start(tmp_path, STREAMING.format(run=run))
    assert program.stdout.readline() == "streaming\n"
    family = session_of(program.pid)
    assert len(family) >= 3
    begun = time.monotonic()
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=PATIENCE)
    took = time.monotonic() - begun
    assert program.returncode == -signal.SIGINT or program.returncode == 130
    # asyncio turns the cancellation into the interrupt, which shows both: that is one report.
    assert err.count("Traceback") == 1 + err.count("During handling of the above exception")
    assert err.count("\nKeyboardInterrupt") == 1
    assert err.strip().endswith("KeyboardInterrupt")
    assert_gone(family)
    print(f"{took:.2f} s from SIGINT to the end")


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_program_that_is_killed(tmp_path, number):
    program = start(tmp_path, STREAMING.format(run="aioaug.run"))
    assert program.stdout.readline() == "streaming\n"
    family = session_of(program.pid)
    program.send_signal(number)
    _, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == -number
    # What may be there is from Python's own resource tracker, which removes semaphores.
    assert "Traceback" not in err
    assert_gone(family)


@pytest.mark.parametrize("loops", ["asyncio.run", "aioaug.run"])
def test_a_program_that_ends_without_closing(tmp_path, loops):
    code, out, err = run(
        tmp_path,
        f"""
        pool = aioaug.AsyncPool(aug.nothing, processes=2)

        async def main():
            print(await pool.map_batches([1, 2]))

        if __name__ == "__main__":
            {loops}(main())
        """,
    )
    assert (code, out) == (0, "[1, 2]\n")
    assert "Traceback" not in err


def test_a_program_that_ends_in_the_middle(tmp_path):
    code, out, err = run(
        tmp_path,
        """
        async def main():
            pool = aioaug.AsyncPool(aug.sleep_for, processes=2)
            future = pool.map_batches_async([60])
            stream = pool.imap_batches(endless())
            await anext(stream)
            print("working")

        if __name__ == "__main__":
            aioaug.run(main())
        """,
    )
    assert (code, out) == (0, "working\n")
    assert "Traceback" not in err


def test_an_exception_in_the_body(tmp_path):
    code, _, err = run(
        tmp_path,
        """
        async def main():
            async with aioaug.AsyncPool(aug.sleep_for, processes=2) as pool:
                future = pool.map_batches_async([60, 60])
                await asyncio.sleep(0.2)
                raise LookupError("mine")

        if __name__ == "__main__":
            aioaug.run(main())
        """,
    )
    assert code == 1
    assert err.count("Traceback") == 1
    assert err.strip().endswith("LookupError: mine")


def test_a_fork_after_the_pool_was_made(tmp_path):
    """The child cannot use the pool, its end is nobody's business, and it can have a pool."""
    code, out, err = run(
        tmp_path,
        """
        import gc, warnings

        async def use(pool, number):
            return await pool.map_batches([number])

        async def afresh(**options):
            async with aioaug.AsyncPool(aug.nothing, processes=1, **options) as pool:
                return await pool.map_batches([7])

        async def main():
            async with aioaug.AsyncPool(aug.nothing, processes=2) as pool:
                print(await use(pool, 1), flush=True)
                child = os.fork()
                if child == 0:
                    in_child(pool)
                await asyncio.to_thread(os.waitpid, child, 0)
                print(await use(pool, 2), flush=True)

        def in_child(pool):
            asyncio._set_running_loop(None)
            try:
                asyncio.run(use(pool, 3))
            except RuntimeError as error:
                print(error, flush=True)
            try:
                asyncio.run(afresh())
            except RuntimeError as error:
                print(error, flush=True)
            print(asyncio.run(afresh(start_method="spawn")), flush=True)
            gc.collect()
            os._exit(0)

        if __name__ == "__main__":
            warnings.simplefilter("ignore", DeprecationWarning)
            aioaug.run(main())
        """,
    )
    assert err == ""
    assert code == 0
    first, refusal, no_server, third, last = out.splitlines()
    assert (first, third, last) == ("[1]", "[7]", "[2]")
    assert "this AsyncPool belongs to process" in refusal
    assert "start_method='spawn'" in no_server


def test_a_forked_child_that_stays_does_not_hold_up_the_end(tmp_path):
    """It has copies of all connections: hanging up has to reach the workers nevertheless."""
    code, out, err = run(
        tmp_path,
        """
        async def main():
            pool = aioaug.AsyncPool(aug.nothing, processes=2)
            async with pool:
                await pool.map_batches([1])
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                exits = [one._worker._process for one in pool.pool._supervisors]
            print([process.exitcode for process in exits])
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

        if __name__ == "__main__":
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.run(main())
        """,
    )
    assert (code, out) == (0, "[0, 0]\n")  # they left by themselves
    assert "Traceback" not in err


APP = """
import os
from contextlib import asynccontextmanager
import aioaug, aioaug_testing as aug
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

@asynccontextmanager
async def lifespan(app):
    async with aioaug.AsyncPool(aug.pid_of, processes=2) as app.state.pool:
        yield

async def workers(request):
    pids = await request.app.state.pool.map_batches([0] * 20, chunksize=1)
    return JSONResponse({"server": os.getpid(), "workers": sorted(set(pids))})

app = Starlette(lifespan=lifespan, routes=[Route("/", workers)])
"""


@contextmanager
def serving(folder, *command):
    """A server program that runs in a session of its own, and leaves nothing when interrupted."""
    path = os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])
    server = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield
    finally:
        family = session_of(server.pid)
        os.killpg(server.pid, signal.SIGINT)
        output, _ = server.communicate(timeout=PATIENCE)
    assert_gone(family)
    assert "Traceback" not in output
    assert "leaked" not in output


@pytest.mark.slow
def test_uvicorn_that_reloads(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(APP)
    port = free_port()
    with serving(tmp_path, "uvicorn", "app:app", "--reload", "--port", str(port)):
        before = asked(port)
        app.write_text(APP + "\n# changed\n")
        after = asked(port, lambda answer: answer["server"] != before["server"])
        old = [before["server"], *before["workers"]]
        assert not set(old) & {after["server"], *after["workers"]}
        assert_gone([psutil.Process(pid) for pid in old if psutil.pid_exists(pid)])


@pytest.mark.parametrize(
    "workers", [pytest.param(count, marks=pytest.mark.slow) for count in "01"] + ["2"]
)
def test_hypercorn(tmp_path, workers):
    """Its processes are daemonic, but for 0, which is the program itself."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    with serving(tmp_path, "hypercorn", "app:app", "-w", workers, "-b", f"127.0.0.1:{port}"):
        answer = asked(port)
        assert len(answer["workers"]) in (1, 2)
        assert answer["server"] not in answer["workers"]
        if workers == "2":  # one that is killed while it starts its pool leaves semaphores
            asked(port, lambda other: other["server"] != answer["server"])


def test_gunicorn_that_loads_the_app_before_it_forks(tmp_path):
    """A pool at the top of the app belongs to the process that uses it, in each of them anew."""
    pytest.importorskip("gunicorn")
    build = "aioaug.AsyncPool(aug.pid_of, processes=2)"
    app = APP.replace(build, "pool").replace("@async", f"pool = {build}\n\n@async")
    (tmp_path / "app.py").write_text(app)
    port = free_port()
    address = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket")
    worker = ("-k", "uvicorn.workers.UvicornWorker")
    with serving(tmp_path, "gunicorn", "app:app", "--preload", *address, *worker):
        first = asked(port)
        second = asked(port, lambda answer: answer["server"] != first["server"])
        assert not set(first["workers"]) & set(second["workers"])


def asked(port, wanted=lambda answer: True):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=5).json()
            if wanted(answer):
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


POOLS = """
async def use(method=None):
    async with aioaug.AsyncPool(aug.nothing, processes=1, start_method=method) as pool:
        return await pool.map_batches([1])

def attempt(method=None):
    try:
        print(aioaug.run(use(method)), flush=True)
    except RuntimeError as error:
        print(error, flush=True)
"""


def test_a_temporary_folder_with_a_long_path(tmp_path):
    """A socket's path has 107 bytes at most, and the fork server needs one."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    body = f"""
        if __name__ == "__main__":
            import multiprocessing, tempfile
            from aioaug.engines.process import start_conditions
            os.environ["TMPDIR"] = {str(long)!r}
            short, start_conditions._SHORT = start_conditions._SHORT, ("/nowhere",)
            attempt()
            attempt("spawn")
            start_conditions._SHORT = short
            attempt()
            folder = multiprocessing.current_process()._config["tempdir"]
            print(len(folder) < 60, oct(os.stat(folder).st_mode), folder)
    """
    code, out, err = run(tmp_path, POOLS + textwrap.dedent(body))
    refusal, spawned, served, folder = out.splitlines()
    assert (code, spawned, served, err) == (0, "[1]", "[1]", "")
    assert "TMPDIR" in refusal
    assert "start_method='spawn'" in refusal
    assert folder.startswith("True 0o40700 ")
    assert not Path(folder.split()[-1]).exists()
    assert list(long.iterdir()) == []


def test_a_working_directory_that_was_deleted(tmp_path):
    body = """
        if __name__ == "__main__":
            import tempfile
            here = os.getcwd()
            gone = tempfile.mkdtemp()
            os.chdir(gone)
            os.rmdir(gone)
            attempt()
            attempt("spawn")
            os.chdir(here)
            attempt()
            attempt("spawn")
    """
    code, out, err = run(tmp_path, POOLS + textwrap.dedent(body))
    *refusals, served, spawned = out.splitlines()
    assert (code, served, spawned, err) == (0, "[1]", "[1]", "")
    assert len(refusals) == 2
    assert all("working directory of this process was deleted" in each for each in refusals)


@pytest.mark.parametrize("name", ["attempt", "blocking"])
def test_a_pool_that_begins_at_the_exit(tmp_path, name):
    body = f"""
        def blocking():
            from aioaug.blocking import Pool

            try:
                with Pool(aug.nothing, processes=1) as pool:
                    pool.map_batches([1])
            except RuntimeError as error:
                print(error, flush=True)

        if __name__ == "__main__":
            import atexit
            atexit.register({name})
    """
    code, out, err = run(tmp_path, POOLS + textwrap.dedent(body))
    assert (code, err) == (0, "")
    (refusal,) = out.splitlines()
    assert "no pool can start in a function of atexit" in refusal


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="there is no such signal")
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_children_that_are_not_waited_for(tmp_path, method):
    """With SIGCHLD ignored the system forgets how a child ended; pools close as ever."""
    body = f"""
        if __name__ == "__main__":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            attempt({method!r})
            attempt({method!r})
    """
    assert run(tmp_path, POOLS + textwrap.dedent(body)) == (0, "[1]\n[1]\n", "")


@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_program_that_is_killed_leaves_no_semaphores(tmp_path, method):
    """multiprocessing's tracker would print that they were leaked."""
    program = start(
        tmp_path,
        f"""
        async def main():
            async with aioaug.AsyncPool(aug.nothing, 2, start_method={method!r}) as pool:
                await pool.map_batches([1])
                print("ready", flush=True)
                await asyncio.sleep(60)

        if __name__ == "__main__":
            asyncio.run(main())
        """,
    )
    assert program.stdout.readline() == "ready\n"
    members = session_of(program.pid)
    program.kill()
    _, err = program.communicate(timeout=PATIENCE)
    assert_gone(members)
    assert err == ""
