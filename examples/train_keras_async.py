"""The training of train_keras_style.py on an event loop, which stays free for other tasks.

The steps run in a thread, the batches are made in workers, and meanwhile a task of the loop counts
how often it gets its turn, as a web application would.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import aioaug
import numpy as np
from aioaug.images import ImageIterator
from train_keras_style import EPOCHS, FLOW, MOVING, Net, generator, write_pictures


async def accuracy(net: Net, flow: ImageIterator) -> float:
    async with flow:
        right = [((net.predict(x)[2] > 0) == y).mean() async for x, y in flow]
    return float(np.mean(right))


async def train(net: Net, flow: ImageIterator) -> None:
    async with flow:
        for _ in range(EPOCHS):
            async for x, y in flow:
                await asyncio.to_thread(net.train_on_batch, x, y)


async def longest_wait() -> float:
    """Until cancelled, look how long the loop makes others wait; the longest time in seconds."""
    longest = 0.0
    try:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - asked - 0.01)
    except asyncio.CancelledError:
        return longest


async def main(folder: Path) -> None:
    await asyncio.to_thread(write_pictures, folder)
    watch = asyncio.create_task(longest_wait())
    for name, moving in [("without augmentation", {}), ("with augmentation", MOVING)]:
        net = Net(25 * 25, 256, np.random.default_rng(1))

        def pictures(part: str, moving: dict[str, object], seed: int) -> ImageIterator:
            size = 32 if part == "train" else 80
            return generator(**moving).flow_from_directory(
                str(folder / part), **FLOW, batch_size=size, seed=seed
            )

        # Listing a directory reads the disk, so that it has its place in a thread.
        await train(net, await asyncio.to_thread(pictures, "train", moving, 1))
        as_is = await accuracy(net, await asyncio.to_thread(pictures, "test", {}, 1))
        about = await accuracy(net, await asyncio.to_thread(pictures, "test", MOVING, 2))
        print(f"{name}: {as_is:.1%} right as they are, {about:.1%} moved about")
    watch.cancel()
    print(f"the loop was never held up for more than {await watch:.3f} s")


if __name__ == "__main__":  # worker processes import this file
    with tempfile.TemporaryDirectory() as place:
        aioaug.run(main(Path(place)))
