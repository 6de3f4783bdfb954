"""Bodies, queries and headers that nobody would send: 4xx, never 5xx, and the pool goes on."""

from __future__ import annotations

import asyncio

import hypothesis.strategies as st
import pytest
from aioaug.web import RequestRefused, create_app
from aioaug.web.live import StreamQuery
from aioaug.web.multipart import as_json_part, as_multipart, as_zip, parts_of
from aioaug.web.pictures import PostedPictures
from aioaug.web.requests import encoding_of, seed_and_index
from fuzz_testing import FLIP, LIMITS, PNG, bodies, kinds, many, mutated, names, quick, texts
from hypothesis import given
from web_testing import idle, serving, until


def check_body(body, kind):
    status = 400
    try:
        PostedPictures(body, kind, limits=LIMITS).answer(FLIP.augment_batch_)
    except RequestRefused as refused:
        status = refused.status
    assert 400 <= status < 500


@quick
@given(bodies, kinds)
def test_bodies(body, kind):
    check_body(body, kind)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@many
@given(bodies, kinds)
def test_many_bodies(body, kind):
    check_body(body, kind)


@quick
@given(
    st.dictionaries(names, texts),
    st.dictionaries(st.sampled_from(["accept", "last-event-id"]), texts),
)
def test_queries_and_headers(query, headers):
    for read in (
        lambda: seed_and_index(query, 1),
        lambda: encoding_of(query),
        lambda: StreamQuery(query, headers, 1, socket=False),
    ):
        status = 400
        try:
            read()
        except RequestRefused as refused:
            status = refused.status
        assert status == 204 or 400 <= status < 500


@quick
@given(mutated(st.just(as_multipart([as_json_part("a.json", {"b": 1})])[1])))
def test_answers_that_are_cut_off_are_noticed(body):
    kind, whole = as_multipart([as_json_part("a.json", {"b": 1})])
    assert as_zip(parts_of(kind, whole)) == as_zip([as_json_part("a.json", {"b": 1})])
    try:
        parts_of(kind, body)
    except (ValueError, KeyError):
        assert body != whole


@pytest.mark.slow
async def test_sockets_that_send_anything():
    """What is no HTTP is the server's business; afterwards all is as it was."""
    app = create_app({"flip": FLIP}, seed=1, processes=1, limits=LIMITS)
    async with serving(app) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        whole = (
            b"POST /augment/flip HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(PNG)
        )

        async def send(data, *, end=True):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(data)
            if end:  # else the server may wait for the rest; with it, uvicorn drops late answers
                writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            # A client that has left is noticed a little later; many at once fill the pool's queue.
            await until(lambda: idle(app.state.pool))
            return answer.split(b" ", 2)[1:2]

        assert await send(whole + PNG, end=False) == [b"200"]
        statuses = set()
        for place in range(0, len(whole) + len(PNG), 13):
            data = bytearray(whole + PNG)
            data[place] ^= 0x15
            statuses |= set(await send(bytes(data)))
            statuses |= set(await send(bytes(data[:place])))
        assert b"400" in statuses
        assert not [status for status in statuses if status.startswith(b"5")]
