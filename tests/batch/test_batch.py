"""A batch's own state: index, components, items, attributes, chance, copies, merging."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
from aioaug import batch as package
from aioaug._base.seeding import make_rng
from aioaug.batch import B, Batch, Dataset, DatasetIndex, F
from aioaug.batch.expressions import evaluate
from batch_testing import Pictures, Two, double
from hypothesis import given, settings
from hypothesis import strategies as st

IMAGES = np.arange(40).reshape(10, 4)


@pytest.fixture(autouse=True)
def _workers_end(no_leaks):
    yield
    package.shutdown()


def test_rows_are_picked_by_label():
    made = Two([3, 5], preloaded=(np.arange(10) * 10, None))
    assert made.images.tolist() == [30, 50]
    assert made.masks is None
    assert made.data.images is made.images
    assert Two([5], preloaded={"images": {5: 1, 6: 2}}).images.tolist() == [1]
    assert Two([1], preloaded=([7, 8], None)).images == [8]


def test_without_components():
    assert Batch([3, 5], preloaded=np.arange(10) * 10).data.tolist() == [30, 50]
    made = Batch([3, 5], preloaded=(np.arange(10), IMAGES))
    assert [part.tolist() for part in made.data] == [[3, 5], [[12, 13, 14, 15], [20, 21, 22, 23]]]
    # batchflow takes the label for a position in what was cropped.
    assert made[5][0] == 5
    assert [item[0] for item in made] == [3, 5]
    assert Batch([3]).data is None
    assert Batch([3])[3] is None


def test_components_must_be_a_tuple_and_free():
    for wrong in ("images", ["images"]):
        with pytest.raises(TypeError, match="components"):
            type("Wrong", (Batch,), {"components": wrong})([1])
    for name in ("size", "index", "pipeline", "iteration", "dataset"):
        with pytest.raises(ValueError, match=f"{name!r} has the name of an attribute"):
            type("Wrong", (Batch,), {"components": ("images", name)})([1])
    with pytest.raises(TypeError, match="one-dimensional"):
        Batch(np.zeros((2, 2)))


def test_a_bare_array_is_no_component():
    made = Two([1], preloaded=np.arange(3))
    with pytest.raises(TypeError, match="dst='images'"):
        _ = made.images
    with pytest.raises(TypeError, match="tuple"):
        _ = made.data
    with pytest.raises(ValueError, match="3 columns for 2"):
        Two([1]).load(src=(1, 2, 3))


def test_loaded_once_by_many_threads():
    loads = []

    class Slow(Two):
        def load(self, *args, **kwargs):
            loads.append(threading.current_thread())
            return super().load(*args, **kwargs)

    made = Slow(np.arange(10), preloaded=(IMAGES, None))
    barrier, found = threading.Barrier(8), []

    def touch():
        barrier.wait()
        found.append(made.data.images)

    threads = [threading.Thread(target=touch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert all(each is found[0] for each in found)


def test_a_failed_load_is_tried_again():
    made = Two([100], preloaded=(IMAGES, None))
    for _ in range(2):
        with pytest.raises(IndexError):
            _ = made.images


def test_copy():
    for isolated in (False, True):
        made = Batch([1], preloaded={"x": [None, IMAGES]}, copy=isolated)
        made.data["x"][0][0] = 7
        assert (IMAGES[0] == 7).all() != isolated
        IMAGES[0] = range(4)


def test_items():
    made = Two([3, 5, 7, 9], preloaded=(IMAGES, np.arange(10)))
    assert made[5].masks == 5
    made[5].masks = 70
    made[7].images = 1
    assert made.masks.tolist() == [3, 70, 7, 9]
    assert made[7].images.tolist() == [1, 1, 1, 1]
    assert made[5].nothing is None
    assert made[5].as_tuple("masks") == (70,)
    assert made[[3, 9]].masks.tolist() == [3, 9]
    # batchflow: TypeError without all three parts.
    assert made[5:].masks.tolist() == [70, 7, 9]
    assert made[:7].masks.tolist() == [3, 70]
    assert made[3:9:2].masks.tolist() == [3, 70, 7]
    assert made[:: 10**15].masks.tolist() == [3]
    assert made[-(10**15) : 10**15].masks.tolist() == made[:].masks.tolist()
    assert made[10**15 : 0 : -1].masks.tolist() == made[::-1].masks.tolist()
    assert made[9:3:-2].masks.tolist() == [9, 7, 70]
    texts = Two(np.array(["a", "b", "c"])).load(src={"a": 1, "b": 2, "c": 3}, dst="masks")
    assert texts["b":].masks.tolist() == [2, 3]
    for wrong in (4, "x", [3, 4], [[1]]):
        with pytest.raises(KeyError):
            made[wrong]
    assert [item.masks for item in made] == made.masks.tolist()
    assert [len(item) for item in made.items] == [1] * 4
    assert made.items[1][0].masks == 70
    with pytest.raises(AttributeError, match="nothing"):
        made[3].nothing = 1


def tuples(*labels):
    found = np.empty(len(labels), object)
    found[:] = labels
    return found


ODD_LABELS = {
    "days": np.array(["2024-02-28", "2024-02-29"], "M8[D]"),
    "nanoseconds": np.array(["2024-02-28", "2024-02-29"], "M8[ns]"),
    "durations": np.array([1, 2], "m8[s]"),
    "nan": np.array([0.5, np.nan]),
    "tuples": tuples(("a", 1), ("b", 2)),
}
odd_labels = pytest.mark.parametrize("labels", ODD_LABELS.values(), ids=ODD_LABELS)


@odd_labels
def test_labels_of_any_kind(labels):
    made = Two(labels).add_components("more", np.array([5, 6]))
    assert [item.more for item in made] == [5, 6]
    assert made[labels[1]].more == 6
    assert made[labels[::-1]].more.tolist() == [6, 5]
    assert made.apply_parallel(double, src="more").more.tolist() == [10, 12]
    dataset = made.as_dataset(Dataset)
    assert [batch.more.tolist() for batch in dataset.gen_batch(1, n_epochs=1)] == [[10], [12]]
    assert DatasetIndex(labels).get_pos(labels[1]) == 1


@odd_labels
def test_labels_of_data_frames(labels):
    frames = pytest.importorskip("pandas")
    made = Two.from_data(data=frames.DataFrame({"images": [1, 2]}, index=frames.Index(labels)))
    assert made.images.tolist() == [1, 2]
    assert [item.images for item in made] == [1, 2]


def test_assigning():
    made = Two([1, 2], preloaded=(IMAGES, None))
    made.images = "anything"
    assert made.data.images == "anything"
    with pytest.raises(AttributeError):
        made.data = 1
    made.data_setter = (1, 2)
    assert (made.images, made.masks, made.data_setter) == (1, 2, made.data)
    raw = Batch([1])
    raw.data_setter = "x"
    assert raw.data == "x"
    for name in ("nothing", "_nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(made, name)


def test_add_components():
    made = Two([1, 2], preloaded=(IMAGES, None))
    assert made.add_components("more", [5, 6]) is made
    made.add_components(["b", "a"]).add_components(("c", "d"), (1, None))
    assert made.components == ("images", "masks", "more", "b", "a", "c", "d")
    assert (made.more, made.b, made.c, made.images.shape) == ([5, 6], None, 1, (2, 4))
    assert Two.components == ("images", "masks")
    assert Two([1]).components == ("images", "masks")
    for name in ("images", "size", "load", "pipeline"):
        with pytest.raises(ValueError, match=f"'{name}' exists already"):
            made.add_components(name)
    made.create_attrs(own=1)
    with pytest.raises(ValueError, match="own"):
        made.add_components(["x", "own"])
    with pytest.raises(ValueError, match="1 columns for 2"):
        made.add_components(["x", "y"], [1])
    assert "x" not in made.components


def test_add_components_to_data_without():
    """batchflow warns, and crashes."""
    made = Batch([1], preloaded=IMAGES)
    assert made.data is not None
    with pytest.warns(UserWarning, match="All batch data is erased"):
        made.add_components("images", [1])
    assert (made.components, made.images) == (("images",), [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Batch([1]).add_components("x", [1]).x == [1]


def test_get():
    made = Two([3, 5], preloaded=(np.arange(10), None))
    assert made.get() is made.data
    assert made.get(5).images == 5
    assert made.get(component="images").tolist() == [3, 5]
    assert made.get(5, "images") == 5
    assert made.get(5, "nothing") is None
    with pytest.raises(AttributeError):
        made.get(component="nothing")


def test_attributes():
    made = Batch([1, 2], None, None, None, False, "ignored", a=1)
    assert made.get_attrs() == {"a": 1}
    made.create_attrs(b=2, c=3)
    assert (made.a, made.get_attrs()) == (1, {"b": 2, "c": 3})
    assert Batch([1]).get_attrs() == {}
    assert made.array_of_nones.dtype == object
    assert made.array_of_nones.tolist() == [None, None]
    assert Batch(DatasetIndex([4, 5])).indices.tolist() == [4, 5]
    assert Batch([1], dataset="own").dataset == "own"
    assert made.run_once() == [[]]
    assert made.do_nothing(1, a=2) is made
    error = ValueError()
    assert made.get_errors([1, error]) == [error]
    assert made.get_errors([1]) is None


# -- chance and copies --


def test_random():
    made, other = Batch([1, 2]), Batch([1, 2])
    assert made.random.random() != other.random.random()
    for seed in (3, np.random.SeedSequence(3)):
        made.random_seed = other.random_seed = seed
        first = made.random.random()
        assert first == other.random.random() == np.random.Generator(np.random.SFC64(3)).random()
        made.random_seed = seed
        assert made.random.random() == first
    found = []
    made.random_seed = other.random_seed = 5
    thread = threading.Thread(target=lambda: found.append(made.random.random()))
    thread.start()
    thread.join()
    assert found == [other.random.random()]
    for wrong, error in ((-1, ValueError), ("x", TypeError), (1.5, TypeError)):
        with pytest.raises(error, match="seed"):
            made.random_seed = wrong


def test_deepcopy():
    """batchflow's copies have neither `random` nor `pipeline`."""
    dataset = Dataset(10, Pictures, preloaded=(IMAGES, np.arange(10)))
    made = dataset.next_batch(3)
    made.create_attrs(own=[1])
    made.random_seed = 4
    made.random.random()
    for twin in (made.deepcopy(), copy.copy(made), copy.deepcopy(made)):
        assert type(twin) is Pictures
        twin.images[0] = 99
        twin.own.append(2)
        assert made.images[0].tolist() == IMAGES[0].tolist()
        assert made.own == [1]
        assert (twin.pipeline, twin.dataset) == (None, dataset)
        assert twin.random.random() == made.deepcopy().random.random()


def test_pickling_takes_the_batch_s_own_rows_only():
    made = Two([3], preloaded=(np.zeros((1000, 1000)), None))
    data = pickle.dumps(made)
    assert len(data) < 20000
    twin = pickle.loads(data)
    assert (twin.images.shape, twin.indices.tolist()) == ((1, 1000), [3])
    twin.add_components("more", [1])


def test_from_data():
    frames = pytest.importorskip("pandas")
    assert Batch.from_data(data=np.arange(5) * 2).data.tolist() == [0, 2, 4, 6, 8]
    assert Batch.from_data([3], np.arange(5)).data.tolist() == [3]
    made = Two.from_data(data=(IMAGES, np.arange(10)))  # batchflow: two items
    assert (made.size, made.images.shape) == (10, (10, 4))
    assert Batch.from_data(data=(IMAGES, np.arange(10))).size == 10
    assert Two.from_data(data={"masks": np.arange(10)}).size == 10
    frame = frames.DataFrame({"images": [1, 2]}, index=["a", "b"])
    assert Two.from_data(data=frame)["b"].images == 2


def test_a_list_without_components_is_of_items():
    pictures = [np.zeros((5, 5)), np.ones((7, 5))]
    made = Batch.from_data(data=pictures)
    assert [made[0].shape, made[1].shape] == [(5, 5), (7, 5)]
    assert Batch.from_data(data=[1, 2, 3]).data.tolist() == [1, 2, 3]


def test_as_dataset():
    made = Two([5, 3], preloaded=(np.arange(10) * 10, np.arange(10)))
    dataset = made.as_dataset(Dataset)  # batchflow: empty, since nothing was touched
    assert dataset.next_batch(2).images.tolist() == [50, 30]
    made.images = np.array([1, 2])  # batchflow: IndexError
    made.add_components("more", np.array([7, 8]))
    dataset = made.as_dataset(Dataset(1, Batch, own=5))
    found = dataset.create_batch([3])
    assert (found.images.tolist(), found.more.tolist(), dataset.own) == ([2], [8], 5)
    assert isinstance(found, Two)
    found.images[0] = 9
    assert made.images.tolist() == [1, 2]
    raw = Batch([5, 3], preloaded=np.arange(10) * 10).as_dataset(Dataset, copy=True)
    assert raw.create_batch([3]).data.tolist() == [30]
    assert next(raw.gen_batch(2)).data.tolist() == [50, 30]
    again = dataset.next_batch(1).as_dataset()
    assert again.next_batch(1).more.tolist() == [7]
    with pytest.raises(ValueError, match="dataset"):
        made.as_dataset()


# -- merging --

PARTS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def parts_of(sizes):
    """Batches whose images count on, and whose masks are all None."""
    start = 0
    for size in sizes:
        column = np.arange(start, start + size)
        yield Two.from_data(np.arange(size), (column, None))
        start += size


@given(sizes=PARTS, batch_size=st.none() | st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_merge_laws(sizes, batch_size):
    total = sum(sizes)
    merged, rest = Two.merge(parts_of(sizes), batch_size)  # a generator is fine
    first = total if batch_size is None else min(batch_size, total)
    assert merged.size == first
    assert merged.images.tolist() == list(range(first))
    assert merged.indices.tolist() == list(range(first))
    assert merged.masks is None
    if first == total:
        assert rest is None
    else:
        assert rest.images.tolist() == list(range(first, total))
        assert rest.indices.tolist() == list(range(total - first))
        again, nothing = Two.merge([merged, rest])
        assert again.images.tolist() == list(range(total))
        assert nothing is None


def test_merge():
    ones, twos = (Two.from_data(data=(np.full(n, n), np.arange(n))) for n in (4, 3))
    merged, rest = Two.merge([ones, twos], batch_size=5)
    assert (merged.images.tolist(), rest.images.tolist()) == ([4, 4, 4, 4, 3], [3, 3])
    assert rest.indices.tolist() == [0, 1]
    part, _ = Two.merge([ones, twos], components="masks", batch_class=Batch)
    assert (type(part), part.components, part.size) == (Batch, ("masks",), 7)
    raw, _ = Batch.merge([Batch.from_data(data=np.arange(n)) for n in (1, 2)])
    assert (raw.data.tolist(), raw.components) == ([0, 0, 1], None)
    sizes, _ = Batch.merge([Batch.from_data(data=np.zeros((2, n, n))) for n in (3, 4)])
    assert [picture.shape for picture in sizes.data] == [(3, 3), (3, 3), (4, 4), (4, 4)]


def test_merge_none():
    """batchflow drops everything if the first component is None throughout."""
    column = np.arange(2)
    pair = [Two.from_data(np.arange(2), (None, column)) for _ in range(2)]
    merged, rest = Two.merge(pair)
    assert (merged.images, merged.masks.tolist(), rest) == (None, [0, 1, 0, 1], None)
    pair.append(Two.from_data(np.arange(2), (column, column)))
    with pytest.raises(ValueError, match="'images' is None in some"):
        Two.merge(pair)
    with pytest.raises(ValueError, match="empty"):
        Two.merge([])
    with pytest.raises(ValueError, match="batch_size"):
        Two.merge(pair, batch_size=0)
    with pytest.raises(TypeError, match="list"):
        Two.merge([Two.from_data([0], ({0: 5}, None)), Two.from_data([0], ([5], None))][::-1])
    with pytest.raises(TypeError, match="batches"):
        Two.merge([1])


def test_merge_component_is_overridden():
    class Lists(Two):
        @classmethod
        def merge_component(cls, component=None, data=None):
            return [component, [*data[0], *data[1]]]

    merged, _ = Lists.merge([Lists.from_data(data=([1, 2], [3, 4])) for _ in range(2)])
    assert merged.images == ["images", [1, 2, 1, 2]]
    assert merged.masks == ["masks", [3, 4, 3, 4]]


def test_to_array():
    made = Two.from_data(data=(np.zeros((2, 4, 5)), np.zeros((2, 4, 5, 3), np.uint8)))
    shapes = {"last": (2, 4, 5, 1), "first": (2, 1, 4, 5), None: (2, 4, 5)}
    for channels, shape in shapes.items():
        found = made.to_array(src="images", dst="out", channels=channels).out
        assert (found.shape, found.dtype) == (shape, np.float32)
    found = made.to_array(src="masks", dst="out", channels="first", dtype=None).out
    assert (found.shape, found.dtype) == ((2, 3, 4, 5), np.uint8)
    assert made.to_array(src="masks").masks.shape == (2, 4, 5, 3)
    with pytest.raises(RuntimeError, match="channels"):
        made.to_array(src="images", channels="middle")


def test_chaining():
    made = Two.from_data(data=(np.arange(3), np.arange(3)))
    assert made.do_nothing().apply_parallel(double, src="images").to_array(src="masks") is made


# -- what users of batchflow reach for first --


def test_from_data_with_names_as_labels():
    made = Two.from_data(index=["a", "b"], data=(np.arange(2), np.arange(2) + 5))
    assert made["b"].masks == 6
    assert Batch.from_data(index=["a", "b"], data=np.arange(2) * 3)["b"] == 3
    with pytest.raises(ValueError, match="index has 2 labels for 3 rows"):
        Two.from_data(index=["a", "b"], data=(np.arange(3), None))


def test_merge_of_lists_and_frames():
    pandas = pytest.importorskip("pandas")
    parts = [Two.from_data(data=([1, 2], pandas.DataFrame({"x": [n, n + 1]}))) for n in (0, 10)]
    merged, rest = Two.merge(parts, batch_size=3)
    assert merged.images == [1, 2, 1]
    assert merged.masks["x"].tolist() == [0, 1, 10]
    assert rest.images == [2]


def test_expressions_are_worked_out_for_each_batch():
    made = Two([0, 1], preloaded=(np.array([3, 4]), None))
    made.create_attrs(scale=5)
    for expression, value in (
        (B.scale * 2 + 1, 11),
        (100 - B.scale, 95),
        (2**B.scale, 32),
        (-B.scale, -5),
        (B.images[1] % 3, 1),
        (B.get_attrs()["scale"], 5),
        (np.arange(2)[1] + B.scale, 6),
        (F(len)(B.indices) / 4, 0.5),
        (F(max)(1, B.scale), 5),
        (B("scale"), 5),
    ):
        assert evaluate(expression, made) == value


def test_a_random_state_is_a_seed():
    numbers = [make_rng(np.random.RandomState(1)).integers(10**9) for _ in range(2)]
    assert numbers[0] == numbers[1] != make_rng(np.random.RandomState(2)).integers(10**9)
    state = np.random.RandomState(1)
    assert make_rng(state).integers(10**9) != make_rng(state).integers(10**9)


def test_what_is_left_out_says_so():
    dataset = Dataset(3)
    for owner, name in ((dataset.p, "train_model"), (dataset, "CV"), (dataset.index, "from_index")):
        with pytest.raises(AttributeError, match=f"'{name}'.*left out"):
            getattr(owner, name)
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = dataset.nothing
