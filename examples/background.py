"""Batches of pictures from two processes that fetch and augment them, one ahead in each."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from aioaug.blocking import BackgroundProc
from skimage import data

BATCHES = int(os.environ.get("BATCHES", "100"))


class Pictures:
    """scikit-image's lfw_subset: 100 faces, then 100 pictures of something else."""

    def __init__(self) -> None:
        self.pictures = data.lfw_subset()[:, np.newaxis].astype(np.float32)
        self.labels = (np.arange(200) < 100).astype(np.int16)

    def getbatch(
        self,
        size: int,
        strided: bool = False,
        flip: bool = False,
        grey_augment_channels: Sequence[int] = (),
    ) -> tuple[np.ndarray, np.ndarray]:
        some = np.random.permutation(200)[:size]  # other ones in every call, in every process
        images = self.pictures[some][..., :: 2 if strided else 1]
        if flip:
            images = np.where(np.random.rand(size, 1, 1, 1) < 0.5, images[..., ::-1], images)
        for channel in grey_augment_channels:
            images[:, channel] *= np.random.uniform(0.8, 1.2, (size, 1, 1))
        return images, self.labels[some]


def main() -> None:
    D = Pictures()
    kwargs: dict[str, Any] = {"strided": False, "flip": True, "grey_augment_channels": [0]}
    images, labels = D.getbatch(2, **kwargs)
    bg = BackgroundProc(
        D.getbatch,
        dtypes=[np.float32, np.int16],
        shapes=[images.shape, labels.shape],
        n_proc=2,
        target_args=(2,),
        target_kwargs=kwargs,
        profile=False,
    )
    faces = 0
    for _ in range(BATCHES):
        images, labels = bg.get()
        faces += int(labels.sum())
    bg.shutdown()
    print(f"{BATCHES} batches of {images.shape} {images.dtype}, {faces} faces")


if __name__ == "__main__":  # worker processes import this file
    main()
