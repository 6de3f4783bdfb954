"""The close forms draw imgaug's numbers, and come within their bounds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import aioaug.fast
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.fast.close.families import CLOSE
from aioaug.fast.replacements import FASTER
from fast_testing import PICTURES, assert_close, outcome


class Case(NamedTuple):
    """An augmenter; the share of values that may be more than a level off, and by how many."""

    make: Callable[[], Any]
    share: float = 0.001
    most: int = 255


# docs/fast.md names those whose share is a greater one.
CASES: dict[str, Case] = {}


@pytest.mark.parametrize("name", CASES)
def test_bounds(name):
    case = CASES[name]
    for images in (np.tile(PICTURES, (3, 1, 1, 1)), PICTURES[..., :1], list(PICTURES)):
        assert_close(case.make(), images, case.share, case.most)


class Own(iaa.PiecewiseAffine):
    """Of a user's, which is never replaced."""


def nested():
    return iaa.Sequential(
        [
            iaa.Sometimes(0.5, iaa.Add((-9, 9)), iaa.Invert(0.5)),
            iaa.OneOf([iaa.PiecewiseAffine((0.01, 0.05)), Own(0.05)]),
        ],
        random_order=True,
    )


def kinds(augmenter):
    return [type(each) for each in augmenter.get_all_children(flat=True)]


@pytest.mark.parametrize("first", [copy.deepcopy, aioaug.fast.exact, aioaug.fast.accelerate])
def test_nested_trees(first):
    """Exact forms become close ones, and these remain."""
    forms = {**FASTER, **CLOSE}
    plain = nested()
    fast = aioaug.fast.accelerate(first(plain))
    assert not set(kinds(plain)) & set(forms.values())  # the argument is not changed
    assert [forms.get(kind, kind) for kind in kinds(plain)] == kinds(fast)
    assert Own in kinds(fast)
    assert kinds(aioaug.fast.exact(fast)) == kinds(fast)
    expected = outcome(fast, PICTURES)[0]
    for copied in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        np.testing.assert_array_equal(outcome(copied, PICTURES)[0], expected)
    fixed = fast.to_deterministic()
    np.testing.assert_array_equal(fixed(images=PICTURES), fixed(images=PICTURES))


@pytest.mark.parametrize("value", [None, lambda batch: batch])
def test_refuses_what_is_not_an_augmenter(value):
    with pytest.raises(TypeError, match="augmenter must be one of imgaug's, got"):
        aioaug.fast.accelerate(value)
