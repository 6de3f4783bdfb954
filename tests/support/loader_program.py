"""Goes on with loaders where others were: prints digests of what they give, as JSON.

    python tests/support/loader_program.py < cases

`cases` is a list of `[options, states, how_many]`: for each of the states, so many batches.
"""

from __future__ import annotations

import hashlib
import json
import sys

import aioaug.torch
from imgaug import augmenters as iaa
from tensors_testing import Pictures

COUNT = 200  # 50 batches of 4


def augmenter():
    return iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.Multiply((0.7, 1.3))])


def loader(**options):
    return aioaug.torch.Loader(Pictures(COUNT, 8), augmenter(), 4, seed=3, **options)


def digest(batch):
    return hashlib.sha256(
        b"".join(part.contiguous().numpy().tobytes() for part in batch)
    ).hexdigest()


def given(loader, how_many):
    found = []
    for batch in loader:
        found.append(digest(batch))
        if len(found) == how_many:
            break
    return found


def main():
    answer = []
    for options, states, how_many in json.load(sys.stdin):
        found = []
        with loader(**options) as ours:
            for state in states:
                ours.load_state_dict(state)
                found.append(given(ours, how_many))
        answer.append(found)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
