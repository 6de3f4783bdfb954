"""The command line among files whose names and kinds are not what one hopes for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from aioaug.cli import console, main
from PIL import Image

NO_TEXT = os.fsdecode(b"caf\xe9.png")
WILD = "a\x1b[31mred\nline\u202e.png"
NAMES = ("plain.png", NO_TEXT, WILD, "été ☃.png", "wide\u3000space\u2028.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with small pictures of all kinds of names in `in`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    try:
        for name in NAMES:
            Image.new("RGB", (20, 16), "teal").save(tmp_path / "in" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    (tmp_path / "same.py").write_text("def same(batch): return batch\n")
    return tmp_path


def aioaug_command(*arguments):
    """Runs a program of its own; all that it wrote, as bytes."""
    command = [sys.executable, "-m", "aioaug", *map(os.fspath, arguments)]
    return subprocess.run(command, capture_output=True, timeout=50)


def augment(*arguments):
    return aioaug_command("augment", *arguments, "--pipeline", "same.py:same")


def lines(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def assert_shown(said):
    assert not any(code in said for code in (b"\x1b", b"\xe9.", "\u202e".encode(), b"red\nline"))


@pytest.mark.slow
def test_every_name_is_augmented_listed_and_made_again(folder):
    run = augment("in", "out", "--seed", "1")
    assert (run.returncode, run.stderr) == (0, b"aioaug: seed 1\n")
    listed = lines(folder / "out")
    assert {entry["source"].removeprefix("../in/") for entry in listed} == set(NAMES)
    assert all((folder / "out" / entry["output"]).is_file() for entry in listed)
    assert "été ☃-0.png" in (folder / "out" / "manifest.jsonl").read_text("utf-8", "replace")
    whole = (folder / "out" / "manifest.jsonl").read_bytes()
    for entry in listed:
        again = aioaug_command("remake", "out", str(entry["index"]), "again.png")
        assert (again.returncode, again.stderr) == (0, b"")
        assert_shown(again.stdout)
        made = (folder / "out" / entry["output"]).read_bytes()
        assert (folder / "again.png").read_bytes() == made
    rest = augment("in", "out")
    assert rest.returncode == 0
    assert b"5 of 5 pictures are there already" in rest.stderr
    assert (folder / "out" / "manifest.jsonl").read_bytes() == whole


@pytest.mark.slow
def test_names_are_shown_and_not_obeyed(folder):
    for name in NAMES:
        (folder / "in" / name).write_bytes(b"no picture")
    out = f"out{WILD.removesuffix('.png')}"
    run = augment("in", out)
    assert run.returncode == 4
    assert_shown(run.stderr + run.stdout)
    shown = [line.partition(b": is not")[0] for line in run.stderr.splitlines()[1:]]
    assert shown == [
        rb"aioaug: skipped in/a\x1b[31mred\nline\u202e.png",
        rb"aioaug: skipped in/caf\xe9.png",
        b"aioaug: skipped in/plain.png",
        "aioaug: skipped in/wide\u3000space\\u2028.png".encode(),
        "aioaug: skipped in/été ☃.png".encode(),
    ]
    for problem in (
        aioaug_command("augment", "in", "out", "--pipeline", f"{WILD}.py:x"),
        aioaug_command("augment", f"no{WILD}", "out"),
        aioaug_command("remake", f"no{WILD}", "0", "x.png"),
        aioaug_command("preview", "in", f"x{WILD}.txt"),
        aioaug_command(f"no{WILD}"),
        aioaug_command("bench", "--load", f"no{WILD}"),
    ):
        assert problem.returncode
        assert len(problem.stderr.splitlines()) == 1
        assert_shown(problem.stderr)


@pytest.mark.slow
def test_a_sheet_has_every_name(folder):
    run = aioaug_command("preview", "in", f"{WILD}.png", "--rows", "9", "--cols", "1")
    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"a\x1b[31mred\nline\u202e.png.png: 5 pictures of 5" in run.stdout


def test_a_traceback_shows_names_too(folder, monkeypatch, capsys):
    monkeypatch.setenv("AIOAUG_TRACEBACK", "1")
    assert main(["augment", f"no{WILD}", "out"]) == 4
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "\x1b" not in said
    assert r"a\x1b[31mred" in said


def test_what_the_terminals_encoding_lacks_is_escaped(monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), "latin-1") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    console.tell("é ☃", "\x1b")
    console.say(f"é ☃ {NO_TEXT}")
    for stream in out, err:
        stream.flush()
    assert out.buffer.getvalue() == b"\xe9 \\u2603\n\\x1b\n"
    assert err.buffer.getvalue() == b"aioaug: \xe9 \\u2603 caf\\xe9.png\n"


# With "-0" both are longer than names can be, and the second even with ".json" in place of ".png".
@pytest.mark.parametrize("length", [250, 251])
def test_one_file_that_cannot_be_done_does_not_end_the_run(folder, length):
    for name in NAMES[1:]:
        (folder / "in" / name).unlink()
    os.mkfifo(folder / "in" / "pipe.png")
    (folder / "in" / "circle.png").symlink_to("circle.png")
    (folder / "in" / "nowhere.png").symlink_to("nothing.png")
    (folder / "in" / "a folder.png").mkdir()
    long = folder / "in" / f"{length * 'x'}.png"
    long.write_bytes((folder / "in" / "plain.png").read_bytes())
    run = augment("in", "out")
    assert run.returncode == 3, run.stderr
    assert run.stdout.startswith(b"1 picture in ")
    said = run.stderr.decode().splitlines()[1:]
    assert [line.partition(".png: ")[0] for line in said] == [
        "aioaug: skipped in/circle",
        "aioaug: skipped in/nowhere",
        "aioaug: skipped in/pipe",
        f"aioaug: skipped in/{length * 'x'}",
    ]
    assert "File name too long" in said[3]
    assert [entry["source"] for entry in lines(folder / "out")] == ["../in/plain.png"]


LONG = 300 * "x"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["augment", "in", LONG, "--pipeline", "same.py:same"], 6),
        (["augment", LONG, "out", "--pipeline", "same.py:same"], 4),
        (["augment", "in", "out", "--pipeline", f"{LONG}.py:same"], 4),
        (["preview", "in", f"{LONG}.png", "--pipeline", "same.py:same"], 6),
        (["remake", LONG, "0", "out.png"], 4),
    ],
)
def test_names_that_are_too_long_are_errors_like_others(folder, capsys, arguments, code):
    assert main(arguments) == code
    assert LONG in capsys.readouterr().err.splitlines()[-1]


def test_a_pipeline_that_gives_up_on_one_picture_does_not_end_the_run(folder):
    Image.new("RGB", (20, 17)).save(folder / "in" / "plain.png")
    (folder / "same.py").write_text(
        "def same(batch):\n    if len(batch[0]) == 17: raise SystemExit('no')\n    return batch\n"
    )
    run = augment("in", "out")
    assert run.returncode == 3
    assert run.stderr.splitlines()[1:] == [b"aioaug: skipped in/plain.png: SystemExit: no"]
    assert len(lines(folder / "out")) == 4


def test_a_folder_in_the_place_of_an_output_is_skipped(folder):
    (folder / "same.py").write_text("import imgaug.augmenters as iaa\nsame = iaa.Identity()\n")
    notes = {"keypoints": [[1, 2]]}
    (folder / "in" / "plain.json").write_text(json.dumps(notes))
    (folder / "out" / "plain-0.png").mkdir(parents=True)
    (folder / "out" / "manifest.jsonl").touch()
    run = augment("in", "out")
    assert run.returncode == 3
    assert b"skipped in/plain.png: out/plain-0.png cannot be written: Is a directory" in run.stderr
    assert len(lines(folder / "out")) == 4
    assert not (folder / "out" / "plain-0.json").exists()


def test_planted_links_are_not_followed(folder):
    target = folder / "precious"
    target.write_bytes(b"precious")
    out = folder / "out"
    out.mkdir()
    (out / ".plain-0.png.part").symlink_to(target)
    (out / ".manifest.jsonl.part").symlink_to(target)
    (out / "plain-0.png").symlink_to(folder / "missing")
    assert augment("in/plain.png", "out").returncode == 0
    assert target.read_bytes() == b"precious"
    assert not (folder / "missing").exists()
    assert not (out / "plain-0.png").is_symlink()
    (folder / "sheet.png").symlink_to(folder / "missing")
    (folder / ".sheet.png.part").symlink_to(target)
    assert aioaug_command("preview", "in", "sheet.png").returncode == 0
    assert target.read_bytes() == b"precious"
    assert not (folder / "missing").exists()


def test_a_manifest_that_is_a_link_is_refused(folder, capsys):
    (folder / "precious").write_bytes(b"no end of a line")  # as a run that was killed leaves one
    (folder / "out").mkdir()
    for target in ("precious", "missing"):
        (folder / "out" / "manifest.jsonl").symlink_to(folder / target)
        assert main(["augment", "in", "out", "--pipeline", "same.py:same"]) == 5
        assert "out/manifest.jsonl is no file of its own" in capsys.readouterr().err
        (folder / "out" / "manifest.jsonl").unlink()
    assert (folder / "precious").read_bytes() == b"no end of a line"
    assert not (folder / "missing").exists()


def test_what_a_killed_run_left_is_removed_by_the_next(folder):
    assert augment("in", "out").returncode == 0
    left = folder / "out" / ".aioaug-0123456789abcdef.png"
    left.write_bytes(b"half")
    (folder / "out" / ".aioaug-mine").touch()
    (folder / "out" / "plain-0.png").unlink()
    assert augment("in", "out").returncode == 0
    assert not left.exists()
    assert (folder / "out" / ".aioaug-mine").exists()


def test_remake_runs_only_the_file_that_made_the_output(folder, capsys):
    assert augment("in", "out").returncode == 0
    (folder / "same.py").write_text("open('was-here', 'w')\ndef same(batch): return batch\n")
    assert main(["remake", "out", "0", "again.png"]) == 5
    said = capsys.readouterr().err
    assert "same.py is not what " in said
    assert "was made with, so it is not run" in said
    assert not (folder / "was-here").exists()
    assert not (folder / "again.png").exists()


def test_what_is_run_is_what_was_looked_at(folder):
    """And not the compiled file beside it, which an import takes if its time fits."""
    import importlib.util
    import py_compile

    path = folder / "same.py"
    cache = importlib.util.cache_from_source(str(path))
    honest = path.read_bytes()
    path.write_bytes(b"open('was-here','w')".ljust(len(honest) - 1) + b"\n")
    py_compile.compile(str(path), cache, doraise=True)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(honest)
    os.utime(path, ns=times)
    assert augment("in", "out").returncode == 0
    assert not (folder / "was-here").exists()


def test_a_pipeline_that_changes_during_a_run_ends_it(folder):
    (folder / "same.py").write_text(
        "import os, pathlib, signal\n"
        "def same(batch):\n"
        "    path = pathlib.Path('same.py')\n"
        "    path.write_text(path.read_text() + '# changed')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = augment("in", "out", "--workers", "1", "--batch-size", "1")
    assert run.returncode == 4
    assert b"same.py:same cannot be loaded: ImportError: it has changed" in run.stderr
