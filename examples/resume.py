"""Stop in the middle of an epoch, start the program again, and go on as if nothing had happened.

python examples/resume.py            # plays both runs, and compares them with one in one piece
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import aioaug
import imgaug.augmenters as iaa
import numpy as np
from skimage import data

seq = iaa.Sequential(
    [iaa.Fliplr(0.5), iaa.Affine(rotate=(-25, 25)), iaa.AddToHueAndSaturation((-30, 30))]
)


async def epoch(batches: int = 12) -> AsyncIterator[np.ndarray]:
    """One epoch, the same every time it is started."""
    astronaut = data.astronaut()
    for number in range(batches):
        rows = astronaut[16 * number : 16 * number + 224]
        yield np.stack([rows[:, left : left + 224] for left in (0, 96, 192, 288)])


async def train(checkpoint: str = "null", stop_after: int | None = None) -> tuple[list[str], str]:
    """Train from where the checkpoint left off; returns what the batches looked like."""
    seen: list[str] = []
    async with aioaug.AsyncPool(seq, processes=2, seed=7) as pool:
        state = json.loads(checkpoint)
        async with pool.imap_batches(epoch(), output_buffer_size=4, state=state) as stream:
            async for batch in stream:
                seen.append(hashlib.sha256(batch.tobytes()).hexdigest()[:8])
                if len(seen) == stop_after:
                    break
        # To be saved together with the weights of the model.
        return seen, json.dumps(stream.state())


async def main() -> None:
    whole, _ = await train()
    first, checkpoint = await train(stop_after=5)
    print(f"stopped after {len(first)} batches; the checkpoint is {checkpoint}")
    second, _ = await train(checkpoint)
    print(f"went on with the other {len(second)}")
    print("same as in one piece:", first + second == whole)


if __name__ == "__main__":
    asyncio.run(main())
