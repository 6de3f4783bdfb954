"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest
from aioaug._base import atomic


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"
    atomic.write(path, b"one")
    with atomic.replacing(path) as file:
        file.write(b"two")
        file.flush()
        assert path.read_bytes() == b"one"
        assert os.path.dirname(file.name) == str(path.parent)
    assert content(path.parent) == {"b.txt": b"two"}


def test_a_file_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(ZeroDivisionError), atomic.replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert content(tmp_path) == {}


def test_a_file_gets_the_rights_that_others_get(tmp_path):
    atomic.write(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("name", ["x" * 255, f"a.{'x' * 253}", "table.tar.bz2", ".hidden", "a"])
def test_every_name_may_be_written(name, tmp_path):
    with atomic.replacing(tmp_path / name) as file:
        assert os.path.basename(file.name) != name
        if name.startswith("table"):
            assert file.name.endswith(".tar.bz2")
    assert content(tmp_path) == {name: b""}


def test_a_link_in_the_place_is_replaced(tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("target")
    atomic.write(tmp_path / "link", b"new")
    assert content(tmp_path) == {"target": b"precious", "link": b"new"}
    assert not (tmp_path / "link").is_symlink()


def test_a_link_in_the_drafts_place_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / f".aioaug-{'0' * 16}.txt").symlink_to("target")
    with pytest.raises(FileExistsError):
        atomic.write(tmp_path / "a.txt", b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_devices_are_written_to_themselves(tmp_path):
    before = os.stat(os.devnull)
    with atomic.replacing(os.devnull) as file:
        file.write(b"nothing")
    assert os.stat(os.devnull).st_rdev == before.st_rdev
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with (tmp_path / "out").open("wb") as file:  # as `--json /dev/stdout > out` does
        atomic.write(atomic.Path(f"/dev/fd/{file.fileno()}"), b"said")
    assert (tmp_path / "out").read_bytes() == b"said"


def test_drafts_are_known_by_their_names(tmp_path):
    with atomic.replacing(tmp_path / "a.png") as file:
        draft = os.path.basename(file.name)
    for name in (draft, "a.png", ".aioaug-", ".aioaug-0123", f"x{draft}"):
        (tmp_path / name).touch()
    (tmp_path / f".aioaug-{'0' * 16}").mkdir()
    atomic.remove_drafts(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert draft not in left
    assert len(left) == 5
    atomic.remove_drafts(tmp_path / "missing")
