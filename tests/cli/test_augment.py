"""`aioaug augment` and `remake`, as programs of their own on real pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
from cli_testing import content
from PIL import Image

QUOKKA = Path(find_spec("imgaug").origin).parent / "quokka.jpg"
SLOW = """
import time
import imgaug.augmenters as iaa

class Slow(iaa.Sequential):
    def augment_batch_(self, *args, **kwargs):
        time.sleep(0.05)
        return super().augment_batch_(*args, **kwargs)

def pipeline():
    return Slow([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20)), iaa.AdditiveGaussianNoise(9)])

def deadly(batch):
    import os, signal
    if batch[0].shape[0] == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch

def picky(batch):
    if batch[0].shape[0] == 50:
        raise ValueError("not\\nthis one")
    return batch
"""


@pytest.fixture
def folder(tmp_path):
    """`in` with three pictures, one of them annotated, and a pipeline beside it."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    with Image.open(QUOKKA) as quokka:
        quokka.resize((120, 80)).save(source / "quokka.jpg")
        quokka.resize((90, 60)).save(source / "sub" / "small.png")
        quokka.convert("L").resize((75, 50)).save(source / "sub" / "Grey.png")
    notes = {"keypoints": [[20, 10], [50, 7]], "bounding_boxes": [[18, 6, 68, 80]]}
    (source / "quokka.json").write_text(json.dumps(notes))
    (tmp_path / "pipe.py").write_text(SLOW)
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "aioaug", *map(str, arguments)]


def aioaug(folder, *arguments):
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=50
    )


def augment(folder, out, *options):
    return aioaug(folder, "augment", "in", out, "--pipeline", "pipe.py:pipeline", *options)


def lines(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_any_output_can_be_made_again_whatever_made_it(folder):
    first = augment(folder, "one", "--copies", 12, "--seed", 5, "--workers", 2)
    assert (first.returncode, first.stderr) == (0, "aioaug: seed 5\n")
    assert first.stdout.startswith("36 pictures in ")
    assert "pictures/s, in one" in first.stdout
    options = ("--workers", 1, "--batch-size", 7, "--buffer", 3)
    second = augment(folder, "two", "--copies", 12, "--seed", 5, *options)
    assert second.returncode == 0
    one = content(folder / "one")
    assert one == content(folder / "two")
    assert len(one) == 36 + 12 + 1
    assert {"quokka-00.jpg", "quokka-11.json", "sub/small-03.png", "sub/Grey-07.png"} < one.keys()
    assert len({one[name] for name in one if name.startswith("sub/small")}) > 6

    listed = lines(folder / "one")
    assert [entry["index"] for entry in listed] == list(range(36))
    assert {(entry["copies"], entry["seed"]) for entry in listed} == {(12, 5)}
    assert listed[3]["copy"] == 3
    assert listed[3]["source"] == "../in/quokka.jpg"
    assert listed[3]["output"] == "quokka-03.jpg"
    assert listed[3]["pipeline"] == "../pipe.py:pipeline"
    assert listed[3]["size"] == [120, 80]

    again = aioaug(folder, "remake", "one/manifest.jsonl", 3, "again.jpg")
    assert (again.returncode, again.stderr) == (0, "")
    assert (folder / "again.jpg").read_bytes() == one["quokka-03.jpg"]
    assert (folder / "again.json").read_bytes() == one["quokka-03.json"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_goes_on_where_it_was(folder, number):
    options = ("--pipeline", "pipe.py:pipeline", "--copies", 8)
    process = subprocess.Popen(
        command("augment", "in", "out", *options),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    manifest = folder / "out" / "manifest.jsonl"
    deadline = time.monotonic() + 20
    while not (manifest.exists() and manifest.read_text().count("\n") >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    # Ctrl-C reaches the whole group, workers too; kill only the one that it is sent to.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert out == ""
    seed, said = err.splitlines()
    done = len(lines(folder / "out"))
    assert f"{number.name}; {done} of 24 pictures are done" in said
    pictures = [name for name in content(folder / "out") if name.endswith(("g", ".part"))]
    assert len(pictures) == done < 24

    first = lines(folder / "out")[0]["output"]
    with manifest.open("a") as file:
        file.write('{"source": "../in/qu')  # a kill may leave this
    (folder / "out" / first).unlink()
    rest = aioaug(folder, "augment", "in", "out", *options)
    assert rest.returncode == 0, rest.stderr
    assert rest.stderr.startswith(f"{seed}\naioaug: {done - 1} of 24 pictures are there already")
    whole = augment(folder, "whole", "--copies", 8, "--seed", seed.split()[-1])
    assert whole.returncode == 0
    assert content(folder / "out") == content(folder / "whole")


def test_what_cannot_be_done_is_skipped_and_told(folder):
    (folder / "in" / "broken.png").write_bytes(b"\x89PNG\r\n")
    (folder / "in" / "sub" / "small.json").write_text('{"keypoints": [1]}')
    (folder / "in" / "quokka.json").unlink()
    run = aioaug(folder, "augment", "in", "out", "--pipeline", "pipe.py:picky", "--copies", 2)
    assert run.returncode == 3
    assert run.stderr.splitlines()[1:] == [
        "aioaug: skipped in/broken.png: is not a picture",
        "aioaug: skipped in/sub/Grey.png: ValueError: not this one",
        "aioaug: skipped in/sub/small.png: small.json: keypoints must be a list of lists"
        " of 2 numbers, or of these and a visibility of 0, 1 or 2",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_sees_a_progress_bar(folder):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (25, 80))
    arguments = command("augment", "in", "out", "--pipeline", "pipe.py:pipeline")
    done = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=theirs, timeout=50)
    os.close(theirs)
    seen = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "3/3 [" in seen


def test_a_picture_that_kills_its_worker_is_skipped(folder):
    (folder / "in" / "quokka.json").unlink()
    run = aioaug(folder, "augment", "in", "out", "--pipeline", "pipe.py:deadly")
    assert run.returncode == 3
    assert run.stdout.startswith("2 pictures in ")
    assert "skipped in/sub/Grey.png: a worker process was killed by SIGKILL" in run.stderr
    assert {entry["source"] for entry in lines(folder / "out")} == {
        "../in/quokka.jpg",
        "../in/sub/small.png",
    }


def test_16_bits_and_alpha_come_through(folder):
    deep = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21
    Image.fromarray(deep).save(folder / "in" / "deep.png")
    with Image.open(QUOKKA) as quokka:
        clear = quokka.resize((64, 48)).convert("RGBA")
    clear.putalpha(Image.fromarray((deep >> 8).astype(np.uint8)))
    clear.save(folder / "in" / "clear.png")
    (folder / "pipe.py").write_text("import imgaug.augmenters as iaa\nflip = iaa.Fliplr(1.0)\n")
    arguments = ("in/deep.png", "in/clear.png", "out", "--pipeline", "pipe.py:flip")
    run = aioaug(folder, "augment", *arguments, "--suffix", "tiff")
    assert run.returncode == 0, run.stderr
    with Image.open(folder / "out" / "deep-0.tiff") as image:
        assert np.array_equal(np.asarray(image), deep[:, ::-1])
    with Image.open(folder / "out" / "clear-0.tiff") as image:
        assert np.array_equal(np.asarray(image), np.asarray(clear)[:, ::-1])
