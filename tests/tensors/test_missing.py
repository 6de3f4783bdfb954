"""Where PyTorch is not installed."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import aioaug
try:
    import aioaug.torch
except aioaug.MissingExtra as error:
    assert "pip install 'aioaug[torch]'" in str(error), error
    assert isinstance(error, ImportError)
else:
    raise SystemExit("it was imported")
"""


def test_the_error_says_what_to_install():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_nothing_imports_it_before_it_is_used():
    program = "import sys, aioaug, aioaug.data, aioaug.blocking; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
