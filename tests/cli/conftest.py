"""What all tests of the command line need."""

from __future__ import annotations

import asyncio

import aioaug
import pytest


@pytest.fixture(scope="module", autouse=True)
def _first_loop():
    """libuv opens a pipe with its first loop and keeps it for as long as the program lives."""
    aioaug.run(asyncio.sleep(0))
