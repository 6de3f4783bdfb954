"""Bodies, queries, headers and messages that nobody would send, and apps that get them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections import Counter
from urllib.parse import urlencode

import hypothesis.strategies as st
import psutil
from aioaug.web import WebLimits
from hypothesis import HealthCheck, settings
from imgaug import augmenters as iaa
from web_testing import idle, picture, until

# As many requests to each app; AIOAUG_FUZZ=10000 asks for more.
MANY = int(os.environ.get("AIOAUG_FUZZ", "300"))
LIMITS = WebLimits(body=100_000, pixels=100_000, pictures=3, marks=10)
FLIP = iaa.Fliplr(0.5)
PNG, JPEG = picture(1, 20, 30), picture(2, 20, 30, "JPEG")
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(quick, max_examples=MANY)

json_values = values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
numbers = st.floats() | st.integers(-50, 50)
marks = st.fixed_dictionaries(
    {},
    optional={
        "boxes": st.lists(st.lists(numbers, min_size=3, max_size=5), max_size=3) | values,
        "keypoints": st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=12) | values,
        "polygons": st.lists(st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=5)),
        "boxes_labels": st.lists(values, max_size=3) | values,
        "mask": st.text(max_size=8) | st.binary(max_size=8).map(str) | values,
    },
)
options = st.fixed_dictionaries(
    {},
    optional={"format": st.sampled_from(["png", "jpeg"]) | values, "annotations": st.lists(marks)},
)


@st.composite
def mutated(draw, whole):
    """Bytes of which some are changed, cut off or doubled."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "cut", "put"]))
        if kind == "cut":
            del data[place : place + draw(st.integers(1, 50))]
        elif kind == "put":
            data[place:place] = draw(st.binary(max_size=20))
        elif data:
            data[place] = draw(st.integers(0, 255))
    return bytes(data)


@st.composite
def forms(draw):
    body = b""
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(["image", "options", "", 'im"age', "x" * 2000]))
        given_ = draw(options)
        content = draw(st.sampled_from([PNG, JPEG, json.dumps(given_).encode(), b""]))
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + b"--b--\r\n"


bodies = st.one_of(
    mutated(st.sampled_from([PNG, JPEG])), mutated(forms()), forms(), st.binary(max_size=300)
)
kinds = st.sampled_from(
    ["multipart/form-data; boundary=b", "multipart/form-data", "image/png", "", "text/plain; x=\"'"]
)

names = st.sampled_from(["seed", "index", "format", "quality", "start", "count", "fps", "as"])
texts = st.text(max_size=12) | st.integers().map(str) | st.sampled_from(["png", "npy", "events"])
queries = st.one_of(
    st.dictionaries(names | st.sampled_from(["bundle", "overflow", "epoch"]) | texts, texts).map(
        lambda query: urlencode(query).encode()
    ),
    st.binary(max_size=20),
)
_NAMES = (
    *("accept", "authorization", "content-encoding", "content-length", "content-type", "cookie"),
    *("expect", "host", "if-none-match", "last-event-id", "origin", "range", "traceparent"),
    *("transfer-encoding", "upgrade", "x-name"),
)
header_values = st.one_of(
    st.binary(max_size=30),
    texts.map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [b"application/zip", b"text/event-stream", b"5-7", b"http://localhost", b"9" * 50]
    ),
)
headers = st.lists(st.tuples(st.sampled_from([name.encode() for name in _NAMES]), header_values))
form_headers = headers.map(
    lambda some: [(b"content-type", b"multipart/form-data; boundary=b"), *some]
)
methods = st.sampled_from([*["POST"] * 8, "GET", "GET", "HEAD", "PUT", "M"])
messages = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: {"text": text}),
        st.binary(max_size=20).map(lambda data: {"bytes": data}),
        st.just({"text": None, "bytes": None}),
    ),
    max_size=5,
)


class AskedApp:
    """An app on an event loop of its own, asked without sockets, and what its processes hold.

    At its end the workers must be those of the beginning, and have nothing to do.
    """

    def __init__(self, app, pool, *paths):
        self.app, self.pool = app, pool
        known, unknown = st.sampled_from(paths), st.text(max_size=10).map("/{}".format)
        self.paths = st.one_of(known, known, known, known, unknown)
        self._runner = asyncio.Runner()
        self._lifespan = app.router.lifespan_context(app)
        self._asked, self._held = 0, []
        self.statuses = Counter()
        self._kept = []

    def __enter__(self):
        self._runner.run(self._lifespan.__aenter__())
        self._workers = set(self.pool().pool.pids)
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert set(self.pool().pool.pids) == self._workers
            self._runner.run(until(lambda: idle(self.pool())))
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def ask(self, method, path, query, headers, body):
        """The status of an answer; of one that never ends, the beginning is taken."""
        status = self._runner.run(self._answer(method, path, query, headers, body))
        self.statuses[status] += 1
        if len(self._kept) < 50:
            self._kept.append((method, path, query, headers, body))
        return status

    def talk(self, path, query, headers, messages):
        """The kinds of messages that a websocket sends, while it is sent these."""
        return self._runner.run(self._talk(path, query, headers, messages))

    def weigh(self):
        """Note, at each quarter of all requests, the bytes of each process."""
        self._asked += 1
        if self._asked % (MANY // 4) == 0:
            processes = [psutil.Process(), *map(psutil.Process, self._workers)]
            self._held.append([each.memory_full_info().uss for each in processes])

    def check_memory(self):
        """It must not grow: in the worker at all, and here while the same is asked again.

        In between, hypothesis keeps some of all that it tried.
        """
        workers = self._held[-1][1] - self._held[1][1]
        own = []
        for _ in range(6):
            for request in self._kept:
                self.ask(*request)
            gc.collect()
            own.append(psutil.Process().memory_full_info().uss)
        grown = min(own[4] - own[3], own[5] - own[4])  # once, something may be loaded
        print(f"\n{MANY} requests: {workers >> 10:+,} KB in a worker, {dict(self.statuses)}")
        print(f"{grown >> 10:+,} KB in the server for {len(self._kept)} of them once more")
        assert workers < 20 << 20
        assert grown < 2 << 20

    async def _answer(self, method, path, query, headers, body):
        sent, gone = [], asyncio.Event()
        half = len(body) // 2
        parts = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:], "more_body": False},
        ]

        async def receive():
            if parts:
                return parts.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if len(sent) > 4:  # an endless stream
                gone.set()

        await asyncio.wait_for(
            self.app(self._scope(method, path, query, headers), receive, send), 60
        )
        return sent[0]["status"]

    async def _talk(self, path, query, headers, messages):
        sent, taken = [], asyncio.Event()
        given = [{"type": "websocket.connect"}]
        given += [{"type": "websocket.receive", **message} for message in messages]

        async def receive():
            if given:
                return given.pop(0)
            await taken.wait()
            return {"type": "websocket.disconnect", "code": 1001}

        async def send(message):
            sent.append(message["type"])
            if len(sent) > 4 or message["type"] == "websocket.close":
                taken.set()

        scope = {**self._scope("GET", path, query, headers), "type": "websocket", "scheme": "ws"}
        del scope["method"]
        await asyncio.wait_for(self.app(scope, receive, send), 60)
        return sent

    def _scope(self, method, path, query, headers):
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
