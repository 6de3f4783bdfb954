"""The examples of PyTorch run, and say what they should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

FOLDER = Path(__file__).parents[2] / "examples"
PATIENCE = 280  # seconds

pytestmark = pytest.mark.timeout(PATIENCE + 10)


def run(example, *options, **sizes):
    result = subprocess.run(
        [sys.executable, *options, FOLDER / f"{example}.py"],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | sizes,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def test_a_network_learns():
    out, err = run("train_torch", "-W", "error", EPOCHS="12")
    assert err == ""
    assert out.count("waited") == 2
    right = [float(each) for each in re.findall(r"([\d.]+)% right as they are", out)]
    assert len(right) == 2
    assert min(right) > 75


def test_two_ranks_go_on_after_a_kill():
    out, _ = run("train_ddp", "-W", "error")
    assert "equally many batches: True" in out
    assert "the same batches as without the kill: True" in out


def test_lightning():
    pytest.importorskip("lightning")
    out, err = run("train_lightning", EPOCHS="6")
    assert "Error" not in err
    first, last = re.search(r"48 steps, the loss went from ([\d.]+) to ([\d.]+)", out).groups()
    assert float(last) < float(first)
