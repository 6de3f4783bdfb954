"""The demo: real pictures through the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.slow
@pytest.mark.timeout(170)
def test_demo_leaves_pictures_and_sheets_and_can_run_again(tmp_path):
    for _ in range(2):
        demo = [sys.executable, "-W", "error", DEMO, tmp_path / "here"]
        done = subprocess.run(demo, capture_output=True, text=True, timeout=80)
        assert (done.returncode, done.stderr) == (0, "aioaug: seed 1\n" * 2)
        rates = re.findall(r"(\d+) pictures in .* s, ([\d.]+) pictures/s", done.stdout)
        assert [count for count, _ in rates] == ["16", "100"]
        assert all(float(rate) > 0 for _, rate in rates)
        for name in re.findall(r"^  (.*\.png)$", done.stdout, re.MULTILINE):
            with Image.open(name) as sheet:
                assert sheet.width == 10 + 4 * 250
    assert len(list((tmp_path / "here" / "light").glob("*.png"))) == 75
    assert len(list((tmp_path / "here" / "tutorial").glob("quokka-*.json"))) == 4
