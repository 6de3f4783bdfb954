"""The studio's app, asked with what its page would not send: 4xx, never 5xx; workers live on."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from aioaug.studio.catalog import catalog
from fuzz_testing import PNG, AskedApp, bodies, headers, json_values, many, methods, queries
from hypothesis import given
from studio_testing import make_app, make_coco

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PATHS = [
    *["/api/show", "/api/python"] * 3,
    *("/api/sheet", "/api/uploads", "/api/studio", "/api/pictures/1", "/api/thumbnails/1"),
    *("/api/pictures/99999999999999999999", "/api/thumbnails/4", "/page/x.js", "/"),
]
kinds = list(catalog().values())


@st.composite
def nodes(draw):
    """A node whose parameters are right, or nearly, or not at all."""
    kind = draw(st.sampled_from(kinds))
    parameters = {}
    for each in kind.parameters:
        if each.required or draw(st.integers(0, 4)) == 0:
            between = st.floats(each.low, each.high) | st.integers(int(each.low), int(each.high))
            parameters[each.name] = draw(
                st.just(each.start) | between | json_values
                | st.lists(between, min_size=2, max_size=2).map(lambda ends: {"tuple": ends})
            )  # fmt: skip
    children = {name: [] for name in kind.children}
    return {"name": kind.name, "parameters": parameters, "children": children}


whole = st.integers(-1, 3) | st.integers(2**31 - 3, 2**31) | json_values
asks = st.fixed_dictionaries(
    {},
    optional={
        "seed": whole,
        "index": whole,
        "count": whole,
        "pipeline": nodes() | st.just({"given": "light", "place": 1}) | json_values,
    },
)
subjects = st.one_of(
    st.fixed_dictionaries({"number": whole}, optional={"side": st.sampled_from([128, 256, 3])}).map(
        lambda picture: {"picture": picture}
    ),
    st.fixed_dictionaries({"number": whole, "size": whole}).map(lambda batch: {"batch": batch}),
    st.just({}),
)
texts = st.builds(lambda *parts: json.dumps(parts[0] | parts[1]).encode(), asks, subjects)


def test_requests(tmp_path):
    app = make_app(make_coco(tmp_path / "coco"), "light")
    right = [(b"host", b"localhost")]
    with AskedApp(app, lambda: app.state.studio.pool, *PATHS) as asked:

        @many
        @given(methods, asked.paths, queries, headers | st.just([]), texts | texts | bodies)
        def ask(method, path, query, some, body):
            others = [each for each in some if each[0] not in (b"host", b"origin")]
            status = asked.ask(method, path, query, right + others, body)
            assert 200 <= status < 500
            asked.weigh()

        ask()
        asked.check_memory()
        assert {200, 422} <= set(asked.statuses)
        assert asked.ask("POST", "/api/uploads", b"", right, PNG) == 200
