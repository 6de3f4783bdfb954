"""`aioaug serve` as a command: what it refuses at the door, and how it ends."""

import json
import signal
import subprocess
import sys
import urllib.request

import cv2
import numpy as np
import psutil
import pytest
from aioaug.cli import main
from aioaug.studio import open_pictures
from studio_testing import make_coco, node, simple, unframed


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--images", "nowhere"], "there is no file or folder nowhere"),
        (["--images", "."], "there are no pictures"),
        (["nothing", "--images", "."], "'nothing' is not FILE.py:NAME or MODULE:NAME"),
        (["preset:nothing", "--images", "."], "there is no preset 'nothing'"),
    ],
)
def test_tells_at_once_what_is_wrong(arguments, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *arguments]) == 4
    assert why in capsys.readouterr().err


def test_pictures_may_be_a_dataset_a_folder_or_a_file(tmp_path):
    coco = make_coco(tmp_path / "coco")
    assert len(open_pictures(coco).dataset[0].labels.annotations) == 1
    assert len(open_pictures(coco / "images").dataset) == 3
    single = open_pictures(coco / "images" / "2.png")
    assert [sample.image.name for sample in single.dataset] == ["2.png"]
    content = {"bounding_boxes": [[1, 2, 30, 40, "nose"]]}
    (coco / "images" / "1.json").write_text(json.dumps(content))
    mixed = open_pictures(coco / "images")
    assert [sample.image.name for sample in mixed.dataset] == ["1.png", "0.png", "2.png"]
    assert mixed.dataset[0].labels.bounding_boxes == [[1, 2, 30, 40, "nose"]]
    known = {}
    exec("from aioaug.data import Files, Sidecars\n" + "\n".join(mixed.lines), known)
    assert [sample.image for sample in known["dataset"]] == [
        sample.image for sample in mixed.dataset
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_serves_until_it_is_told_to_stop_and_leaves_nothing(number, code, tmp_path):
    picture = np.full((20, 30, 3), 100, np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), picture)
    command = [sys.executable, "-m", "aioaug", "serve", "light", "--images", str(tmp_path)]
    command += ["--port", "0", "--workers", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        query = {"picture": {"number": 0}, "pipeline": simple(node("Add", value=7))}
        request = urllib.request.Request(address + "api/show", json.dumps(query).encode())
        with urllib.request.urlopen(request, timeout=40) as answer:
            _, [file] = unframed(answer.read())
        decoded = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decoded, picture + 7)
        live = urllib.request.urlopen(address + "api/live", timeout=40)
        assert live.readline().startswith(b"retry")
        inside = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        live.close()
    assert process.returncode == code, said
    assert said == "aioaug: stopped\n"
    _, alive = psutil.wait_procs(inside, timeout=10)
    assert alive == []
