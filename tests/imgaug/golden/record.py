"""Record what imgaug 0.4.0 itself does on NumPy 1.26, without aioaug: ``python record.py``.

Only the two names that NumPy 1.24 dropped are put back; without them it runs nowhere today. What is
broken even so (`MENDED`) is added by ``python record.py --mended``, through aioaug's mends.
"""

from __future__ import annotations

import importlib
import io
import lzma
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
DATA = HERE / "golden.npz.xz"
WATCHED = ("cv2", "scipy", "skimage", "PIL", "numpy")

MENDED = {
    "segmentation.Superpixels": "scikit-image numbers superpixels from 1, imgaug expects 0",
    "color.ChangeColorTemperature": "upstream fails on most batches",
    "size.CropAndPad:all modes": "upstream's order of modes changes from process to process",
}


def main() -> None:
    if not np.__version__.startswith("1.26"):
        raise SystemExit(f"imgaug 0.4.0 is recorded on NumPy 1.26, not {np.__version__}")
    warnings.simplefilter("ignore")
    mended = "--mended" in sys.argv
    if mended:
        sys.path.insert(0, str(HERE.parents[2]))
        importlib.import_module("aioaug._imgaug").install()
    else:
        np.bool, np.complex = bool, complex  # type: ignore[attr-defined]
    import cases

    arrays = recorded() if mended else _fresh()
    unchanged = cases.arrays(cases.annotated(arrays["pictures"]), "_unaug")
    for name in cases.ALL:
        if (name in MENDED) == mended:
            out = cases.run(name, arrays["pictures"])
            arrays |= {
                f"{name}/{what}": value
                for what, value in out.items()
                if _differs(value, unchanged.get(what))
            }
    _save(arrays)


def recorded() -> dict[str, Any]:
    with np.load(io.BytesIO(lzma.decompress(DATA.read_bytes()))) as archive:
        return dict(archive)


def _fresh() -> dict[str, Any]:
    import imgaug

    quokka = imgaug.quokka()
    # The pictures are kept too: JPEG decoders differ.
    pictures = np.stack([quokka[20:148:4, 340:500:4], quokka[300:428:4, 260:420:4]])
    return {"pictures": pictures, "versions": np.array(versions())}


def versions() -> list[str]:
    """Of everything that computes pixels, NumPy last."""
    return [f"{name} {importlib.import_module(name).__version__}" for name in WATCHED]


def _differs(value: Any, other: Any) -> bool:
    return other is None or value.dtype != other.dtype or not np.array_equal(value, other)


def _save(arrays: dict[str, Any]) -> None:
    # Not np.savez_compressed: a thousand small arrays compress to half of it when taken together.
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    DATA.write_bytes(lzma.compress(archive.getvalue(), preset=9))


if __name__ == "__main__":
    main()
