"""Every example runs, says what it should and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest

FOLDER = Path(__file__).parent.parent / "examples"
ELSEWHERE = {
    "train_torch": "tests/tensors/test_torch_examples.py",
    "train_ddp": "there, too",
    "train_lightning": "there, too",
    "demo": "has tests of its own",
    "web_stream": "is a server: below",
    "web_requests": "too",
    "fastapi_app": "tests/web/test_frameworks.py",
    "litestar_app": "there, too",
    "test_with_pytest": "pytest runs it: below",
}
SMALL = {"BATCHES": "2", "EPOCHS": "3", "OPENBLAS_NUM_THREADS": "1"}


def start(example, **sizes):
    # The session tells later which processes came of it, even those that lost their parent.
    return subprocess.Popen(
        [sys.executable, "-W", "error", FOLDER / f"{example}.py"],
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | SMALL | sizes,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(example, expected="", **sizes):
    """What the example prints, if it ends well and says nothing unexpected on stderr."""
    process = start(example, **sizes)
    try:
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()  # its workers follow, if it is still there
        process.communicate()
    assert (process.returncode, err) == (0, expected)
    assert_nobody_left(process)
    return out


def assert_nobody_left(process):
    # The fork server and the resource tracker end by themselves when they see their parent gone.
    deadline = time.monotonic() + 20
    while (left := list(members(process.pid))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for one in left:
        one.kill()
    assert not left


def members(session):
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass


def test_every_example_is_tested():
    tested = {name.removeprefix("test_") for name in globals()}
    assert {path.stem for path in FOLDER.glob("*.py")} <= tested | set(ELSEWHERE)


@pytest.mark.slow
def test_tutorial_augment_batches():
    out = run("tutorial_augment_batches")
    assert re.findall(r"(\w+ cores?): (\d+) batches of (\d+) images", out) == [
        ("one core", "2", "16"),
        ("all cores", "2", "16"),
    ]
    one, all_of_them = re.findall(r"the first image: (.*)", out)
    assert one == all_of_them
    assert one.startswith("(225, 225, 3)")


@pytest.mark.slow
def test_tutorial_keypoints():
    out = run("tutorial_keypoints")
    assert out.startswith("2 batches;")
    moves = re.findall(r"\( *([-\d.]+), *([-\d.]+)\) -> \( *([-\d.]+), *([-\d.]+)\)", out)
    assert moves[0][:2] == ("32.6", "15.6")  # as the tutorial prints it
    assert len(moves) == 7
    assert all(move[:2] != move[2:] for move in moves)


@pytest.mark.slow
def test_tutorial_pool():
    out = run("tutorial_pool")
    assert re.findall(r"(.*) gives? the same: (\w+)", out) == [
        ("the second call", "False"),
        ("the same seed again", "True"),
        ("threads", "True"),
    ]


@pytest.mark.slow
def test_tutorial_generators():
    out = run("tutorial_generators", BATCHES="6")
    assert "one is enough: (16, 129, 192, 3) uint8\n" in out
    assert "in order: 6 batches; as they come: 6 batches\n" in out


@pytest.mark.slow
def test_tutorial_rate_limit():
    out = run("tutorial_rate_limit", BATCHES="12")
    requested = loaded = furthest = 0
    for line in out.splitlines():
        if line.startswith("Requesting"):
            requested += 1
        else:
            assert line == "Loading next unaugmented batch..."
            loaded += 1
            assert requested > 0, "nothing is loaded before the first request"
        # What was got before the newest request has been used up; the rest is in the pipeline.
        furthest = max(furthest, loaded - (requested - 1))
    assert (requested, loaded) == (12, 12)
    assert furthest == 5  # the output_buffer_size


def test_with_pytest(tmp_path):
    """As in a project of its own, which only says how long its fixtures' loops live."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    shutil.copy(FOLDER / "test_with_pytest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert "3 passed" in done.stdout, done.stdout


def test_hello():
    assert run("hello") == "8 of shape (96, 96, 3)\n" * 20


def test_own_pipeline(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "one.png"), np.full((40, 60, 3), 99, np.uint8))
    pipeline = f"{FOLDER / 'own_pipeline.py'}:mild"
    command = ["augment", "in", "out", "--pipeline", pipeline, "--copies", "2", "--seed", "1"]
    subprocess.run([sys.executable, "-m", "aioaug", *command], cwd=tmp_path, check=True, timeout=40)
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"one-0.png", "one-1.png"}


def test_map_batches():
    out = run("map_batches", BATCHES="8")
    assert "8 batches of (4, 300, 451, 3)\n" in out
    assert int(re.search(r"something else (\d+) times", out)[1]) > 0


def test_batch_pipeline():
    out = run("batch_pipeline", EPOCHS="2")
    components = "images labels masks keypoints"
    assert f"6 batches of (4, 160, 200, 3) with {components}\n" in out
    assert int(re.search(r"something else (\d+) times", out)[1]) > 0
    assert len(re.findall(r"\(\d+, \d+\)", out.partition("centres:")[2])) == 4
    assert "merged: 10 and 14\nfrom the file: True\n" in out


ACCURACY = r"([\d.]+)% right as they are, ([\d.]+)% moved about"


def test_own_engine():
    assert run("own_engine") == "8 batches out of an engine of our own\n"


def test_resume():
    out = run("resume")
    assert "stopped after 5 batches" in out
    assert "went on with the other 7" in out
    assert "same as in one piece: True" in out


def test_train_from_files():
    out = run("train_from_files", EPOCHS="2")
    assert "32 pictures to train, 8 to validate\n" in out
    assert "stopped after 40 pictures" in out
    assert "same as in one piece: True\n" in out


def test_train():
    out = run("train")
    assert len(re.findall(r"waited [\d.]+ s for batches, spent [\d.]+ s in steps", out)) == 2
    for as_is, moved in re.findall(ACCURACY, out):
        assert float(as_is) > 60
        assert float(moved) > 60


def test_train_blocking():
    """Same seeds, same batches, same network: with or without an event loop."""
    blocking, loop = run("train_blocking"), run("train")
    assert re.findall(ACCURACY, blocking) == re.findall(ACCURACY, loop)


def test_augment_coco():
    *_, last = run("augment_coco", expected="aioaug: seed 1\n").splitlines()
    assert last == "9 pictures, 9 labels of face, cup"


def test_background():
    out = run("background", BATCHES="20")
    batches, faces = re.fullmatch(
        r"(\d+) batches of \(2, 1, 25, 25\) float32, (\d+) faces\n", out
    ).groups()
    assert batches == "20"
    assert 5 < int(faces) < 35


def test_background_async():
    first, *rest = run("background_async", BATCHES="20").splitlines()
    assert first.startswith("20 batches of (2, 1, 25, 25) float32, ")
    assert rest == ["(512, 512, 3)", "(427, 640, 3)", "(300, 451, 3)", "(300, 451, 3)"]


def test_load_in_workers():
    assert run("load_in_workers", BATCHES="4") == "50 pictures of (25, 25, 3)\n" * 4


@pytest.mark.slow
def test_augmentation_helps_the_training():
    (plain, plain_moved), (augmented, moved) = re.findall(ACCURACY, run("train", EPOCHS="60"))
    assert float(plain) > 95
    assert float(augmented) > 90
    assert float(moved) > float(plain_moved) + 2


def accuracies(out):
    names = ("without augmentation", "with augmentation")
    return [tuple(map(float, re.search(f"{name}: {ACCURACY}", out).groups())) for name in names]


@pytest.mark.slow
def test_train_keras_style():
    out = run("train_keras_style")
    assert all(accuracy > 40 for pair in accuracies(out) for accuracy in pair)


def test_train_keras_async():
    out = run("train_keras_async")
    assert accuracies(out) == accuracies(run("train_keras_style"))
    assert float(re.search(r"never held up for more than ([\d.]+) s", out)[1]) < 1


@pytest.mark.slow
def test_augmentation_helps_what_is_moved_about():
    (plain, plain_moved), (augmented, moved) = accuracies(run("train_keras_style", EPOCHS="120"))
    assert plain > 90
    assert augmented > 85
    assert moved > plain_moved


@contextmanager
def server(example="web_stream", **sizes):
    """A web example on a free port; yields its process and its address."""
    process = start(example, PORT="0", **sizes)
    try:
        for line in process.stderr:
            if found := re.search(r"running on (http://127.0.0.1:\d+)", line):
                yield process, found[1]
                break
        else:
            pytest.fail("the server did not start")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
        assert "Application shutdown complete" in log  # the pool is part of it
        assert process.returncode == -signal.SIGTERM  # uvicorn ends as it was told to
        assert_nobody_left(process)
    finally:
        process.kill()
        process.communicate()


def status(address):
    return httpx.get(f"{address}/status").json()


def parts(response, count):
    """The first pictures of a multipart stream, decoded."""
    received = b""
    for data in response.iter_raw():
        received += data
        *whole, _ = received.split(b"--frame\r\n")
        if len(whole) > count:
            break
    for part in whole[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        assert b"Content-Type: image/jpeg" in head
        assert body[length:] == b"\r\n"
        yield cv2.imdecode(np.frombuffer(body[:length], np.uint8), cv2.IMREAD_COLOR)


def test_web_stream_stops_when_the_client_leaves():
    with server(FPS="200") as (_, address):
        assert status(address) == {"open": 0, "pulled": 0}
        with httpx.stream("GET", address) as response:
            kind = "multipart/x-mixed-replace; boundary=frame"
            assert response.headers["content-type"] == kind
            pictures = list(parts(response, 6))
        assert [picture.shape for picture in pictures[:6]] == [(300, 451, 3)] * 6
        assert not np.array_equal(pictures[0], pictures[1])

        gone = time.monotonic()
        while status(address)["open"]:
            assert time.monotonic() - gone < 20
        pulled = status(address)["pulled"]
        time.sleep(0.3)
        assert status(address) == {"open": 0, "pulled": pulled}

        with httpx.stream("GET", address) as response:  # the pool is as good as new
            assert len(list(parts(response, 2))) >= 2


def test_web_stream_waits_for_a_slow_client():
    small = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    with (
        server(FPS="10000") as (process, address),
        httpx.Client(transport=small) as client,
        client.stream("GET", address),
    ):
        # Nobody reads: the sockets fill up, then the buffer of the stream, and then all stands.
        deadline, pulled = time.monotonic() + 20, [-1, 0]
        while pulled[-1] == 0 or pulled[-1] != pulled[-2]:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            pulled.append(status(address)["pulled"])
        time.sleep(0.5)
        assert status(address) == {"open": 1, "pulled": pulled[-1]}
        # It stays connected while the server is told to stop, which it does all the same.
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@pytest.mark.slow  # it starts two servers
def test_remote_feed():
    out = run("remote_feed", EPOCHS="2")
    told = re.findall(r"epoch \d, batch (\d+): \((\d), 96, 96, 3\)", out)
    assert [int(index) for index, _ in told] == [0, 1, 2, 3, 4, 5] * 2


def test_web_requests():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    with (
        server("web_requests", WAITING="1") as (_, address),
        httpx.Client(base_url=address) as client,
    ):
        answers = [client.post(f"/?index={index}", content=jpeg) for index in (3, 4, 3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        first, second, again = (answer.content for answer in answers)
        assert first == again != second
        assert cv2.imdecode(np.frombuffer(first, np.uint8), 1).shape == image.shape
        assert client.post("/", content=b"no picture").status_code == 415
        with ThreadPoolExecutor(16) as threads:
            calls = threads.map(lambda _: client.post("/", content=jpeg), range(200))
            codes = Counter(call.status_code for call in calls)
        assert codes[200] > 0
        assert codes[200] + codes[503] == 200
        status = client.get("/status").json()
        assert status["refused"] == codes[503]
        assert (status["waiting"], status["running"], status["abandoned"]) == (0, 0, 0)
        assert status["failures"] == 1
