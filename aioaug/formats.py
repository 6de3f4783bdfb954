"""File formats by name: how each is read and written, and what it can hold.

    csv, feather, hdf5    a pandas data frame
    npz                   arrays by name, without objects
    blosc                 any object that pickles, compressed; read only files that you trust

A file that is not of its format, or not whole, is a `ValueError` that names it. Files are written
beside their place and moved there when they are whole; but not HDF5 files, which may hold other
tables already, and not where `mode` asks for something else.
"""

from __future__ import annotations

import os
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ._base import atomic
from ._base.optional import need

if TYPE_CHECKING:
    import pandas

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
    import numpy as np

    # np.load would return an array for an .npy file, and take anything else for a pickle.
    with _explained(path, "npz"), open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is not a zip archive, or not all of one")
        file.seek(0)
        with np.load(file, allow_pickle=False, **options) as found:
            return dict(found)


def _write_npz(arrays: dict[str, Any], path: Path) -> None:
    import numpy as np

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
