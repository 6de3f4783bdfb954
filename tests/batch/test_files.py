"""What is dumped is loaded again, whatever the labels and shapes; bad files change nothing."""

import asyncio
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from aioaug import MissingExtra, batch, formats
from aioaug.batch import Batch, FilesIndex
from batch_testing import Two, double
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

NEEDS = {
    "csv": ["pandas"],
    "feather": ["pandas", "pyarrow"],
    "hdf5": ["pandas", "tables"],
    "blosc": ["blosc"],
    "npz": [],
}
FORMATS = tuple(NEEDS)
every_format = pytest.mark.parametrize("fmt", FORMATS)
every_table = pytest.mark.parametrize("fmt", ["csv", "feather", "hdf5"])
every_file = pytest.mark.parametrize("fmt", ["feather", "hdf5", "blosc", "npz"])


@pytest.fixture(autouse=True)
def _needs(request, no_leaks):
    fmt = request.node.callspec.params.get("fmt") if hasattr(request.node, "callspec") else "csv"
    for module in NEEDS.get(fmt, ()):
        pytest.importorskip(module)
    yield
    batch.shutdown()


def make(labels=(2, 3), **columns):
    made = Batch(np.array(labels))
    return made.add_components(list(columns), list(columns.values()))


def empty_like(made):
    return Batch(made.index).add_components(list(made.components))


def assert_equal(found, expected, *, dtypes=True):
    assert found.components == expected.components
    for name in expected.components:
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        np.testing.assert_array_equal(one, other)
        assert not dtypes or other.dtype.kind in "UO" or one.dtype == other.dtype


WORDS = st.from_regex("[a-z0-9]{1,5}", fullmatch=True)
LABELS = st.one_of(
    arrays.arrays(np.int64, st.integers(1, 5), elements=st.integers(-99, 99), unique=True),
    arrays.arrays("U5", st.integers(1, 5), elements=WORDS, unique=True),
)
SHAPES = st.sampled_from([(), (3,), (1,), (11,), (2, 3), (4, 5, 3)])
DTYPES = st.sampled_from([np.uint8, np.int64, np.float64, np.float32, np.bool_])


@st.composite
def batches(draw):
    labels = draw(LABELS)
    columns = {}
    for name in draw(st.sampled_from([["x"], ["x", "images"], ["b", "a", "x1"]])):
        shape = (len(labels), *draw(SHAPES if name != "x1" else st.just(())))
        dtype = draw(DTYPES)
        elements = arrays.from_dtype(np.dtype(dtype), allow_nan=False)
        columns[name] = draw(arrays.arrays(dtype, shape, elements=elements))
    if draw(st.booleans()):
        text = st.from_regex("[b-m]{1,6}", fullmatch=True)
        columns["text"] = np.array(draw(st.lists(text, min_size=len(labels), max_size=len(labels))))
    return make(labels, **columns)


@every_format
@given(made=batches())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(fmt, made, tmp_path):
    path = str(tmp_path / f"{abs(hash(made.indices.tobytes()))}.{fmt}")
    options = {"mode": "w"} if fmt == "hdf5" else {}
    made.dump(dst=path, fmt=fmt, **options)
    assert_equal(empty_like(made).load(src=path, fmt=fmt), made, dtypes=fmt != "csv")
    some = tuple(reversed(made.components))
    found = Batch(made.index).load(src=path, fmt=fmt, dst=some)
    assert found.components == some
    # Any of the labels, in any order.
    part = Batch(made.indices[::-1][:2]).load(src=path, fmt=fmt, dst=made.components)
    for name in made.components:
        np.testing.assert_array_equal(getattr(part, name), getattr(made, name)[::-1][:2])


@pytest.mark.filterwarnings("ignore:(?s).*PyTables will pickle")
@pytest.mark.parametrize("fmt", ["csv", "feather", "hdf5", "npz"])
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["2024-02-28", "2024-02-29"], "M8[ns]"),
        np.array([0.5, np.nan]),
        np.array(["nan", ""]),
        np.array(["nan", "007"], object),
        np.array([None, "a"], object),
        np.array([b"\0c", b"a"]),
    ],
    ids=["dates", "nan", "texts", "objects", "none", "bytes"],
)
def test_labels_of_other_kinds(fmt, labels, tmp_path):
    path = str(tmp_path / "file")
    held = {"csv": "mMfU", "npz": "mMfUS"}.get(fmt, "mMfUSO")
    if labels.dtype.kind not in held and not (fmt == "csv" and labels[-1] == "007"):
        return
    make(labels, x=np.arange(2)).dump(dst=path, fmt=fmt)
    assert Batch(labels[::-1]).load(src=path, fmt=fmt, dst=("x",)).x.tolist() == [1, 0]


@pytest.mark.filterwarnings("ignore:(?s).*PyTables will pickle")
@pytest.mark.parametrize("fmt", ["feather", "hdf5"])
@pytest.mark.parametrize(
    "column",
    [[b"\0c", b"d\0"], [None, "nan"], ["", "a\0b"], [None, None], [3, 4]],
    ids=["bytes", "none", "texts", "all none", "numbers"],
)
def test_objects_in_tables_come_back_equal(fmt, column, tmp_path):
    path = str(tmp_path / "file")
    for kind in (object, None) if None not in column else (object,):
        made = make(x=np.array(column, kind))
        made.dump(dst=path, fmt=fmt, **({"mode": "w"} if fmt == "hdf5" else {}))
        assert empty_like(made).load(src=path, fmt=fmt).x.tolist() == made.x.tolist()


@pytest.mark.parametrize(
    ("fmt", "column", "what"),
    [
        ("hdf5", [math.nan, "a"], "NaN among texts"),
        ("feather", [math.nan, "a"], "NaN among texts"),
        ("feather", [None, 1.5], "None among other objects"),
        ("feather", [{"a": 1}, {"b": 2}], "containers"),
        ("feather", [b"a", "b"], "both texts and bytes"),
    ],
)
def test_tables_refuse_objects_that_they_would_change(fmt, column, what, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(ValueError, match=f"{fmt} cannot hold {what}.*'x'.*blosc"):
        make(x=np.array(column, object)).dump(dst=str(path), fmt=fmt)
    assert not path.exists()


@every_table
@given(values=st.lists(st.floats(allow_nan=False), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_floats_to_the_last_bit(fmt, values, tmp_path):
    path = str(tmp_path / "file")
    made = make(x=np.array(values))
    made.dump(dst=path, fmt=fmt, **({"mode": "w"} if fmt == "hdf5" else {}))
    assert empty_like(made).load(src=path, fmt=fmt).x.tobytes() == made.x.tobytes()


@every_format
async def test_in_a_thread(fmt, tmp_path):
    made, path = make(x=np.array([1.5, 2.5])), str(tmp_path / "file")
    assert await made.dump_async(dst=path, fmt=fmt) is made
    found = await Batch([3]).load_async(src=path, fmt=fmt, dst=("x",))
    assert found.x.tolist() == [2.5]
    await made.save_async(dst=str(tmp_path / "other"), fmt=fmt)


@every_format
def test_save_is_dump(fmt, tmp_path):
    made = make(x=np.array([1.5, 2.5]))
    made.save(dst=str(tmp_path / "a"), fmt=fmt, components="x")
    assert Batch([2, 3]).load(src=str(tmp_path / "a"), fmt=fmt, dst=("x",)).x.tolist() == [1.5, 2.5]
    if fmt in ("csv", "npz"):
        made.dump(dst=str(tmp_path / "b"), fmt=fmt)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@every_file
@pytest.mark.parametrize("how", ["truncated", "foreign", "empty"])
def test_bad_files_change_nothing(fmt, how, tmp_path):
    made = make(x=np.arange(2000.0).reshape(2, 1000), y=np.arange(2))
    path = tmp_path / "file"
    made.dump(dst=str(path), fmt=fmt)
    file = path / "3.blosc" if fmt == "blosc" else path
    data = file.read_bytes()
    bad = {"truncated": data[: len(data) // 2], "foreign": b"GIF89a" + b"\1" * 900, "empty": b""}
    file.write_bytes(bad[how])
    before = make(x=np.zeros(2), z=np.ones(2))
    with pytest.raises(ValueError, match=f"{file}.* as {fmt}"):
        before.load(src=str(path), fmt=fmt, dst=("x", "y"))
    assert before.components == ("x", "z")
    assert before.x.tolist() == [0, 0]


@every_format
def test_what_is_missing(fmt, tmp_path):
    path = str(tmp_path / "file")
    make(x=np.arange(2.0)).dump(dst=path, fmt=fmt)
    made = make(x=np.zeros(2))
    with pytest.raises(KeyError, match="nothing"):
        made.load(src=path, fmt=fmt, dst=("x", "nothing"))
    other = make((2, 7), x=np.zeros(2))
    with pytest.raises((KeyError, FileNotFoundError), match="7"):
        other.load(src=path, fmt=fmt)
    with pytest.raises(FileNotFoundError):
        made.load(src=str(tmp_path / "none"), fmt=fmt)
    assert made.components == ("x",)
    assert made.x.tolist() == other.x.tolist() == [0, 0]


def test_a_cut_csv_is_noticed(tmp_path):
    path = tmp_path / "file.csv"
    make(x=np.array([1.25, 34567.0])).dump(dst=str(path), fmt="csv")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="not whole"):
        Batch([2, 3]).load(src=str(path), fmt="csv", dst=("x",))


def test_writing_fails_as_a_whole(tmp_path):
    path = tmp_path / "file.npz"
    make(x=np.arange(2)).dump(dst=str(path), fmt="npz")
    before = path.read_bytes()
    objects = np.array([{}, []], object)
    with pytest.raises(ValueError, match="'x'"):
        make(x=objects).dump(dst=str(path), fmt="npz")
    with pytest.raises(ValueError, match="holds no data"):
        make(x=None).dump(dst=str(tmp_path / "a.csv"), fmt="csv")
    arrays_inside = np.array([np.zeros(2), np.zeros(3)], object)
    with pytest.raises(ValueError, match="arrays of 'x'"):
        make(x=arrays_inside).dump(dst=str(tmp_path / "a.csv"), fmt="csv")
    with pytest.raises(ValueError, match="x0"):
        make(x=np.zeros((2, 2)), x0=np.zeros(2)).dump(dst=str(tmp_path / "a.csv"), fmt="csv")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["file.npz"]


@pytest.mark.parametrize("fmt", ["blosc"])
def test_objects(fmt, tmp_path):
    ragged = np.array([np.zeros((2, 3)), np.ones((4, 1))], object)
    made = make(x=ragged, y=np.array([{"a": 1}, None], object))
    made.dump(dst=str(tmp_path), fmt=fmt)
    found = Batch([3, 2]).load(src=str(tmp_path), fmt=fmt, dst=("y", "x"))
    assert found.y.tolist() == [None, {"a": 1}]
    np.testing.assert_array_equal(found.x[0], np.ones((4, 1)))


@pytest.mark.parametrize("fmt", ["blosc"])
def test_files_of_items(fmt, tmp_path):
    """batchflow fails both ways."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("x.png", "y.png"):
            (tmp_path / folder / name).touch()
    index = FilesIndex(path=str(tmp_path / "a" / "*.png"), no_ext=True, sort=True)
    made = Batch(index)
    made.add_components(("images", "more"), (np.arange(6).reshape(2, 3), np.array([7.0, 8])))
    made.dump(fmt=fmt)  # into the files of the index itself
    made.dump(dst=str(tmp_path / "b"), fmt=fmt, components="images")
    made.dump(dst=str(tmp_path / "new"), fmt=fmt)
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["x.png", "y.png"]
    for src in (None, str(tmp_path / "new"), FilesIndex(path=str(tmp_path / "a/*"), no_ext=True)):
        assert Batch(index).load(src=src, fmt=fmt, dst=("more", "images")).more.tolist() == [7, 8]
    part = Batch(index.create_subset(["y"])).load(fmt=fmt, dst="images")
    assert part.images.tolist() == [[3, 4, 5]]
    with pytest.raises(KeyError, match="more"):
        Batch(index).load(src=str(tmp_path / "b"), fmt=fmt, dst=("more",))
    with pytest.raises(ValueError, match="File locations must be specified"):
        Batch([1]).load(fmt=fmt, dst="images")
    with pytest.raises(KeyError, match="not indexed"):
        Batch(["z"]).load(src=index, fmt=fmt, dst="images")
    folders = FilesIndex(path=str(tmp_path / "?"), dirs=True, sort=True)
    Batch(folders).load(src={"a": 1, "b": 2}, dst="n").dump(dst="n.blosc", fmt=fmt)
    assert Batch(folders).load(src="n.blosc", fmt=fmt, dst="n").n.tolist() == [1, 2]
    assert (tmp_path / "a" / "n.blosc").exists()


@pytest.mark.parametrize("fmt", ["blosc"])
def test_files_of_items_without_components(fmt, tmp_path):
    made = Batch([2, 3], preloaded=np.arange(8).reshape(4, 2))
    made.dump(dst=str(tmp_path), fmt=fmt)
    assert Batch([3]).load(src=str(tmp_path), fmt=fmt).data.tolist() == [[6, 7]]


@pytest.mark.parametrize("fmt", ["blosc"])
def test_reads_what_batchflow_means_to_write(fmt, tmp_path):
    import blosc

    (tmp_path / "2.blosc").write_bytes(blosc.compress(pickle.dumps({"images": np.arange(3)})))
    assert Batch([2]).load(src=str(tmp_path), fmt=fmt, dst="images").images.tolist() == [[0, 1, 2]]


# -- tables --


def test_csv_of_others(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("id,features,labels\n7,0.5,a\n9,1.5,b\n8,2.5,c\n")
    found = Batch([8, 7]).load(fmt="csv", src=str(path), dst=("features", "labels"), index_col=0)
    assert (found.features.tolist(), found.labels.tolist()) == ([2.5, 0.5], ["c", "a"])
    whole = Batch([1, 0]).load(fmt="csv", src=str(path), dst="table")
    assert whole.table["features"].tolist() == [1.5, 0.5]
    raw = Batch([0]).load(fmt="csv", src=str(path), usecols=["labels"])
    assert raw.data.to_numpy().tolist() == [["a"]]

    def doubled(frame, src, fmt, dst, **kwargs):
        assert (src, fmt, dst, kwargs) == (str(path), "csv", ("features",), {"index_col": 0})
        return frame[["features"]] * 2

    found.load(fmt="csv", src=str(path), dst=("features",), index_col=0, post=doubled)
    assert found.features.tolist() == [5, 1]


@every_table
def test_a_component_alone(fmt, tmp_path):
    path = str(tmp_path / "file")
    make(x=np.arange(6).reshape(2, 3)).dump(dst=path, fmt=fmt)
    assert Batch([3]).load(src=path, fmt=fmt, dst="x").x.tolist() == [[3, 4, 5]]


def test_labels_that_look_like_numbers(tmp_path):
    path = str(tmp_path / "file.csv")
    make(("007", "7"), x=np.arange(2)).dump(dst=path, fmt="csv")
    assert Batch(["7"]).load(src=path, fmt="csv", dst="x").x.tolist() == [1]


def test_options_are_passed_on(tmp_path):
    made = make(x=np.array([1.25, 2.5]))
    path = str(tmp_path / "file")
    made.dump(dst=path, fmt="csv", sep=";", float_format="%.1f")
    assert Path(path).read_text().startswith("__index__;x\n")
    assert Batch([3]).load(src=path, fmt="csv", dst="x", sep=";").x.tolist() == [2.5]
    with pytest.raises(TypeError):
        made.dump(dst=path, fmt="csv", no_such_option=1)


@pytest.mark.parametrize("fmt", ["hdf5"])
def test_several_tables_in_one_file(fmt, tmp_path):
    path = str(tmp_path / "file.h5")
    make(x=np.arange(2)).dump(dst=path, fmt=fmt, key="a")
    make(x=np.arange(2) + 10).dump(dst=path, fmt=fmt, key="b")
    for key, expected in (("a", 1), ("b", 11)):
        assert Batch([3]).load(src=path, fmt=fmt, dst="x", key=key).x.tolist() == [expected]
    with pytest.raises(KeyError):
        Batch([3]).load(src=path, fmt=fmt, dst="x", key="c")


def test_part_of_a_component(tmp_path):
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame({"x0": [1], "x2": [2]})
    with pytest.raises(ValueError, match="not all"):
        formats.from_frame(frame, ["x"])


# -- memory --


def test_into_arrays():
    out = np.zeros(6)
    made = make(x=np.array([5.0, 6]), y=np.zeros(2))
    made.dump(dst=out, components="x")
    assert out.tolist() == [0, 0, 5, 6, 0, 0]
    for components in (None, ("x", "y")):
        with pytest.raises(ValueError, match="one component"):
            made.dump(dst=out, components=components)
    Batch([1], preloaded=np.arange(3)).dump(dst=out)
    assert out[1] == 1


def test_the_document_s_examples(tmp_path):
    frames = pytest.importorskip("pandas")
    images, masks = np.arange(5) * 10, np.arange(5)
    dataframe = frames.DataFrame({"features": masks * 1.5, "labels": masks})
    made = Batch(np.array([1, 4])).add_components(("features", "labels"))
    made.load(src=dataframe)
    assert (made.features.tolist(), made.labels.tolist()) == ([1.5, 6], [1, 4])
    made.load(src=dataframe, dst=("features", "labels"))
    made.load(src=dict(images=images, masks=masks), dst=("images", "masks"))  # noqa: C408
    assert (made.images.tolist(), made.masks.tolist()) == ([10, 40], [1, 4])
    made.load(src=(images + 1, masks + 1), dst=("images", "masks"))
    made.load(src=images, dst="images")
    assert (made.images.tolist(), made.masks.tolist()) == ([10, 40], [2, 5])
    assert made.components == ("features", "labels", "images", "masks")
    made.load(src=dataframe, dst="features")
    assert made.features.columns.tolist() == ["features", "labels"]
    path = tmp_path / "file.csv"
    dataframe.to_csv(path)
    found = Batch([1]).load(fmt="csv", src=str(path), dst=("features", "labels"), index_col=0)
    assert (found.features.tolist(), found.labels.tolist()) == ([1.5], [1])


def test_new_components_keep_their_order():
    """batchflow adds them in the order of the alphabet."""
    found = Batch([1]).load(src=(np.arange(2), np.arange(2)), dst=("x", "a"))
    assert found.components == ("x", "a")


def test_wrong_arguments(tmp_path):
    made = make(x=np.arange(2))
    for method in (made.load, made.dump):
        with pytest.raises(ValueError, match="'json'"):
            method(fmt="json")
    with pytest.raises(TypeError, match="by name"):
        made.load(np.arange(5))
    with pytest.raises(KeyError, match="'b'"):
        made.load(src={"a": np.arange(5)}, dst=("a", "b"))
    with pytest.raises(ValueError, match="components"):
        Batch([0], preloaded=np.arange(2)).dump(dst=str(tmp_path / "x"), fmt="npz")
    assert made.components == ("x",)


def test_a_missing_library_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "blosc", None)
    with pytest.raises(MissingExtra, match=r"pip install 'aioaug\[blosc\]'"):
        formats.format_named("blosc").write({}, str(tmp_path / "x"))


def test_loading_several_at_once(tmp_path):
    """HDF5's library serves one thread at a time."""
    pytest.importorskip("tables")
    path = str(tmp_path / "file.h5")
    made = make(tuple(range(50)), x=np.arange(50))
    made.dump(dst=path, fmt="hdf5")

    async def main():
        loads = [Batch([n]).load_async(src=path, fmt="hdf5", dst="x") for n in range(12)]
        return [found.x[0] for found in await asyncio.gather(*loads)]

    assert asyncio.run(main()) == list(range(12))


def test_what_was_loaded_is_worked_on():
    made = Two([1], preloaded=(np.arange(3), None)).apply_parallel(double, src="images")
    assert made.images.tolist() == [2]
