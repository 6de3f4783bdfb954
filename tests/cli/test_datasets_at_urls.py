"""The commands for datasets that are at a URL: they do as with the same files in a folder."""

from __future__ import annotations

import re

import pytest
from aioaug.cli import main
from cli_testing import content
from data_testing import end_connections, make_folder, served
from labels_testing import coco_file, yolo_folder


@pytest.fixture(autouse=True)
def no_connections():
    yield
    end_connections()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yolo_folder(
        tmp_path / "yolo", ["1 0.5 0.5 0.25 0.5"], "names: [cat, dog]\ntrain: images/train\n"
    )
    coco_file(tmp_path / "coco")
    make_folder(tmp_path / "classes", each=2)
    return tmp_path


def outputs(place):
    """What is in a folder, but for the manifest, which says where the sources are."""
    return {name: data for name, data in content(place).items() if name != "manifest.jsonl"}


@pytest.mark.parametrize(
    "kind", ["yolo", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("coco", "classes"))]
)
def test_a_dataset_is_augmented_resumed_and_made_again(folder, kind, capsys):
    more = ["--copies", "2", "--include-originals", "--seed", "3", "--workers", "1"]
    with served(folder) as url:
        assert main(["augment", kind, "here", *more]) == 0
        assert main(["augment", f"{url}/{kind}", "there", *more]) == 0
        assert outputs(folder / "there") == outputs(folder / "here")
        first = min(path for path in (folder / "there").rglob("*-1.*") if path.suffix != ".txt")
        picture = first.read_bytes()
        first.unlink()
        assert main(["augment", f"{url}/{kind}", "there", *more]) == 0
        assert outputs(folder / "there") == outputs(folder / "here")
        assert main(["remake", "there", "1", f"again{first.suffix}"]) == 0
        assert (folder / f"again{first.suffix}").read_bytes() == picture


def test_the_other_commands_take_urls(folder, capsys):
    with served(folder) as url:
        arguments = [f"{url}/coco/instances.json", "--images", f"{url}/coco/images"]
        assert main(["inspect", *arguments, "--workers", "1"]) == 3
        found = capsys.readouterr()
        assert "2 pictures, 5 labels, 0 without labels" in found.out
        assert found.err == "aioaug: a.png, sub/b.png: the same picture\n"
        assert main(["preview", f"{url}/yolo", "sheet.png", "--workers", "1"]) == 0
        assert "sheet.png: 1 picture of 1" in capsys.readouterr().out


def test_what_cannot_be_read_is_said_in_a_line(folder, capsys):
    with served(folder, lists=False) as url:
        for source, reason in (
            (f"{url}/yolo", "yolo cannot be read: .* server does not list them"),
            (f"{url}/yolo/data.yaml", "train: there is no 'images/train' .* name a text file"),
            (f"{url}/none.yaml", "none.yaml: there is no such file"),
            (f"{url}/yolo/images", "images cannot be read: "),
        ):
            assert main(["augment", source, "out"]) == 4
            (line,) = capsys.readouterr().err.splitlines()
            assert re.search(reason, line), line
    with served(folder) as url:
        assert main(["augment", f"{url}/yolo/images/train", "out"]) == 4
        (line,) = capsys.readouterr().err.splitlines()
        assert "is no dataset that is recognised, and plain pictures" in line
    assert not (folder / "out").exists()
