"""What somebody who has just installed aioaug tries first; prints OK if it works."""

import aioaug
import imgaug.augmenters as iaa
import numpy as np


async def main() -> None:
    images = [np.full((8, 16, 3), value, np.uint8) for value in range(4)]
    async with aioaug.AsyncPool(iaa.Add(1), processes=2, seed=1) as pool:
        augmented = await pool.map_batches([images, images])
    for batch in augmented:
        assert [int(image[0, 0, 0]) for image in batch] == [1, 2, 3, 4], batch
    print("OK", aioaug.__version__, aioaug.__file__)


if __name__ == "__main__":
    aioaug.run(main())
