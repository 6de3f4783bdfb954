"""Dependencies that may be missing."""

from __future__ import annotations

import os

import aioaug
import pytest
from aioaug._base import optional


def test_missing_extra():
    with pytest.raises(aioaug.MissingExtra, match=r"pip install 'aioaug\[web\]'$"):
        optional.need("no_such_module_at_all.part", extra="web")
    assert optional.need("json", extra="web").loads("1") == 1


def test_albumentations_does_not_ask_for_news(monkeypatch):
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE")
    with pytest.raises(aioaug.MissingExtra):
        optional.need("albumentations.no_such_module", extra="albumentations")
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_a_broken_optional_module_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_optional.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        optional.need("broken_optional", extra="web")
    assert not isinstance(caught.value, aioaug.MissingExtra)
