"""File formats by name: how each is read and written, and what it can hold.

    csv, feather, hdf5    a pandas data frame
    npz                   arrays by name, without objects
    blosc                 any object that pickles, compressed; read only files that you trust

A file that is not of its format, or not whole, is a `ValueError` that names it. Files are written
beside their place and moved there when they are whole; but not HDF5 files, which may hold other
tables already, and not where `mode` asks for something else.

In a table, an array (N,) is one column of its own name. One of more dimensions is a column for
each element: `x0`, `x1`, ... for (N,K), `x0_0`, `x0_1`, ... for (N,H,W), and so on.
"""

from __future__ import annotations

import itertools
import os
import pickle
import re
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._base import atomic
from ._base.optional import need

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray

Path = str | os.PathLike[str]

# The name of the column that holds the labels of rows.
LABELS = "__index__"
# The name under which HDF5 keeps a table, unless another one is asked for.
HDF5_KEY = "batch"
_SHORT_FLOATS = ("float16", "float32")
# Where blosc's header has the length of the compressed data, as four bytes, little-endian.
_BLOSC_LENGTH = slice(12, 16)
# The HDF5 library must be used by one thread at a time, and has no lock of its own.
_hdf5 = threading.Lock()


class Format(NamedTuple):
    """`read(path, **options)` and `write(value, path, **options)`; options are the library's."""

    read: Callable[..., Any]
    write: Callable[..., None]
    tabular: bool


def format_named(name: str) -> Format:
    """The format of this name; `ValueError` if there is none."""
    if name not in FORMATS:
        known = ", ".join(repr(known) for known in FORMATS)
        raise ValueError(f"fmt must be None or one of {known}, got {name!r}")
    return FORMATS[name]


def read_labelled(
    fmt: str, path: Path, wanted: NDArray[Any], options: dict[str, Any]
) -> tuple[Any, NDArray[Any]]:
    """A table, or arrays by name, and the labels of the rows, of the kind of those wanted."""
    if format_named(fmt).tabular:
        return _read_table(fmt, path, wanted, dict(options))
    found = format_named(fmt).read(path, **options)
    if LABELS not in found:
        raise ValueError(f"{path} was not written by dump: it has no labels")
    return found, found.pop(LABELS)


def write_labelled(
    fmt: str, path: Path, labels: NDArray[Any], columns: dict[str, Any], options: dict[str, Any]
) -> None:
    """Write columns with the labels of their rows; of arrays those that are `None` are left out."""
    form = format_named(fmt)
    if form.tabular:
        form.write(_to_frame(labels, columns, fmt), path, **options)
    else:
        there = {name: column for name, column in columns.items() if column is not None}
        form.write({LABELS: labels, **there}, path, **options)


def _read_table(
    fmt: str, path: Path, wanted: NDArray[Any], options: dict[str, Any]
) -> tuple[pandas.DataFrame, NDArray[Any]]:
    if fmt == "csv" and all(isinstance(label, str) for label in wanted.tolist()):
        # "007" is a label, not a number. As bytes, since pandas may lose even texts like "nan".
        if options.get("engine") == "pyarrow":
            options.setdefault("dtype", {LABELS: str})
        else:
            options.setdefault("converters", {LABELS: str.encode})
    frame = format_named(fmt).read(path, **options)
    if LABELS in frame.columns:
        labels = _as_array(frame.pop(LABELS))
        if fmt == "csv" and labels.dtype.hasobject:
            texts = [x.decode() if isinstance(x, bytes) else x for x in labels]
            labels = np.array(texts, object)
        frame.index = labels
        frame.index.name = LABELS
    else:
        labels = _as_array(frame.index)
    # Times may have been written as texts.
    return frame, labels.astype(wanted.dtype) if wanted.dtype.kind in "mM" else labels


def _to_frame(labels: NDArray[Any], columns: dict[str, Any], fmt: str) -> pandas.DataFrame:
    """A data frame of named columns for this format; the first one is of the labels.

    An index would not do: HDF5 takes texts like "nan" for missing ones there.

    Raises `ValueError` if there is a column without data, or one of objects that the format would
    change, or two would have the same name.
    """
    frames = need("pandas", extra="dataframe")
    parts = []
    if LABELS in columns:
        raise ValueError(f"a component must not be called {LABELS!r}")
    for name, column in {LABELS: labels, **columns}.items():
        if column is None:
            raise ValueError(f"component {name!r} holds no data")
        if hasattr(column, "iloc"):
            parts.append(column if hasattr(column, "columns") else column.to_frame(name))
            continue
        column = np.asarray(column)
        # pandas would take None among texts for NaN, and Arrow end NumPy's own bytes at a zero.
        kept_as = object if column.dtype.kind in "OS" else None
        if kept_as:
            column = column.astype(object)
            _check_objects(name, column.ravel().tolist(), fmt)
        shape = column.shape[1:]
        flat = column.reshape(len(column), -1) if shape else column
        part = frames.DataFrame(flat, dtype=kept_as)
        part.columns = [name + "_".join(map(str, where)) for where in np.ndindex(*shape)]
        parts.append(part)
    frame = frames.concat([part.reset_index(drop=True) for part in parts], axis=1)
    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated:
        raise ValueError(f"two columns would be named {', '.join(map(str, repeated))}")
    return frame


def _check_objects(name: str, values: list[Any], fmt: str) -> None:
    """Raise `ValueError` if there are objects that this format would give back as others.

    A missing text is `None` when it is read. HDF5 pickles what is no text, Arrow has a type for
    each column, and csv has texts only, which is known.
    """
    there = [each for each in values if not (each is None or _is_nan(each))]
    kinds = {type(each) for each in there}
    texts = all(issubclass(kind, str | bytes) for kind in kinds)
    wrong = "arrays" if np.ndarray in kinds else None
    if fmt != "csv" and texts and any(map(_is_nan, values)):
        wrong = "NaN among texts"
    if fmt == "feather" and not texts and any(each is None for each in values):
        wrong = "None among other objects than texts"
    if fmt == "feather" and any(issubclass(kind, dict | list | tuple | set) for kind in kinds):
        wrong = "containers"
    if fmt == "feather" and {str, bytes} <= kinds:
        wrong = "both texts and bytes"
    if wrong:
        raise ValueError(f"{fmt} cannot hold {wrong} of {name!r}; fmt='blosc' can")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def from_frame(frame: pandas.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    """The columns of these names out of a table; those it does not have are left out."""
    found = {}
    for name in names:
        parts = _elements(frame, name)
        if name in frame.columns:
            found[name] = _as_array(frame[name])
        elif parts:
            shape = tuple(max(sizes) + 1 for sizes in zip(*parts, strict=False))
            if set(parts) != set(itertools.product(*map(range, shape))):
                raise ValueError(f"the table has some columns of {name!r}, but not all")
            flat = _as_array(frame[[parts[where] for where in sorted(parts)]])
            found[name] = flat.reshape(len(frame), *shape)
    return found


def has_others(frame: pandas.DataFrame, name: str) -> bool:
    """Whether there are columns in a table that are not of this component."""
    return not set(frame.columns) <= {name, *_elements(frame, name).values()}


def _elements(frame: pandas.DataFrame, name: str) -> dict[tuple[int, ...], str]:
    """The columns of a component of more dimensions, by the place of the element."""
    pattern = re.compile(re.escape(name) + r"(\d+(?:_\d+)*)")
    matches = ((pattern.fullmatch(str(column)), column) for column in frame.columns)
    return {tuple(map(int, match[1].split("_"))): column for match, column in matches if match}


def _as_array(column: Any) -> NDArray[Any]:
    """Columns of a table (N,) or (N,K); texts, if none is missing, as NumPy's own."""
    array: NDArray[Any] = column.to_numpy()
    if array.dtype.kind in "biufcmM" or not len(array):
        return array
    values = array.ravel().tolist()
    if all(isinstance(each, str) for each in values):
        return np.array(array.tolist(), np.str_)
    if all(isinstance(each, str) or each is None or _is_nan(each) for each in values):
        # What pandas marks as missing depends on its version.
        array = np.array([each if isinstance(each, str) else None for each in values], object)
        return array.reshape(column.shape)
    return array


def _read_csv(path: Path, **options: Any) -> pandas.DataFrame:
    frames = need("pandas", extra="dataframe")
    version = tuple(map(int, frames.__version__.split(".")[:2]))
    if options.get("engine", "c") == "c" and version < (3, 1):
        # Later ones read floats exactly by themselves, and say so to whoever asks for it.
        options.setdefault("float_precision", "round_trip")
    with _explained(path, "csv"):
        frame = frames.read_csv(path, **options)
        if isinstance(path, str | os.PathLike) and _is_cut(path):
            raise ValueError("it is not whole: its last line has no end")
        return frame


def _is_cut(path: Path) -> bool:
    """Whether a table of this module was cut off within a line; those of others may end so."""
    with open(path, "rb") as file:
        ours = file.read(len(LABELS)) == LABELS.encode()
        file.seek(-1, os.SEEK_END)
        return ours and file.read(1) != b"\n"


def _write_csv(frame: pandas.DataFrame, path: Path, **options: Any) -> None:
    # The digits that are enough for a float32 are read as another float64.
    short = {name: "float64" for name, kind in frame.dtypes.items() if kind in _SHORT_FLOATS}
    frame = frame.astype(short)
    options.setdefault("index", False)
    if "mode" in options or not isinstance(path, str | os.PathLike):
        frame.to_csv(path, **options)
    else:
        with atomic.replacing(path) as draft:
            frame.to_csv(draft.name, **options)


def _read_feather(path: Path, **options: Any) -> pandas.DataFrame:
    frames = need("pandas", extra="feather")
    need("pyarrow", extra="feather")
    with _explained(path, "feather"):
        return frames.read_feather(path, **options)


def _write_feather(frame: pandas.DataFrame, path: Path, **options: Any) -> None:
    need("pyarrow", extra="feather")
    if not isinstance(path, str | os.PathLike):
        frame.to_feather(path, **options)
    else:
        with atomic.replacing(path) as draft:
            frame.to_feather(draft.name, **options)


def _read_hdf5(path: Path, **options: Any) -> pandas.DataFrame:
    frames = need("pandas", extra="hdf5")
    need("tables", extra="hdf5")
    with _hdf5, _explained(path, "hdf5"):
        return frames.read_hdf(path, **options)


def _write_hdf5(frame: pandas.DataFrame, path: Path, **options: Any) -> None:
    need("tables", extra="hdf5")
    with _hdf5:
        frame.to_hdf(path, **{"key": HDF5_KEY, **options})


def _read_npz(path: Path, **options: Any) -> dict[str, Any]:
    # np.load would return an array for an .npy file, and take anything else for a pickle.
    with _explained(path, "npz"), open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is not a zip archive, or not all of one")
        file.seek(0)
        with np.load(file, allow_pickle=False, **options) as found:
            return dict(found)


def _write_npz(arrays: dict[str, Any], path: Path) -> None:
    for name, array in arrays.items():
        if np.asanyarray(array).dtype.hasobject:
            raise ValueError(f"npz cannot hold the objects of {name!r}; blosc can")
    with atomic.replacing(path) as draft, zipfile.ZipFile(draft, "w") as file:
        for name, array in arrays.items():
            # An entry that is made from its name has no time: the same data gives the same bytes.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _read_blosc(path: Path) -> Any:
    blosc = need("blosc", extra="blosc")
    with open(path, "rb") as file:
        data = file.read()
    with _explained(path, "blosc"):
        # The library trusts the lengths in the header, and would read beyond the data.
        if len(data) < 16 or int.from_bytes(data[_BLOSC_LENGTH], "little") != len(data):
            raise ValueError("its header does not fit its length")
        return pickle.loads(blosc.decompress(data))


def _write_blosc(value: Any, path: Path, **options: Any) -> None:
    blosc = need("blosc", extra="blosc")
    data = blosc.compress(pickle.dumps(value, protocol=5), **options)
    with atomic.replacing(path) as draft:
        draft.write(data)


@contextmanager
def _explained(path: Path, name: str) -> Iterator[None]:
    """Turn the exceptions that libraries raise for a bad file into one kind of error."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError, ImportError, TypeError):
        raise
    except Exception as error:
        # pandas raises KeyError for a table that an HDF5 file does not have.
        kind = KeyError if isinstance(error, KeyError) else ValueError
        raise kind(f"{path} cannot be read as {name}: {error}") from error


FORMATS = {
    "blosc": Format(_read_blosc, _write_blosc, tabular=False),
    "csv": Format(_read_csv, _write_csv, tabular=True),
    "feather": Format(_read_feather, _write_feather, tabular=True),
    "hdf5": Format(_read_hdf5, _write_hdf5, tabular=True),
    "npz": Format(_read_npz, _write_npz, tabular=False),
}
