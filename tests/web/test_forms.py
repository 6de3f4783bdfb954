"""Forms: those that are cut at their boundaries, and those that python-multipart reads."""

from __future__ import annotations

import random

import pytest
from aioaug.web.multipart import FormReader
from aioaug.web.problems import RequestRefused

LINES = [
    'Content-Disposition: form-data; name="image"; filename="a.jpg"',
    "Content-Type: image/jpeg",
    "",
    "DATA\r\r\n--bound\r",
    "--boundary",
    'Content-Disposition: form-data; name="options"',
    "",
    "{}",
]
FORM = "\r\n".join(["--boundary", *LINES, "--boundary--", ""]).encode()
PIECES = [
    b"\r\n",
    b"--boundary",
    b"--",
    b"\r",
    b"\n",
    b": ",
    b" ",
    b"\xff",
    b"\r\n\r\n",
    b"X-A: b\r\n",
]


def parts_of(body, monkeypatch=None):
    reader = FormReader(b"boundary", 3)
    if monkeypatch is not None:
        monkeypatch.setattr(reader, "_cut", lambda body: None)
    try:
        return [(part.name, bytes(part.content), part.headers) for part in reader.read(body)]
    except RequestRefused as refused:
        return refused.status


def test_a_usual_form_is_cut():
    assert FormReader(b"boundary", 3)._cut(FORM) is not None
    (image, content, _), (options, *_) = parts_of(FORM)
    assert (image, content, options) == ("image", b"DATA\r\r\n--bound\r", "options")


@pytest.mark.parametrize("seed", range(4))
def test_cut_forms_are_read_as_by_python_multipart(seed, monkeypatch):
    dice = random.Random(seed)
    for _ in range(400):
        body = bytearray(FORM)
        for _ in range(dice.randint(0, 3)):
            place = dice.randint(0, len(body))
            body[place : place + dice.choice((0, 0, 2, 5))] = dice.choice(PIECES)
        assert parts_of(bytes(body)) == parts_of(bytes(body), monkeypatch), bytes(body)


def test_forms_that_are_wrong_leave_the_log_alone(caplog):
    """Each of them would be a warning there, and anybody can send them by the thousand."""
    for body in (b"--other\r\n", FORM.replace(b": ", b"\0: "), FORM[:-4] + b"!!"):
        assert parts_of(body) == 400
    assert not caplog.records
