"""The training loop of train.py as a plain program: no event loop, no await.

Prints what train.py prints: same seeds, same batches, same network. A program for
`imgaug.multicore.Pool` becomes this by changing its import.
"""

import time

import aioaug.blocking
import imgaug.augmenters as iaa
import numpy as np
from skimage import data
from train import Net, move, shuffled


def train(augmenter: iaa.Augmenter, pictures: np.ndarray, is_face: np.ndarray) -> Net:
    net = Net(pictures[0].size, 1024, np.random.default_rng(1))
    waiting = stepping = 0.0
    with aioaug.blocking.Pool(augmenter, processes=-1, seed=1) as pool:
        asked = time.perf_counter()
        for batch in pool.imap_batches(shuffled(pictures, is_face), output_buffer_size="auto"):
            got = time.perf_counter()
            net.step(batch.images_aug, batch.data)  # meanwhile the next batches are augmented
            waiting, stepping = waiting + got - asked, stepping + time.perf_counter() - got
            asked = time.perf_counter()
    print(f"waited {waiting:.2f} s for batches, spent {stepping:.2f} s in steps")
    return net


def main() -> None:
    pictures = (data.lfw_subset() * 255).round().astype(np.uint8)[..., np.newaxis]
    is_face = np.arange(len(pictures)) < 100
    order = np.random.default_rng(1).permutation(len(pictures))
    seen, unseen = order[:100], order[100:]

    with aioaug.blocking.Pool(move, seed=2) as pool:
        moved = np.concatenate(pool.map_batches([pictures[unseen]] * 5))

    for name, augmenter in [("without augmentation", iaa.Identity()), ("with augmentation", move)]:
        print(name)
        net = train(augmenter, pictures[seen], is_face[seen])
        as_is = net.accuracy(pictures[unseen], is_face[unseen])
        about = net.accuracy(moved, np.tile(is_face[unseen], 5))
        print(f"unseen pictures: {as_is:.1%} right as they are, {about:.1%} moved about")


if __name__ == "__main__":  # worker processes import this file
    main()
