"""What workers run for tests of tensors."""

from __future__ import annotations

import numpy as np


def lies_in_shared_memory(tensor):
    """Whether the memory of a tensor is a segment's, as this process has it open."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, *_, name = line.split(maxsplit=5)
            begin, end = (int(number, 16) for number in span.split("-"))
            if begin <= tensor.data_ptr() < end:
                return "memfd:aioaug" in name
    return False


def brighter_in_place(tensor):
    """The tensor itself, one brighter, and where it lies."""
    tensor += 1
    return tensor, lies_in_shared_memory(tensor)


def as_tensor(array):
    """The same as a tensor that lies anywhere."""
    import torch

    return torch.from_numpy(array.copy())


def as_given(batch):
    """For batches that come back as they went."""
    return batch


class Pictures:
    """A data set of items `(image, label)`, as one of PyTorch: each image tells its number."""

    def __init__(self, count, size=32):
        self.count, self.size = count, size

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 256, (self.size, self.size, 3), np.uint8)
        image[0, 0] = number
        return image, number


class NamedPictures(Pictures):
    """The same with items `{"images": image, "labels": label}`."""

    def __getitem__(self, number):
        image, label = super().__getitem__(number)
        return {"images": image, "labels": label}
