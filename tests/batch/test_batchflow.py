"""The same results as batchflow's, where it works; what it gets wrong is tested elsewhere."""

import warnings

import numpy as np
import pytest
from aioaug import batch as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    batchflow = pytest.importorskip("batchflow")

from hypothesis import given, settings
from hypothesis import strategies as st

SIDES = (ours, batchflow)
LABELS = np.array([2, 3, 5])
IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
MASKS = np.arange(6, dtype=np.int64)


def scaled(item, *args, src=None, dst=None, k=1, rng=None):
    return item * k + (0 if rng is None else rng.random())


def pair_of(pair, src=None, dst=None):
    return pair[0] + pair[1], pair[1] * 2


def lengths(item, src=None, dst=None):
    return np.zeros(int(item))


def batches(*args, components=("images", "masks"), data=(IMAGES, MASKS), labels=LABELS, **kwargs):
    """The same batch, ours and batchflow's."""
    for side in SIDES:
        kind = type("Kind", (side.Batch,), {"components": components})
        yield side, kind(labels, *args, preloaded=data, **kwargs)


def same(get, **kwargs):
    """That `get(side, batch)` is the same for both, arrays with their dtype."""
    mine, theirs = (get(side, batch) for side, batch in batches(**kwargs))
    assert_same(mine, theirs)


def assert_same(mine, theirs):
    if isinstance(theirs, np.ndarray):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        if theirs.dtype == object:
            for one, other in zip(mine, theirs, strict=True):
                assert_same(one, other)
        else:
            np.testing.assert_array_equal(mine, theirs)
    elif isinstance(theirs, list | tuple):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other)
    else:
        assert mine == theirs


@pytest.mark.parametrize("component", ["images", "masks"])
def test_columns_and_cells(component):
    same(lambda _, batch: getattr(batch, component))
    same(lambda _, batch: [getattr(batch[label], component) for label in LABELS])
    same(lambda _, batch: batch.get(3, component))
    same(lambda _, batch: [getattr(item[0], component) for item in batch.items])


@pytest.mark.parametrize(
    "data",
    [
        (IMAGES, None),
        {"masks": MASKS},
        {"images": dict(enumerate(MASKS)), "masks": MASKS},
        [IMAGES, MASKS],
    ],
    ids=["tuple", "dict", "dict of dicts", "list"],
)
def test_sources(data):
    same(lambda _, batch: (batch.images, batch.masks), data=data)


@pytest.mark.parametrize(
    "data", [IMAGES, (IMAGES, MASKS), {"a": MASKS}], ids=["array", "tuple", "dict"]
)
def test_data_without_components(data):
    same(
        lambda _, batch: list(batch.data.values()) if isinstance(data, dict) else batch.data,
        components=None,
        data=data,
    )


def test_writing_through_items():
    def write(_, batch):
        batch[3].masks = 70
        batch[5].images = 9
        return batch.masks, batch.images

    same(write)


def test_attributes():
    same(lambda _, batch: batch.get_attrs())
    same(lambda _, batch: batch.get_attrs(), a=1, b="x")
    same(lambda _, batch: (batch.size, len(batch), batch.indices, batch.array_of_nones))
    same(lambda _, batch: (batch.run_once(1, a=2), batch.do_nothing(1, a=2) is batch))
    same(lambda _, batch: batch.get_errors([1, 2]))


@pytest.mark.parametrize("target", ["f", "for", "t", "threads"])
def test_apply_parallel(target):
    def apply(side, batch):
        batch.apply_parallel(scaled, src="masks", dst="more", k=3, target=target)
        batch.apply_parallel(scaled, src="masks", k=side.P([1, 10, 100]), target=target)
        batch.apply_parallel(pair_of, src=("masks", "more"), dst=("z", "a"), target=target)
        batch.apply_parallel(lengths, src="z", dst="ragged", target=target)
        return batch.components, batch.masks, batch.more, batch.z, batch.a, batch.ragged

    same(apply)


@given(seed=st.integers(0, 2**63), p=st.floats(0, 1), size=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_chance(seed, p, size):
    def apply(_, batch):
        batch.random_seed = np.random.SeedSequence(seed)
        drawn = batch.random.normal()
        batch.apply_parallel(scaled, src="images", dst="a", k=3, p=p)
        batch.apply_parallel(scaled, src="images", dst="b", requires_rng=True)
        batch.apply_parallel(scaled, src=["images", "masks"], k=5, p=p, requires_rng=True)
        return drawn, batch.a, batch.b, batch.images, batch.masks

    columns = np.arange(size, dtype=float), np.arange(size, dtype=float)
    same(apply, data=columns, labels=np.arange(size))


@pytest.mark.parametrize("p", [None, 0, 1, 0.0, 1.0])
def test_certainty(p):
    same(lambda _, batch: batch.apply_parallel(scaled, src="masks", dst="n", k=3, p=p).n)


def test_inits_and_posts():
    def of_items(item, src=None, dst=None):
        return item.masks

    def apply(_, batch):
        batch.apply_parallel(scaled, init="indices", dst="labels", k=2)
        batch.apply_parallel(of_items, init="items", dst="again")
        batch.apply_parallel(scaled, init=[7, 8, 9], dst="listed")
        batch.apply_parallel(scaled, init=lambda **kwargs: [1, 2, 3], dst="called")
        batch.apply_parallel(scaled, src=np.arange(3), dst="direct")
        post = batch.apply_parallel(scaled, src="masks", post=lambda results, **kwargs: results)
        return batch.labels, batch.again, batch.listed, batch.called, batch.direct, post

    same(apply)


def test_decorated_methods():
    def made(side, batch):
        class Kind(side.Batch):
            components = "images", "masks"
            apply_defaults = {**side.Batch.apply_defaults, "src": "masks", "target": "for"}

            @side.apply_parallel
            def plus(self, item, by=1, **kwargs):
                return item + by

            @side.apply_parallel(dst="doubled")
            def double(self, item, **kwargs):
                return self._plus_(item, by=item)

        batch = Kind(LABELS, preloaded=(IMAGES, MASKS)).plus(by=3).double()
        return batch.masks, batch.doubled, batch._plus_(4), "action" in dir(Kind.plus)

    same(made)


@pytest.mark.parametrize("channels", [None, "first", "last"])
@pytest.mark.parametrize("dtype", [np.float32, "int16", None])
def test_to_array(channels, dtype):
    def made(_, batch):
        batch.to_array(src="images", dst="flat", dtype=dtype, channels=channels)
        batch.apply_parallel(lambda x, **kwargs: np.dstack([x] * 3), src="images", dst="rgb")
        batch.to_array(src="rgb", dtype=dtype, channels=channels)
        return batch.flat, batch.rgb

    same(made)


def test_load_and_dump_in_memory():
    def loaded(_, batch):
        batch.load(src=MASKS * 2, dst="images")
        batch.load(src=(IMAGES, MASKS), dst=("a", "b"))
        batch.load(src={"a": MASKS, "masks": MASKS + 1}, dst=("a", "masks"))
        out = np.zeros(6, int)
        batch.dump(dst=out, components="masks")
        return batch.images, batch.masks, batch.a, batch.b, out

    same(loaded)


def test_load_data_frames():
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame({"images": MASKS, "masks": MASKS * 1.5}, index=MASKS[::-1])

    def loaded(_, batch):
        whole = batch.images, batch.masks
        batch.load(src=frame, dst=("masks", "images"))
        return *whole, batch.masks, batch.images

    same(loaded, data=frame)


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    batch_size=st.none() | st.integers(1, 20),
    components=st.sampled_from([None, "images", ("masks",), ("masks", "images")]),
)
@settings(max_examples=40, deadline=None)
def test_merge(sizes, batch_size, components):
    def merged(side):
        kind = type("Kind", (side.Batch,), {"components": ("images", "masks")})
        parts = [
            kind(np.arange(size), preloaded=(np.full((size, 2), size), np.arange(size)))
            for size in sizes
        ]
        found = kind.merge(parts, batch_size, components)
        return [
            None
            if one is None
            else (one.indices, one.components, *(getattr(one, name) for name in one.components))
            for one in found
        ]

    mine, theirs = map(merged, SIDES)
    assert_same(mine, theirs)


shuffles = st.sampled_from([False, 0, 1, 17])


@given(
    count=st.integers(2, 30),
    batch_size=st.integers(1, 12),
    shuffle=shuffles,
    limit=st.sampled_from(["n_epochs", "n_iters"]),
    times=st.integers(1, 4),
    drop_last=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_batches_of_an_index(count, batch_size, shuffle, limit, times, drop_last):
    if batch_size > count:
        return

    def listed(side):
        index = side.DatasetIndex(np.arange(count) * 2)
        arguments = {"shuffle": shuffle, limit: times, "drop_last": drop_last}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # batchflow's, that batches may repeat items
            return [batch.indices for batch in index.gen_batch(batch_size, **arguments)]

    mine, theirs = map(listed, SIDES)
    assert_same(mine, theirs)


@given(
    count=st.integers(3, 40),
    shares=st.sampled_from([0.8, 0.5, [0.6, 0.3], [0.5, 0.3, 0.2], [0.5, 0.5, 0], [0.8, 0.15]]),
    shuffle=shuffles,
)
@settings(max_examples=60, deadline=None)
def test_splits(count, shares, shuffle):
    def parts(side):
        dataset = side.Dataset(count, side.Batch)
        dataset.split(shares, shuffle)
        found = (dataset.train, dataset.test, dataset.validation)
        return [None if part is None else part.indices for part in found]

    mine, theirs = map(parts, SIDES)
    assert_same(mine, theirs)


@pytest.mark.parametrize("shuffle", [0, 1, 7, -3])
def test_pipelines_draw_the_same(shuffle):
    def run(side):
        class Kind(side.Batch):
            components = ("images",)

            @side.action
            def noisy(self):
                self.images = self.images + self.random.normal(size=len(self))
                return self

            @side.apply_parallel(src="images", target="for")
            def chosen(self, item, k=1, **kwargs):
                return item * k

        dataset = side.Dataset(10, Kind, preloaded=(np.arange(10.0),))
        scale = side.P(side.R("uniform", 1, 9))
        pipeline = dataset.pipeline().noisy().chosen(p=0.5, k=scale).chosen(k=side.R("normal"))
        found = pipeline.gen_batch(4, shuffle=shuffle, n_epochs=2)
        return [(batch.indices, batch.images) for batch in found]

    mine, theirs = map(run, SIDES)
    assert_same(mine, theirs)


def test_next_batch():
    def batches_of(side):
        kind = type("Kind", (side.Batch,), {"components": ("images",)})
        dataset = side.Dataset(5, kind, preloaded=(np.arange(5) * 10,))
        return [dataset.next_batch(2).images for _ in range(6)]

    mine, theirs = map(batches_of, SIDES)
    assert_same(mine, theirs)


def test_as_dataset():
    def made(side):
        kind = type("Kind", (side.Batch,), {"components": ("images",)})
        batch = kind(np.arange(4), preloaded=(np.arange(4) * 10,))
        assert batch.data is not None
        dataset = batch.as_dataset(side.Dataset)
        return dataset.indices, dataset.next_batch(3).images, issubclass(dataset.batch_class, kind)

    mine, theirs = map(made, SIDES)
    assert_same(mine, theirs)


def test_inbatch_parallel():
    from batchflow.decorators import inbatch_parallel as theirs_too

    decorators = {ours: ours.inbatch_parallel, batchflow: theirs_too}

    def made(side, _):
        class Kind(side.Batch):
            def each(self, *args, **kwargs):
                return [((1,), {"b": 2}), (3, 4), [5, 6], {"a": 7, "b": 0}]

            def after(self, results, *args, **kwargs):
                return results, sorted(kwargs)

            @decorators[side](init="each", post="after", target="for", extra=1)
            def add(self, a, b, c=0):
                return a + b + c

        return Kind(LABELS).add(), Kind(LABELS).add(c=10, target="threads")

    same(made)


@pytest.mark.parametrize("name", ["Batch", "Dataset", "DatasetIndex", "FilesIndex", "Pipeline"])
def test_what_is_missing_says_that_it_is_left_out(name):
    dataset = ours.Dataset(3)
    index, files = dataset.index, ours.FilesIndex([1], paths=["a"])
    mine = {type(each).__name__: each for each in (dataset, dataset.p, index, files)}
    mine["Batch"] = dataset.next_batch(1)
    for public in {each for each in dir(getattr(batchflow, name)) if not each.startswith("_")}:
        try:
            getattr(mine[name], public)
        except AttributeError as error:
            assert "left out" in str(error)  # noqa: PT017 - most do not raise
