"""Beside batchflow's in the same run: the least that parallel calls have to reach."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "support" / "batch_benchmark.py"


@pytest.mark.slow
def test_parallel_calls_are_fast():
    pytest.importorskip("batchflow")
    command = [sys.executable, BENCHMARK, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=True)
    seconds = json.loads(done.stdout)
    for target, least in {"mpc": 10, "threads": 1}.items():
        ours, theirs = seconds[target]
        assert theirs / ours >= least, f"{target}: {seconds[target]}"
