"""Measures what a pool costs to start in a script that imports something large, and to keep.

    python tests/support/start_figures.py torch 7

names the module that the script imports, and the number of rounds. The peer is an executor of
the standard library with a fork server, which has every process import the script. Rounds are
interleaved, each in a program of its own; printed are the medians, each with its range.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

WORKERS = 2
SCRIPT = """
import asyncio, json, multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
import aioaug
import imgaug.augmenters as iaa
import numpy as np
import psutil
{large}

BATCH = np.zeros((4, 32, 32, 3), np.uint8)
FLIP = iaa.Fliplr(0.5)

def augment(images):
    return FLIP.augment_images(images)

async def by_pool():
    async with aioaug.AsyncPool(FLIP, {workers}) as pool:
        entered = time.perf_counter()
        await pool.map_batches([BATCH] * {workers}, chunksize=1)
        return entered, time.perf_counter(), sizes()

async def by_executor():
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor({workers}, mp_context=context) as executor:
        entered = time.perf_counter()
        calls = [loop.run_in_executor(executor, augment, BATCH) for _ in range({workers})]
        await asyncio.gather(*calls)
        return entered, time.perf_counter(), sizes()

def sizes():
    # A worker is what the fork server has forked, or this program itself.
    family = psutil.Process().children(recursive=True)
    parents = {{process.ppid() for process in family}}
    workers = [process for process in family if process.pid not in parents]
    largest = sorted((process.memory_full_info().uss for process in workers), reverse=True)
    return [size / 2**20 for size in largest[:{workers}]]

if __name__ == "__main__":
    begun = time.perf_counter()
    entered, first, own = asyncio.run({{"pool": by_pool, "executor": by_executor}}[sys.argv[1]]())
    print(json.dumps([entered - begun, first - begun, max(own)]))
"""
NAMES = ("entered, s", "first results, s", "own memory of a worker, MB")


def main(module="", rounds="5"):
    large = f"import {module}" if module else ""
    figures = {"pool": [], "executor": []}
    with TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(SCRIPT.format(large=large, workers=WORKERS))
        for _ in range(int(rounds)):
            for way, rows in figures.items():
                done = subprocess.run(
                    [sys.executable, str(script), way], check=True, capture_output=True, text=True
                )
                rows.append(json.loads(done.stdout))
    for way, rows in figures.items():
        for name, column in zip(NAMES, zip(*rows, strict=True), strict=True):
            median = statistics.median(column)
            print(f"{way:9} {name:28} {median:8.2f} [{min(column):.2f} to {max(column):.2f}]")


if __name__ == "__main__":
    main(*sys.argv[1:])
