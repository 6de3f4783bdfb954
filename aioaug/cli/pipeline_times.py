"""Which augmenters of a pipeline take the time, for `aioaug doctor --pipeline`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _imgaug
from .._pictures import read
from ..augmenters import specs
from ..augmenters.kinds import is_imgaug
from .exits import CommandError

if TYPE_CHECKING:
    from ..fast.profiling import AugmenterTime

_COPIES = 8  # of the one picture, so that what is done once for a batch counts for little
_SIDE = 224


def augmenter_times(spec: str, seed: int, picture: Path | None) -> list[AugmenterTime]:
    """The augmenters of a pipeline, the slowest first, on this picture or on one of imgaug's."""
    from .. import fast

    augmenter = specs.load(spec)
    if not is_imgaug(augmenter):
        raise CommandError(
            f"{spec} is no augmenter of imgaug's but of {type(augmenter).__module__}, "
            "and only those can be looked into"
        )
    return fast.profile(augmenter, [_pixels(picture)] * _COPIES, seed=seed)


def lines(times: list[AugmenterTime]) -> list[str]:
    """A table of all that takes a hundredth of the time or more, and the sum."""
    whole = sum(time.seconds for time in times)
    shown = [time for time in times if time.share >= 0.01]
    rows = [(time.share, time.seconds, time.name) for time in shown]
    return [
        f"{share:6.1%}  {1000 * seconds:8.2f} ms a picture  {name}"
        for share, seconds, name in [*rows, (1.0, whole, "all together")]
    ]


def _pixels(path: Path | None) -> Any:
    return _imgaug.quokka((_SIDE, _SIDE)) if path is None else read(path).pixels
