"""Programs that tests run in a session of their own, to see how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil

SUPPORT = Path(__file__).parent
PATIENCE = 20.0  # seconds that a program may take to get somewhere on a busy machine

HEAD = """
import asyncio, os, signal, sys, time
import aioaug
import aioaug_testing as aug

def endless():
    number = 0
    while True:
        yield number
        number += 1

"""


def environment():
    """What a program needs to import what the tests do."""
    path = os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "default"}


def start(folder, body, prefix=(), **options):
    """Begin a program, behind a command that runs it where there is a `prefix`."""
    script = Path(folder) / "script.py"
    script.write_text(HEAD + textwrap.dedent(body))
    return subprocess.Popen(
        [*prefix, sys.executable, str(script)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def run(folder, body):
    """Runs a program to its end: what it printed, and whether it left processes behind."""
    program = start(folder, body)
    out, err = program.communicate(timeout=PATIENCE)
    assert_gone(session_of(program.pid))
    return program.returncode, out, err


def output_of(script, cells):
    """What a program of this folder prints that runs cells, in a kernel of their own."""
    ended = subprocess.run(
        [sys.executable, str(SUPPORT / script)],
        input=json.dumps(cells),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout


def session_of(pid):
    """All processes of the session that a program leads."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
    return members


def still_running(processes, seconds):
    """Which of some processes have not ended after that time.

    One that has ended, and that the system's first process has not asked for yet, does not run:
    some look for such only once a second.
    """
    deadline = time.monotonic() + seconds
    while (alive := [one for one in processes if _runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def _runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_gone(processes):
    assert not still_running(processes, 5)
