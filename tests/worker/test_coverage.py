"""coverage.py measures what runs in workers, where a program asks for it."""

import json
import os
import subprocess
import sys

import pytest
from programs_testing import PATIENCE, environment

AUGMENTER = """
def augment(batch):
    if batch == 2:
        return "two"
    return batch
"""
PROGRAM = """
import asyncio, sys
import aioaug
from augmenter import augment

async def main():
    async with aioaug.AsyncPool(augment, processes=1, start_method=sys.argv[1]) as pool:
        print(await pool.map_batches([1, 2]))

if __name__ == "__main__":
    asyncio.run(main())
"""
# As the file that the installation of coverage.py puts beside the packages.
AT_START = "import coverage; coverage.process_startup()"


def run(folder, *command, **variables):
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join([str(folder), env["PYTHONPATH"]])
    options = {"capture_output": True, "text": True, "timeout": 2 * PATIENCE, "check": True}
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=folder, env={**env, **variables}, **options).stdout


@pytest.mark.parametrize("at_start", [AT_START, ""], ids=["installed", "importable"])
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_lines_that_ran_in_a_worker_are_measured(tmp_path, method, at_start):
    files = {
        "augmenter.py": AUGMENTER,
        "program.py": PROGRAM,
        "sitecustomize.py": at_start,
        "settings": "[run]\nparallel = true\ninclude = augmenter.py\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    settings = str(tmp_path / "settings")
    assert "[1, 'two']" in run(tmp_path, "program.py", method, COVERAGE_PROCESS_START=settings)
    run(tmp_path, "-m", "coverage", "combine", "--rcfile", settings)
    run(tmp_path, "-m", "coverage", "json", "--rcfile", settings, "-o", "measured.json")
    measured = json.loads((tmp_path / "measured.json").read_text())["files"]["augmenter.py"]
    assert measured["missing_lines"] == []
    # A fork server that measures, too, may have given its workers what it had measured itself.
    assert set(measured["executed_lines"]) == {2, 3, 4, 5}
