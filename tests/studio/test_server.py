"""The studio's server: what it shows, what it refuses, and programs that make the same pixels."""

import asyncio
import json
from contextlib import asynccontextmanager

import cv2
import httpx
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug.augmenters.presets import standard
from aioaug.studio import open_pictures
from aioaug.studio.guards import is_loopback
from aioaug.studio.live import LiveAnswer
from studio_testing import (
    make_app,
    make_coco,
    make_own,
    make_specs,
    node,
    pixels,
    run_program,
    simple,
    unframed,
)


@asynccontextmanager
async def served(app):
    """A client of the app, whose lifespan runs."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8") as client:
            yield client


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_coco(tmp_path_factory.mktemp("studio") / "coco")


@pytest.fixture
def app(dataset, tmp_path):
    """An app whose pool was not entered yet."""
    return make_app(dataset, "standard", **make_own(tmp_path))


@pytest.fixture(scope="module")
def opened(dataset):
    return open_pictures(dataset)


async def shown(client, **query):
    answer = await client.post("/api/show", json=query)
    assert answer.status_code == 200, answer.text
    return unframed(answer.content)


async def test_shows_what_a_pool_makes_of_the_picture(app, opened):
    picture = {"number": 1, "side": None}
    async with served(app) as client:
        facts = (await client.get("/api/studio")).json()
        tree = facts["pipelines"][0]["tree"]
        before, [original] = await shown(client, picture=picture)
        after, [augmented] = await shown(client, picture=picture, pipeline=tree, seed=7, index=5)
        boxed, _ = await shown(client, picture={"number": 0, "side": None})
        again = await shown(client, picture=picture, pipeline=tree, seed=7, index=5)
        other = await shown(client, picture=picture, pipeline=tree, seed=8, index=5)
        small, [file] = await shown(client, picture={"number": 1, "side": 128}, pipeline=tree)
    batch = opened.dataset.subset([1]).batches(1)[0]
    async with AsyncPool(standard(), 1, seed=7) as pool:
        expected = await pool.augment_batch(batch, index=5)
    np.testing.assert_array_equal(pixels(augmented), expected.images[0])
    assert again[1] == [augmented]
    assert other[1] != [augmented]
    assert pixels(original).shape == (128, 160, 3)
    assert pixels(file).shape == (102, 128, 3)
    assert small["resize"] == [102, 128]
    marks = before["pictures"][0]["marks"]
    assert marks["captions"][0][0] == "kitten"
    assert marks["polygons"] == [[[20, 30], [80, 30], [80, 80]]]
    assert boxed["pictures"][0]["marks"]["boxes"] == [[20, 30, 80, 80]]
    assert len(marks["points"]) == 2
    assert after["pictures"][0]["marks"]["points"] != marks["points"]
    names = set(after["milliseconds"])
    assert {"#.children.0", "#.children.1", "read", "encode"} <= names


async def test_batches_are_those_of_the_run(app, opened):
    tree = simple(node("Add", value={"tuple": [-40, 40]}), node("Fliplr", p=0.5))
    query = {"batch": {"number": 4, "size": 2, "shuffle": True}, "pipeline": tree, "seed": 3}
    async with served(app) as client:
        facts, files = await shown(client, **query)
        plain, _ = await shown(client, batch=query["batch"], seed=3)
    import imgaug.augmenters as iaa

    batches = opened.dataset.batches(2, shuffle=True, seed=3, epochs=None)
    run = iaa.Sequential([iaa.Add((-40, 40)), iaa.Fliplr(0.5)])
    async with AsyncPool(run, 1, seed=3) as pool:
        async for number, batch in _counted(pool.imap_batches(batches, output_buffer_size=2)):
            last = batch
            if number == 4:
                break
    for file, image in zip(files, last.images, strict=True):
        np.testing.assert_array_equal(pixels(file), image)
    assert [each["name"] for each in facts["pictures"]] == last.names
    assert [each["number"] for each in plain["pictures"]] == last.indices.tolist()


async def _counted(stream):
    number = 0
    async with stream:
        async for batch in stream:
            yield number, batch
            number += 1


@pytest.mark.slow
def test_opaque_augmenters_can_be_moved_and_give_the_same_pixels(app, tmp_path):
    async def ask():
        picture = {"number": 0, "side": None}
        async with served(app) as client:
            facts = (await client.get("/api/studio")).json()
            trees = {each["name"]: each["tree"] for each in facts["pipelines"]}
            tree = trees["mixed"]
            children = tree["children"]["children"]
            assert [each.get("given") for each in children] == ["mixed", None, None]
            children.insert(2, children.pop(0))
            query = {"picture": picture, "pipeline": tree, "seed": 11, "index": 2}
            _, [file] = await shown(client, **query)
            source = (await client.post("/api/python", json=query)).json()["source"]
        return file, source

    file, source = asyncio.run(ask())
    written = run_program(source, tmp_path)
    np.testing.assert_array_equal(written["augmented.png"], pixels(file))
    assert "runpy.run_path" in source


def test_a_program_of_a_resized_picture_gives_its_pixels(app, tmp_path):
    async def ask():
        async with served(app) as client:
            facts = (await client.get("/api/studio")).json()
            tree = facts["pipelines"][0]["tree"]
            query = {"picture": {"number": 2, "side": 128}, "pipeline": tree}
            query |= {"seed": 2147483647, "index": 9}
            _, [file] = await shown(client, **query)
            source = (await client.post("/api/python", json=query)).json()["source"]
        return file, source

    file, source = asyncio.run(ask())
    written = run_program(source, tmp_path)
    np.testing.assert_array_equal(written["augmented.png"], pixels(file))


async def test_takes_uploads_within_limits(app, monkeypatch, tmp_path):
    from aioaug.studio import app as module

    grey = np.full((50, 40, 3), 90, np.uint8)
    data = cv2.imencode(".png", grey)[1].tobytes()
    async with served(app) as client:
        added = await client.post("/api/uploads", content=data, headers={"x-name": "a%2Fb.png"})
        assert added.json().items() >= {"name": "b.png", "width": 40, "height": 50}.items()
        picture = {"upload": added.json()["upload"], "side": None}
        tree = simple(node("Add", value=10))
        query = {"picture": picture, "pipeline": tree}
        _, [file] = await shown(client, **query)
        np.testing.assert_array_equal(pixels(file), grey + 10)
        source = (await client.post("/api/python", json=query)).json()["source"]
        assert "Files(['b.png'])" in source
        none = await client.post("/api/uploads", content=b"no picture")
        assert none.status_code == 422
        gone = {"picture": {"upload": "00", "side": None}}
        assert (await client.post("/api/show", json=gone)).status_code == 404
        monkeypatch.setattr(module, "_MOST_PIXELS", 1999)
        many = await client.post("/api/uploads", content=data)
        assert "million pixels" in many.json()["detail"]
        monkeypatch.setattr(module, "_MOST_UPLOAD", len(data) - 1)
        large = await client.post("/api/uploads", content=data)
        assert large.status_code == 413
        assert large.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "must be JSON"),
        (b"[" * 100000, "must be JSON"),
        (b'{"seed": NaN}', "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"code": 1}', "'code' is unknown"),
        (b"{}", "either picture or batch"),
        (b'{"picture": {"number": 0}, "batch": {"number": 0}}', "either picture or batch"),
        (b'{"picture": {"number": 3}}', "number must be a whole number from 0 to 2"),
        (b'{"picture": {"number": true}}', "number must be a whole number"),
        (b'{"picture": {"number": 0, "side": 77}}', "side must be null or one of"),
        (b'{"picture": {"number": 0}, "seed": -1}', "seed must be a whole number"),
        (b'{"picture": {"number": 0}, "pipeline": {"name": "os"}}', "no augmenter 'os'"),
        (b'{"batch": {"number": 0, "size": 65}}', "size must be a whole number from 1 to 64"),
        (b'{"batch": {"number": 0, "shuffle": 3}}', "shuffle must be true or false"),
    ],
)
async def test_bad_bodies_are_answered_with_the_reason(app, body, why):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/api/show", content=body)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


async def test_only_this_server_s_own_page_is_answered(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:80") as client:
        for host in ("localhost", "127.0.0.1:8", "[::1]:8"):
            answer = await client.get("/", headers={"host": host})
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
        for headers in (
            {"host": "evil.example"},
            {"host": "localhost.evil.example"},
            {"host": "192.168.0.1"},
            {"host": "[::1"},
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
        ):
            answer = await client.get("/api/studio", headers=headers)
            assert answer.status_code == 403, headers
            assert "content-security-policy" in answer.headers
        for path in ("/page/..%2Fapp.py", "/page/nothing.js", "/etc/passwd"):
            assert (await client.get(path)).status_code == 404


async def test_errors_of_a_pipeline_are_about_it_and_the_pool_goes_on(app):
    picture = {"number": 0, "side": None}
    async with served(app) as client:
        tree = node("Affine", rotate={"tuple": [1, 2, 3]})
        answer = await client.post("/api/show", json={"picture": picture, "pipeline": tree})
        assert answer.status_code == 422
        assert "Affine cannot be made like this" in answer.json()["detail"]
        thumbnail = await client.get("/api/thumbnails/1")
        assert thumbnail.content.startswith(b"\xff\xd8\xff")
        assert (await client.get("/api/thumbnails/3")).status_code == 404
        names = (await client.get("/api/pictures/1")).json()["names"]
        assert names == ["1.png", "2.png"]
        tree = simple(node("Fliplr", p=1))
        query = {"picture": picture, "pipeline": tree, "count": 4}
        sheet = await client.post("/api/sheet", json=query)
        assert pixels(sheet.content).shape[1] > 4 * 240


async def test_figures_end_with_the_client_and_with_the_server(app):
    studio = app.state.studio
    async with studio.pool:
        sent, gone = asyncio.Queue(), asyncio.Event()

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        answer = LiveAnswer(studio.live)
        reading = asyncio.create_task(answer({}, receive, sent.put))
        while b"data: " not in (message := await sent.get()).get("body", b""):
            assert not reading.done()
        figures = json.loads(message["body"].removeprefix(b"data: "))
        assert figures["workers"] == 1
        assert figures["lag"] >= 0
        gone.set()
        await reading
        gone.clear()
        reading = asyncio.create_task(answer({}, receive, sent.put))
        while b"data: " not in (await sent.get()).get("body", b""):
            assert not reading.done()
        studio.end_streams()
        await reading
        assert not studio.live._readers
        assert studio.live._lag is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["function", "album"])
def test_programs_of_functions_and_of_albumentations_give_what_is_shown(dataset, tmp_path, kind):
    if kind == "album":
        pytest.importorskip("albumentations")
    make_own(tmp_path)
    app = make_app(dataset / "images", mine=f"{tmp_path / 'own_pipelines.py'}:{kind}")
    queries = [{"picture": {"number": 1, "side": 128}, "index": 5}]
    queries.append({"batch": {"number": 2, "size": 2, "shuffle": True}})

    async def ask():
        answers = []
        async with served(app) as client:
            facts = (await client.get("/api/studio")).json()
            (pipeline,) = facts["pipelines"]
            assert pipeline["tree"].items() >= {"given": "mine", "place": 0}.items()
            for query in queries:
                query |= {"pipeline": pipeline["tree"], "seed": 8}
                _, files = await shown(client, **query)
                _, originals = await shown(client, **query | {"pipeline": None})
                assert files != originals
                source = (await client.post("/api/python", json=query)).json()["source"]
                answers.append((files, source))
        return answers

    for place, (files, source) in enumerate(asyncio.run(ask())):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        written = run_program(source, folder)
        assert len(written) == len(files)
        for name, file in zip(sorted(written), files, strict=True):
            np.testing.assert_array_equal(written[name], pixels(file))


def test_pipelines_of_other_kinds_are_shown_as_they_are(dataset, tmp_path):
    make_own(tmp_path)
    app = make_app(dataset, function=f"{tmp_path / 'own_pipelines.py'}:ready")
    assert app.state.studio.trees["function"]["name"] == "Affine"
    specs = make_specs(negative=f"{tmp_path / 'own_pipelines.py'}:function")
    pipeline, spec = specs["negative"].load()
    assert callable(pipeline)
    assert not spec.called


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.3.2.1", True),
     ("0.0.0.0", False), ("192.168.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_knows_loopback(host, expected):
    assert is_loopback(host) is expected
