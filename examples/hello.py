"""The shortest program: batches go in, augmented batches come out, in order."""

import aioaug
import imgaug
import imgaug.augmenters as iaa


async def main() -> None:
    batches = [[imgaug.quokka(size=(96, 96))] * 8] * 20  # or an async generator
    async with aioaug.AsyncPool(iaa.Affine(rotate=(-20, 20)), seed=1) as pool:
        async for images in pool.imap_batches(batches, output_buffer_size="auto"):
            print(len(images), "of shape", images[0].shape)  # train on them


if __name__ == "__main__":
    aioaug.run(main())
