"""Trees of augmenters and batches made from plain descriptions, and what imgaug makes of them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
import imgaug.multicore
import imgaug_reference as reference
import numpy as np
from golden import cases

PATIENCE = (
    20  # seconds for one batch in imgaug's pool, which hangs where an error does not unpickle
)
UNSEEDED = iaa.AddElementwise((-40, 40))  # of a module, so that copies of a tree share it


def add_by_unseeded(images, *_):
    return UNSEEDED(images=images)


def _true(*args):
    return True


def _unchanged(points, random_state, parents, hooks):
    return points


class Keeping(iaa.Augmenter):
    """Has another augmenter, of which imgaug's methods for children do not know."""

    def __init__(self):
        super().__init__()
        self.kept = iaa.AddElementwise((-40, 40))

    def _augment_batch_(self, batch, random_state, parents, hooks):
        return self.kept.augment_batch_(batch, parents, hooks)

    def get_parameters(self):
        return []


# Each class once or more. The folder of golden/ has functions that workers cannot import.
LEAVES = cases.ALL | {
    "meta.Lambda": lambda: iaa.Lambda(add_by_unseeded, _unchanged, _unchanged, _unchanged),
    "ours.Keeping": Keeping,
    "meta.AssertLambda": lambda: iaa.AssertLambda(_true, _true, _true, _true, _true),
}
# Those of a kind that has children, by what they get: one branch or two, and a number that varies
# the rest. A branch is a list of augmenters, an augmenter, or `None`.
LISTS = {
    "Sequential": lambda one, _, n: iaa.Sequential(one, random_order=n % 2 > 0),
    "SomeOf": lambda one, _, n: iaa.SomeOf(
        [1, 2, (0, None), (1, 2), None][n % 5], one, random_order=n % 2 > 0
    ),
    "OneOf": lambda one, *_: iaa.OneOf(one),
}
NESTS = LISTS | {
    "Sometimes": lambda one, two, n: iaa.Sometimes([0.5, 0.0, 1.0][n % 3], one, two),
    "WithChannels": lambda one, _, n: iaa.WithChannels([None, 0, [0, 2], 1][n % 4], one),
    "WithColorspace": lambda one, _, n: iaa.WithColorspace(
        ["HSV", "Lab", "YCrCb", "BGR"][n % 4], children=one
    ),
    "WithBrightnessChannels": lambda one, *_: iaa.WithBrightnessChannels(one),
    "WithHueAndSaturation": lambda one, *_: iaa.WithHueAndSaturation(one),
    "WithPolarWarping": lambda one, *_: iaa.WithPolarWarping(one),
    "KeepSizeByResize": lambda one, _, n: iaa.KeepSizeByResize(
        one, interpolation=["cubic", ["nearest", "linear"]][n % 2]
    ),
    "BlendAlpha": lambda one, two, n: iaa.BlendAlpha(
        [(0.0, 1.0), 0.5][n % 2], one, two, per_channel=n % 3 > 0
    ),
    "BlendAlphaMask": lambda one, two, n: iaa.BlendAlphaMask(
        iaa.InvertMaskGen(0.5, iaa.VerticalLinearGradientMaskGen()), one, two
    ),
    "BlendAlphaElementwise": lambda one, two, n: iaa.BlendAlphaElementwise(
        (0.0, 1.0), one, two, per_channel=n % 2 > 0
    ),
    "BlendAlphaSimplexNoise": lambda one, two, _: iaa.BlendAlphaSimplexNoise(one, two),
    "BlendAlphaFrequencyNoise": lambda one, two, _: iaa.BlendAlphaFrequencyNoise(
        foreground=one, background=two
    ),
    "BlendAlphaSomeColors": lambda one, two, _: iaa.BlendAlphaSomeColors(one, two),
    "BlendAlphaHorizontalLinearGradient": lambda one, two, _: (
        iaa.BlendAlphaHorizontalLinearGradient(one, two)
    ),
    "BlendAlphaVerticalLinearGradient": lambda one, two, _: iaa.BlendAlphaVerticalLinearGradient(
        one, two
    ),
    "BlendAlphaRegularGrid": lambda one, two, _: iaa.BlendAlphaRegularGrid(
        (1, 3), (1, 3), one, two
    ),
    "BlendAlphaCheckerboard": lambda one, two, _: iaa.BlendAlphaCheckerboard(2, (1, 3), one, two),
    "BlendAlphaSegMapClassIds": lambda one, two, _: iaa.BlendAlphaSegMapClassIds([1], one, two),
    "BlendAlphaBoundingBoxes": lambda one, two, _: iaa.BlendAlphaBoundingBoxes("a", one, two),
}


@dataclass(frozen=True)
class Branch:
    """Children: in a plain list, or the one `augmenter` itself in its place."""

    nodes: tuple[Node, ...] = ()
    bare: bool = False
    twice: bool = False  # the first is there once more, the same object


@dataclass(frozen=True)
class Node:
    """An augmenter; with branches, one of `NESTS`, without, one of `LEAVES`."""

    name: str
    branches: tuple[Branch | None, ...] = ()
    number: int = 0
    seed: int | None = None
    fixed: str = ""  # "method": by to_deterministic(), "attribute": by hand


@dataclass(frozen=True)
class Images:
    """One batch; its pictures are random numbers."""

    seed: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    channels: int | None = 3
    dtype: str = "uint8"
    columns: tuple[str, ...] = ("images",)
    layout: str = "C"
    together: bool = False  # in one array, where the sizes allow it
    normalized: bool = False


@dataclass(frozen=True)
class Trial:
    tree: Node
    batches: tuple[Images, ...]
    seed: int = 0
    live: int = 0  # workers of a pool of imgaug's; 0 for its functions called in this process
    engine: str = field(default="inline", compare=False)
    workers: int = 1


def build(trial):
    """The augmenter, under the same state of imgaug's global generator wherever it is built."""
    ia.random.seed(trial.seed % 1000)
    return _node(trial.tree)


def _node(node, as_branch=False):
    if node.branches:
        augmenter = NESTS[node.name](*(_branch(branch) for branch in node.branches), node.number)
    else:
        augmenter = LEAVES[node.name]()
    # imgaug never seeds lists in the place of branches; if they have a seed of their own, what
    # comes out depends on which worker gets which batch.
    if node.seed is not None and not (as_branch and isinstance(augmenter, list)):
        augmenter.random_state = ia.random.RNG(node.seed)
    if node.fixed == "method":
        return augmenter.to_deterministic()
    augmenter.deterministic = node.fixed == "attribute"
    return augmenter


def _branch(branch):
    if branch is None:
        return None
    if branch.bare:
        return _node(branch.nodes[0], as_branch=True)
    children = [_node(node) for node in branch.nodes]
    return children + children[:1] if branch.twice else children


def batch_of(images):
    rng = np.random.default_rng(images.seed)
    shapes = [
        size if images.channels is None else (*size, images.channels) for size in images.sizes
    ]
    columns = {name: _COLUMNS[name](rng, images, shapes) for name in images.columns}
    batch = ia.UnnormalizedBatch(**columns)
    return batch.to_normalized_batch() if images.normalized else batch


def _pictures(rng, images, shapes):
    pictures = [_picture(rng, shape, images) for shape in shapes]
    if images.together and len(set(shapes)) == 1:
        return np.stack(pictures)
    return pictures


def _picture(rng, shape, images):
    dtype = np.dtype(images.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        picture = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    else:
        picture = (rng.random(shape) * (2 if dtype.kind == "b" else 255)).astype(dtype)
        picture = rng.random(shape) > 0.5 if dtype.kind == "b" else picture
    if images.layout == "F":
        return np.asfortranarray(picture)
    if images.layout == "reversed":
        return picture[:, ::-1]
    if images.layout == "read-only":
        picture.flags.writeable = False
    return picture


def _heatmaps(rng, images, shapes):
    channels = 1 + images.seed % 2
    return [
        ia.HeatmapsOnImage(rng.random((*_map_size(shape), channels), np.float32), shape)
        for shape in shapes
    ]


def _segmentation_maps(rng, images, shapes):
    return [
        ia.SegmentationMapsOnImage(rng.integers(0, 3, (*_map_size(shape), 1), np.int32), shape)
        for shape in shapes
    ]


def _map_size(shape):
    return max(1, shape[0]), max(1, shape[1])  # imgaug has no empty maps


def _points(rng, shape, count):
    return (rng.random((count, 2)) * 1.4 - 0.2) * (shape[1], shape[0])


def _keypoints(rng, images, shapes):
    return [
        ia.KeypointsOnImage.from_xy_array(_points(rng, shape, rng.integers(4)), shape)
        for shape in shapes
    ]


def _bounding_boxes(rng, images, shapes):
    return [
        ia.BoundingBoxesOnImage(
            [
                ia.BoundingBox(*_points(rng, shape, 2).ravel(), label="ab"[i % 2])
                for i in range(rng.integers(3))
            ],
            shape,
        )
        for shape in shapes
    ]


def _polygons(rng, images, shapes):
    return [
        ia.PolygonsOnImage(
            [ia.Polygon(_points(rng, shape, 3 + i)) for i in range(rng.integers(3))], shape
        )
        for shape in shapes
    ]


def _line_strings(rng, images, shapes):
    return [
        ia.LineStringsOnImage(
            [ia.LineString(_points(rng, shape, i)) for i in range(rng.integers(4))], shape
        )
        for shape in shapes
    ]


_COLUMNS = {
    "images": _pictures,
    "heatmaps": _heatmaps,
    "segmentation_maps": _segmentation_maps,
    "keypoints": _keypoints,
    "bounding_boxes": _bounding_boxes,
    "polygons": _polygons,
    "line_strings": _line_strings,
}


def digest(outcome):
    """All that matters of an augmented batch, or of the exception in its place."""
    if isinstance(outcome, BaseException):
        return type(outcome).__name__
    return {name: _digest(getattr(outcome, f"{name}_aug")) for name in reference.COLUMNS}


def _digest(column):
    if column is None or isinstance(column, np.ndarray):
        return _parts(column)
    return [_parts(item) for item in column]


def _parts(item):
    if item is None:
        return None
    array = reference.array_of(item)
    labels = [getattr(one, "label", None) for one in getattr(item, "items", ())]
    return array.dtype.str, array.shape, array.tobytes(), getattr(item, "shape", None), labels


class Reference:
    """imgaug in a process of its own, since the workers of its pool are forks."""

    def __init__(self):
        folders = Path(__file__).parent, Path(aioaug.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "import imgaug_trees; imgaug_trees.answer()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        )

    def __call__(self, trial):
        """What comes out for each batch, from imgaug's pool itself if that is asked for."""
        pickle.dump(trial, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def expected(trial):
    direct = _in_this_process(build(trial), trial)
    if not trial.live:
        return direct
    live = _in_a_pool(build(trial), trial)
    if live != direct:
        raise AssertionError(f"imgaug's pool differs from the functions of its workers: {trial}")
    return live


def _in_this_process(augmenter, trial):
    """What a worker of imgaug's pool does, without the worker."""
    imgaug.multicore._Pool_initialize_worker(augmenter, trial.seed)
    outcomes = []
    for number, images in enumerate(trial.batches):
        batch = pickle.loads(pickle.dumps(batch_of(images)))
        try:
            outcome = imgaug.multicore._Pool_worker(np.int64(number), batch)
        except Exception as error:
            outcome = error
        outcomes.append(digest(outcome))
    imgaug.multicore.Pool._WORKER_AUGSEQ = None
    return outcomes


def _in_a_pool(augmenter, trial):
    pool = imgaug.multicore.Pool(augmenter, processes=trial.live, seed=trial.seed)
    try:
        # One by one: an error is one batch's, and indices go on.
        waiting = [pool.map_batches_async([batch_of(images)]) for images in trial.batches]
        return [_waited_for(one) for one in waiting]
    finally:
        pool.terminate()


def _waited_for(result):
    try:
        (outcome,) = result.get(PATIENCE)
    except Exception as error:
        outcome = error
    return digest(outcome)


def answer():
    """Tell `Reference` what is expected of each trial that comes in."""
    multiprocessing.set_start_method("fork")
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    while True:
        try:
            trial = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(expected(trial), answers)
        answers.flush()
