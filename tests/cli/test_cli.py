"""The command line's doors: one line for every error, an exit code for every kind."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest.mock import ANY

import pytest
from aioaug.augmenters import specs
from aioaug.cli import main, manifest
from PIL import Image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with two small pictures in `in`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 16), "teal").save(tmp_path / "in" / name)
    (tmp_path / "same.py").write_text("def same(batch): return batch\n1 / 1\n")
    return tmp_path


@pytest.fixture
def refused(folder, capsys):
    """Run a command line that must fail; returns its one line."""

    def run(code, *arguments):
        assert main([*map(str, arguments)]) == code
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("aioaug: error: ")
        return line.removeprefix("aioaug: error: ")

    return run


def done(*arguments):
    assert main(["augment", *map(str, arguments), "--pipeline", "same.py:same"]) == 0


def test_wrong_usage_is_2(refused):
    assert "such command" in refused(2, "frobnicate")
    assert "Missing argument" in refused(2, "augment", "in")
    assert "exclude each other" in refused(
        2, "augment", "in", "out", "--preset", "light", "--pipeline", "same.py:same"
    )
    assert "must not be 0" in refused(2, "augment", "in", "out", "--workers", 0)
    assert "--copies" in refused(2, "augment", "in", "out", "--copies", 0)
    assert "(see aioaug augment --help)" in refused(2, "augment", "in", "out", "--seed", -1)


def test_unusable_input_is_4(folder, refused):
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("")
    assert "no file or folder nowhere" in refused(4, "augment", "nowhere", "out")
    assert "no pictures in empty" in refused(4, "augment", "empty", "out")
    assert "notes.txt is not named like a picture" in refused(4, "augment", "notes.txt", "out")
    assert "is a file" in refused(4, "augment", "in", "notes.txt")
    assert "no file nowhere.py" in refused(4, "augment", "in", "out", "--pipeline", "nowhere.py:x")
    assert "is not FILE.py:NAME" in refused(4, "augment", "in", "out", "--pipeline", "same.py")
    assert "no preset 'x'" in refused(4, "augment", "in", "out", "--pipeline", "preset:x")
    assert "no manifest" in refused(4, "remake", "in", 0, "x.png")
    assert not (folder / "out").exists()


def test_a_pipeline_that_does_not_load_is_4(folder, capsys):
    for pipeline, reason in (
        ("same.py:other", "has no attribute 'other'"),
        ("nosuchmodule:x", "No module named 'nosuchmodule'"),
    ):
        assert main(["augment", "in", "out", "--seed", "1", "--pipeline", pipeline]) == 4
        _, line = capsys.readouterr().err.splitlines()
        assert "cannot be loaded" in line
        assert reason in line


def test_a_module_of_the_current_folder_is_a_pipeline(folder, capsys):
    (folder / "aioaug_test_module.py").write_text(
        "class Pipelines:\n    same = staticmethod(list)\n"
    )
    pipeline = "aioaug_test_module:Pipelines.same"
    assert main(["augment", "in", "out", "--pipeline", pipeline]) == 4  # list() makes a list
    assert "callable, got list" in capsys.readouterr().err
    assert main(["augment", "in", "out", "--pipeline", "same:same"]) == 0


def test_sources_are_never_overwritten(folder, refused):
    Image.new("RGB", (9, 9)).save(folder / "a-0.png")
    (folder / "link").symlink_to(folder / "in")
    assert "holds the source folder in" in refused(4, "augment", "in", "in")
    assert "holds the source folder in" in refused(4, "augment", "in", ".")
    assert "holds the source folder link" in refused(4, "augment", "link", "in")
    Image.new("RGB", (9, 9)).save(folder / "in" / "A-0.PNG")
    for destination in ("in", "link"):  # the files themselves, so the folder is not the reason
        line = refused(4, "augment", "in/a.png", "in/A-0.PNG", destination)
        assert "is a source, and would be overwritten" in line
    assert "would be overwritten" in refused(4, "augment", "in/a.png", "a-0.png", ".")


def test_two_outputs_of_one_name_are_refused(folder, refused):
    Image.new("RGB", (9, 9)).save(folder / "in" / "a.bmp")
    line = refused(4, "augment", "in", "out", "--suffix", "png")
    assert "in/a.bmp and in/a.png would both be written to out/a-0.png" in line


def test_a_stranger_in_the_way_is_refused(folder, refused):
    (folder / "out").mkdir()
    (folder / "out" / "b-0.png").write_bytes(b"mine")
    assert "b-0.png is there already" in refused(4, "augment", "in", "out")


def test_several_sources_stay_apart_and_count_once(folder, capsys):
    (folder / "in" / ".hidden").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "in" / ".hidden" / "c.png")
    (folder / "more").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "more" / "a.png")
    (folder / "more" / "again.png").symlink_to(folder / "in" / "a.png")
    done("in", "in/a.png", "more", "out")
    made = {path.relative_to(folder).as_posix() for path in (folder / "out").rglob("*.png")}
    assert made == {"out/in/a-0.png", "out/in/b-0.png", "out/more/a-0.png"}


def test_outputs_inside_a_source_are_no_sources(folder, capsys):
    done("in", "in/out", "--seed", 1)
    capsys.readouterr()
    done("in", "in/out")
    out, err = capsys.readouterr()
    assert err == "aioaug: seed 1\naioaug: 2 of 2 pictures are there already\n"
    assert out.startswith("0 pictures in ")
    done("in/a.png", "in/b.png", ".")
    done("in/a.png", "in/b.png", "a-0.png", "b-0.png", ".")  # as *.png would have it
    assert sorted(path.name for path in folder.glob("*.png")) == ["a-0.png", "b-0.png"]


def test_a_manifest_that_does_not_fit_is_5(folder, refused, capsys):
    done("in", "out", "--seed", 1, "--copies", 2)
    capsys.readouterr()
    same = ("augment", "in", "out", "--pipeline", "same.py:same", "--copies", 2)
    assert "was made with seed 1, not 2" in refused(5, *same, "--seed", 2)
    assert "with copies 2, not 3" in refused(5, *same, "--copies", 3)
    assert "quality 95, not 9" in refused(5, *same, "--quality", 9)
    assert "fast False, not True" in refused(5, *same, "--fast")
    line = refused(5, "augment", "in", "out", "--preset", "light", "--copies", 2)
    assert "pipeline ../same.py:same, not preset:light" in line
    assert "has a-0.png as number 0, not a-0.jpg" in refused(5, *same, "--suffix", "jpg")
    Image.new("RGB", (9, 9)).save(folder / "in" / "Z.png")
    assert "has ../in/a.png as number 0, not ../in/Z.png" in refused(5, *same)
    (folder / "in" / "Z.png").unlink()
    assert "no output with index 4" in refused(5, "remake", "out", 4, "x.png")
    assert "must end in .png" in refused(4, "remake", "out", 0, "x.jpg")
    assert "a source, and would be overwritten" in refused(4, "remake", "out", 0, "in/b.png")
    (folder / "same.py").write_text("def same(batch): return [255 - batch[0]]\n")
    assert "pipeline digest" in refused(5, *same)
    assert "is not what a-0.png was made with" in refused(5, "remake", "out", 0, "x.png")
    with (folder / "out" / "manifest.jsonl").open("a") as file:
        file.write("nonsense\n")
    assert "line 5 of out/manifest.jsonl" in refused(5, *same)


def test_an_output_that_cannot_be_written_is_6(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "sub").write_text("a file where a folder has to be")
    (folder / "in" / "sub").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "in" / "sub" / "c.png")
    assert main(["augment", "in", "out", "--pipeline", "same.py:same"]) == 6
    assert "out/sub/c-0.png cannot be written" in capsys.readouterr().err.splitlines()[-1]


def test_an_unexpected_error_is_1_and_one_line(folder, refused, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("it\nbroke")

    monkeypatch.setattr(specs, "check", broken)
    assert refused(1, "augment", "in", "out").startswith("ZeroDivisionError: it broke (set ")


def test_a_manifest_survives_a_half_written_line(tmp_path):
    path = tmp_path / manifest.NAME
    entry = manifest.ManifestEntry("s", "o", 0, 1, 1, 0, "p", "", 95, None, (2, 3), "0")
    first = manifest.Manifest(path)
    first.start()
    first.append(entry)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"source": "\xc3')
    second = manifest.Manifest(path)
    assert second.entries == {0: entry}
    second.start()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("missing", ["click", "tqdm"])
def test_without_the_extra_it_says_how_to_get_it(missing, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["doctor"]) == 4
    assert capsys.readouterr().err == (
        f"aioaug: error: {missing} is not installed; run: pip install 'aioaug[cli]'\n"
    )


def test_preview_makes_a_sheet_and_overwrites_nothing_else(folder, refused, capsys):
    (folder / "in" / "a.json").write_text('{"keypoints": [[3, 4]]}')
    (folder / "in" / "c.png").write_bytes(b"")
    arguments = ["preview", "in", "in/sheet.png", "--preset", "light", "--seed", "3"]
    for _ in range(2):  # its own sheet is neither a source nor in the way
        assert main([*arguments, "--rows", "3", "--cols", "2", "--side", "64"]) == 3
        out, err = capsys.readouterr()
        assert out == "in/sheet.png: 2 pictures of 3, preset:light, seed 3\n"
        assert err == "aioaug: skipped in/c.png: is not a picture\n"
    with Image.open("in/sheet.png") as sheet:
        assert sheet.width == 10 + 3 * 74
    assert "no contact sheet of ours" in refused(4, "preview", "in", "in/a.png")
    assert "must end in .png" in refused(4, "preview", "in", "sheet.jpg")


def test_doctor_tells_the_same_in_both_forms(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["problems"] == []
    assert facts["workers"] <= facts["affinity"] <= facts["cores"]
    assert facts["start method"] in ("forkserver", "spawn")
    assert facts["a trial"].startswith("a worker started")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].rstrip() for line in lines] == list(facts)


def test_doctor_knows_what_is_in_imgaugs_place(capsys, monkeypatch):
    installed = {"imgaug": "0.4.0", "imaug": "0.4.3", "opencv-python": "4.12.0.88"}
    installed["opencv-python-headless"] = installed["opencv-python"]  # imaug requires both
    monkeypatch.setattr("aioaug.cli.doctor.installed_version", installed.get)
    monkeypatch.setattr("aioaug._imgaug.is_known", lambda: False)
    assert main(["doctor", "--json"]) == 4
    unknown, both = json.loads(capsys.readouterr().out)["problems"]
    assert "aioaug does not mend imgaug 0.4" in unknown
    assert both == (
        "imgaug and imaug overwrite each other; "
        "keep imgaug 0.4.0 or imaug 0.4.3 alone, as docs/imgaug.md says"
    )


def test_doctor_looks_into_a_pipeline(capsys, tmp_path):
    assert main(["doctor", "--preset", "tutorial"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.endswith("ms a picture  PiecewiseAffine")
    assert last.split() == ["100.0%", ANY, "ms", "a", "picture", "all", "together"]
    Image.new("RGB", (20, 16), "teal").save(tmp_path / "picture.png")
    options = ["--preset", "light", "--picture", str(tmp_path / "picture.png"), "--json"]
    assert main(["doctor", *options]) == 0
    times = json.loads(capsys.readouterr().out)
    assert {"name", "seconds", "share"} == set(times[0])
    assert main(["doctor", "--seed", "3"]) == 2
    assert "--seed and --picture need --pipeline" in capsys.readouterr().err


def test_help_lists_the_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "aioaug", "augment", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Exit codes: 0 all is done" in done.stdout
    bare = subprocess.run([sys.executable, "-m", "aioaug"], capture_output=True, text=True)
    assert (bare.returncode, bare.stdout) == (2, "")
    assert "preview" in bare.stderr
