"""Whole apps, asked with what nobody would send: 4xx, never 5xx, and the workers live on."""

from __future__ import annotations

import pytest
from aioaug.web import create_app
from fuzz_testing import (
    FLIP,
    LIMITS,
    PNG,
    AskedApp,
    bodies,
    form_headers,
    headers,
    many,
    messages,
    methods,
    queries,
)
from hypothesis import given
from web_testing import picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def asked(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(number, 20, 30))
    app = create_app({"flip": FLIP}, tmp_path, seed=1, processes=1, limits=LIMITS)
    paths = ["/augment/flip"] * 4 + ["/augment/x", "/stream/flip", "/dataset/x", "/metrics", "/"]
    with AskedApp(app, lambda: app.state.pool, *paths) as asked:
        yield asked
        assert asked.ask("POST", "/augment/flip", b"", [], PNG) == 200


def test_requests(asked):
    @many
    @given(methods, asked.paths, queries, headers | form_headers, bodies)
    def ask(method, path, query, some, body):
        status = asked.ask(method, path, query, some, body)
        assert 200 <= status < 500
        asked.weigh()

    ask()
    asked.check_memory()
    assert 200 in asked.statuses
    assert {400, 413, 415, 422} & set(asked.statuses)  # bodies were looked at


def test_messages_of_websockets(asked):
    @many
    @given(asked.paths, queries, headers, messages)
    def talk(path, query, some, given_):
        sent = asked.talk(path, query, some, given_)
        assert set(sent) <= {"websocket.accept", "websocket.send", "websocket.close"}
        asked.weigh()

    talk()
    asked.check_memory()
