"""What functions are asked about their arguments, and distributions about their version."""

from __future__ import annotations

import pytest
from aioaug._base.signatures import accepts, parameters_of
from aioaug._base.versions import installed_version


def positional(one, /):
    return one


def plain(one, *, rng=None):
    return one, rng


def anything(**named):
    return named


@pytest.mark.parametrize(
    ("function", "name", "accepted"),
    [
        (plain, "one", True),
        (plain, "rng", True),
        (plain, "two", False),
        (positional, "one", False),
        (anything, "two", True),
        (type, "one", False),  # does not tell
        (None, "one", False),
    ],
)
def test_accepts(function, name, accepted):
    assert accepts(function, name) is accepted


def test_parameters():
    assert list(parameters_of(plain)) == ["one", "rng"]
    assert parameters_of(type) is None


def test_versions():
    assert installed_version("numpy").count(".") >= 1
    assert installed_version("no-such-distribution-at-all") is None
