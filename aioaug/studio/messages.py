"""What the page asks for, out of JSON: everything is checked here, and nothing is evaluated."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from .._base.seeding import SEED_LIMIT
from .trees import Node, check_tree
from .work import ShownPictures

MOST_CELLS = 36
MOST_IN_BATCH = 64
LARGEST_INDEX = 2**31 - 2
SIDES = (128, 192, 256, 384, 512, 768, 1024)


@dataclass(frozen=True)
class PictureQuery:
    """One picture: its number in the dataset, or the key of an upload, and its longest side."""

    number: int | None
    upload: str | None
    side: int | None


@dataclass(frozen=True)
class BatchQuery:
    """A batch of the run."""

    number: int
    size: int
    shuffle: bool


@dataclass(frozen=True)
class StudioQuery:
    """What is to be shown: pictures, and what a pipeline makes of them. Without one, as they are.

    `count` is how many copies a contact sheet has.
    """

    subject: PictureQuery | BatchQuery
    tree: Node | None
    seed: int
    index: int
    count: int


def read_query(body: bytes, places: dict[str, int], pictures: int) -> StudioQuery:
    """The query in a body of JSON; `ValueError` says what is wrong with it.

    `places` are the pipelines, with how many augmenters each has, and `pictures` is how many there
    are.
    """
    try:
        content = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("the body must be JSON in UTF-8, and not nested deeply") from None
    if not isinstance(content, dict):
        raise ValueError("the body must be a JSON object")
    strange = sorted(content.keys() - _KEYS)
    if strange:
        raise ValueError(f"{strange[0][:64]!r} is unknown; known are {', '.join(sorted(_KEYS))}")
    seed = _whole(content, "seed", 0, SEED_LIMIT, 0)
    tree = content.get("pipeline")
    if (content.get("batch") is None) == (content.get("picture") is None):
        raise ValueError("give either picture or batch")
    subject: PictureQuery | BatchQuery
    if content.get("batch") is not None:
        subject = _batch(content["batch"])
    else:
        subject = _picture(content["picture"], pictures)
    return StudioQuery(
        subject,
        None if tree is None else check_tree(tree, places),
        seed,
        _whole(content, "index", 0, LARGEST_INDEX, 0),
        _whole(content, "count", 1, MOST_CELLS, 1),
    )


_KEYS = {"seed", "index", "count", "pipeline", "picture", "batch"}


def framed(shown: ShownPictures) -> bytes:
    """An answer: four bytes with the length of the JSON, big end first, the JSON, and the files."""
    facts = {**shown.facts, "bytes": [len(file) for file in shown.files]}
    head = json.dumps(facts, allow_nan=False).encode()
    return b"".join((struct.pack(">I", len(head)), head, *shown.files))


def _picture(content: Any, pictures: int) -> PictureQuery:
    if not isinstance(content, dict) or not content.keys() <= {"number", "upload", "side"}:
        raise ValueError("picture must be an object of number or upload, and side")
    side = content.get("side")
    if side is not None and side not in SIDES:
        raise ValueError(f"side must be null or one of {', '.join(map(str, SIDES))}, got {side!r}")
    upload = content.get("upload")
    if upload is not None:
        if not isinstance(upload, str) or content.get("number") is not None:
            raise ValueError("upload must be text, and stands instead of number")
        return PictureQuery(None, upload, side)
    return PictureQuery(_whole(content, "number", 0, pictures - 1, None), None, side)


def _batch(content: Any) -> BatchQuery:
    if not isinstance(content, dict) or not content.keys() <= {"number", "size", "shuffle"}:
        raise ValueError("batch must be an object of number, size and shuffle")
    shuffle = content.get("shuffle", False)
    if not isinstance(shuffle, bool):
        raise ValueError(f"shuffle must be true or false, got {shuffle!r}")
    number = _whole(content, "number", 0, LARGEST_INDEX, None)
    return BatchQuery(number, _whole(content, "size", 1, MOST_IN_BATCH, 8), shuffle)


def _whole(content: dict[str, Any], name: str, low: int, high: int, default: int | None) -> int:
    value = content.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r:.64}")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(name)
