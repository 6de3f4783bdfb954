"""Small datasets, and labels and sources that tests send to workers."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import fsspec.asyn
import numpy as np
from aioaug import AsyncPool, data
from fsspec.implementations.http import HTTPFileSystem
from imgaug import augmenters as iaa
from imgaug.augmentables import Keypoint, KeypointsOnImage
from skimage import data as pictures

try:
    import s3fs
except ImportError:
    s3fs = None


def make_folder(root, classes=("cat", "dog"), each=5, suffix=".jpg"):
    """A folder of classes with small pictures, no two alike."""
    whole = pictures.chelsea()
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(each):
            top, left = 10 * number, 90 * place
            crop = whole[top : top + 48 + number, left : left + 80]
            cv2.imwrite(str(root / name / f"{number}{suffix}"), crop[:, :, ::-1])
    return root


def contents(batch):
    """All of a batch, for comparisons."""
    images = [(image.shape, image.tobytes()) for image in batch.images]
    return images, list(batch.labels), batch.names, batch.indices.tolist()


def collected(batches, engine="inline", **options):
    async def collect():
        async with AsyncPool(iaa.Identity(), 1, engine=engine, **options) as pool:
            return [contents(batch) for batch in [x async for x in pool.imap_batches(batches)]]

    return asyncio.run(collect())


def images(dataset, engine="inline", **options):
    """The pixels and labels of all pictures of a dataset."""
    [(pictures, labels, _, _)] = collected(dataset.batches(100), engine, **options)
    return pictures, labels


def set_environment(**variables):
    """Set variables where this is called."""
    os.environ.update(variables)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.asked.append(self.path)


class UnlistingHandler(QuietHandler):
    def list_directory(self, path):
        self.send_error(403)


@contextmanager
def served(folder, *, lists=True, asked=None):
    """The URL of a server that has this folder; pages of links list what is in it, or nothing.

    `asked` gets the paths of what it was asked for.
    """
    kind = QuietHandler if lists else UnlistingHandler
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=folder))
    server.asked = [] if asked is None else asked
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def end_connections():
    """End fsspec's thread and connections, which live as long as the program otherwise."""
    loop, thread = fsspec.asyn.loop[0], fsspec.asyn.iothread[0]
    if thread is None:
        return
    for kind in [HTTPFileSystem, *([] if s3fs is None else [s3fs.S3FileSystem])]:
        kind.clear_instance_cache()  # which closes the connections
    gc.collect()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    fsspec.asyn.reset_lock()


@dataclass(frozen=True)
class Points:
    """Labels that are points."""

    xy: tuple

    def columns(self, shape):
        points = [Keypoint(x, y) for x, y in self.xy]
        return {"keypoints": KeypointsOnImage(points, shape)} if points else {}

    def moved(self, columns, shape):
        found = columns["keypoints"].keypoints if columns else ()
        return replace(self, xy=tuple((float(point.x), float(point.y)) for point in found))


class Counted(Sequence):
    """Numbers as batches; it remembers which of them were read."""

    def __init__(self, count):
        self.count = count
        self.read = []

    def __len__(self):
        if self.count is None:
            raise TypeError("it has no end")
        return self.count

    def __getitem__(self, number):
        self.read.append(number)
        return number


def nothing(batch):
    return batch


async def _share(root, rank, world):
    """What one of several programs gets in two epochs: each batch's names and random numbers."""
    dataset = data.ImageFolder(root)
    batches = dataset.batches(2, shuffle=True, seed=3, epochs=2, shard=(rank, world))
    async with AsyncPool(_draw, 1, seed=1, engine="thread", load=data.decode) as pool:
        return [batch async for batch in pool.imap_batches(batches)]


def _draw(batch, rng):
    return batch.names, int(rng.integers(2**40)), int(np.sum(batch.images[0]))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_share(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
