"""The app as a whole: what it answers, to whom, in which bytes, and what it says of itself."""

from __future__ import annotations

import asyncio
import io
import json
from functools import partial

import cv2
import httpx
import numpy as np
import pytest
from aioaug import AsyncPool, data
from aioaug._aio.tasks import in_thread
from aioaug.web import DatasetFeed, RequestRefused, WebLimits, create_app
from aioaug.web.client import batches
from imgaug import augmenters as iaa
from starlette.applications import Starlette
from starlette.routing import Mount
from web_testing import connected, idle, picture, pixels_of, serving, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

LIGHT = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-9, 9))])


def darker(images, rng):
    """A function in an augmenter's place: a list of images, and a list back."""
    return [image // int(rng.integers(2, 5)) for image in images]


PIPELINES = {"light": LIGHT, "dark": darker}


@pytest.fixture
def folder(tmp_path):
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    return tmp_path


def client_for(address, **options):
    return httpx.AsyncClient(base_url=address, timeout=30, **options)


async def made(*args, **options):
    """As at the import of a module: it reads the folder, and blocks."""
    return await in_thread(partial(create_app, *args, **options))


async def feed_of(folder, **options):
    dataset = await in_thread(data.Files, folder)
    return DatasetFeed(dataset.batches(3, shuffle=True, seed=4, epochs=2, **options), "light")


async def test_pictures_streams_and_figures(folder):
    app = await made(PIPELINES, folder, seed=3, processes=1)
    sent = picture(1)
    async with AsyncPool(LIGHT, 1, seed=5) as pool:
        wanted = await pool.augment_image(pixels_of(sent), index=7)
        shown = [await pool.augment_image(pixels_of(picture(n % 7)), index=n) for n in range(5, 9)]
    async with serving(app) as address, client_for(address) as client:
        posted = [
            await client.post(f"/augment/{name}?format=png&seed=5&index=7", content=sent)
            for name in ("light", "dark", "dark")
        ]
        assert np.array_equal(pixels_of(posted[0].content), wanted)
        assert posted[1].content == posted[2].content
        assert pixels_of(posted[1].content).max() < 140
        arrays = await client.get(
            "/stream/light?seed=5&start=5&count=4", headers={"Accept": "application/x-npy"}
        )
        file = io.BytesIO(arrays.content)
        assert all(np.array_equal(np.load(file), each) for each in shown)
        assert file.read() == b""
        url = "/stream/light?seed=5&start=5&count=4&format=png"
        events = await client.get(url, headers={"Accept": "text/event-stream"})
        ids = [line for line in events.text.splitlines() if line.startswith("id: ")]
        assert ids == [f"id: 5-{index}" for index in range(5, 9)]
        resumed = await client.get(
            url, headers={"Accept": "text/event-stream", "Last-Event-ID": "5-6"}
        )
        assert events.text.endswith(resumed.text)
        assert resumed.text.count("id: ") == 2
        at_end = await client.get(url, headers={"Last-Event-ID": "5-8"})
        assert (at_end.status_code, at_end.content) == (204, b"")
        lines = await client.get(f"{url}&as=lines")
        told = [json.loads(line) for line in lines.text.splitlines()]
        assert [each["name"] for each in told] == ["5.png", "6.png", "0.png", "1.png"]
        mixed = await client.get("/stream/dark?count=2&fps=1000")
        assert mixed.content.count(b"--frame\r\nContent-Type: image/jpeg\r\n") == 2
        assert (await client.head("/stream/light")).status_code == 200
        async with connect(f"{address.replace('http', 'ws')}{url}") as socket:
            messages = [message async for message in socket]
        assert [json.loads(each)["index"] for each in messages[::2]] == [5, 6, 7, 8]
        assert np.array_equal(pixels_of(messages[3]), shown[1])
        await check_figures(client)
        await until(lambda: idle(app.state.pool))
    assert app.state.pool.closed


FIGURES = [
    *("batches_total", "stage_seconds_total", "workers", "busy", "waiting", "running", "segments"),
    *("segments_at_most", "restarts_total", "killed_total", "abandoned_total", "refused_total"),
    *("failures_total", "frames_dropped_total", "streams_open", "loop_lag_seconds"),
    "request_seconds",
]


async def check_figures(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ok", "workers": 1}
    offers = (await client.get("/pipelines")).json()
    assert offers == {"pipelines": ["light", "dark"], "datasets": [], "images": 7, "seed": 3}
    text = (await client.get("/metrics")).text
    for name in FIGURES:
        assert f"\n# TYPE aioaug_{name} " in text, name
    line = 'aioaug_request_seconds_count{route="/augment/{pipeline}",status="200"} 3.0'
    assert line in text
    assert "aioaug_workers 1.0" in text
    assert "aioaug_streams_open 0.0" in text
    assert 'aioaug_stage_seconds_total{stage="worker"}' in text
    document = (await client.get("/openapi.json")).json()
    path = document["paths"]["/augment/{pipeline}"]["post"]
    assert path["parameters"][0]["schema"]["enum"] == ["dark", "light"]
    assert document["openapi"].startswith("3.1")


REFUSED = [
    (404, "pipelines are light, dark", "POST", "/augment/none", {}),
    (404, "", "GET", "/none", {}),
    (405, "", "GET", "/augment/light", {}),
    (404, "this server has no pictures", "GET", "/stream/light", {}),
    (404, "datasets are none", "GET", "/dataset/train", {}),
    (403, "other origins", "POST", "/augment/light", {"Origin": "http://elsewhere.example"}),
    (401, "Authorization: Bearer", "POST", "/augment/light", {"Authorization": "Bearer wrong"}),
    (401, "Authorization: Bearer", "GET", "/metrics", {"Authorization": ""}),
]


async def test_who_is_refused():
    app = await made(PIPELINES, processes=1, token="secret", limits=WebLimits(requests=1))
    right = {"Authorization": "Bearer secret"}
    async with serving(app) as address, client_for(address, headers=right) as client:
        for status, words, method, path, headers in REFUSED:
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert words in answer.json().get("detail", "")
        own = {"Origin": address}
        answer = await client.post("/augment/light", content=picture(), headers=own)
        assert answer.status_code == 200
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path, headers={"Authorization": ""})).status_code == 200
        document = (await client.get("/openapi.json")).json()
        assert document["paths"]["/metrics"]["get"]["security"] == [{"token": []}]
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{address.replace('http', 'ws')}/stream/light"):
                pass
        assert refused.value.response.status_code == 401


async def test_deadlines_full_queues_and_restarts_are_told():
    limits = WebLimits(waiting=1)
    app = await made(
        {"rest": iaa.Lambda(func_images=rest), "light": LIGHT}, processes=1, limits=limits
    )
    async with serving(app) as address, client_for(address) as client:
        pool = app.state.pool
        head = f"Content-Length: {len(picture())}\r\n"
        async with connected(address, "/augment/rest", head, "POST") as (_, writer):
            writer.write(picture())
            await until(lambda: pool.stats().running == 1)
            waiting = asyncio.create_task(
                client.post("/augment/light", content=picture(), headers={"X-Timeout": "0.5"})
            )
            await until(lambda: pool.stats().waiting == 1)
            refused = await client.post("/augment/light", content=picture())
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert (await waiting).status_code == 504
        # Its client has gone: another worker takes the place of the one that is busy for nothing.
        assert (await client.post("/augment/light", content=picture())).status_code == 200
        text = (await client.get("/metrics")).text
        for line in ("restarts_total 1.0", "refused_total 1.0", "killed_total 1.0"):
            assert f"\naioaug_{line}\n" in text
        await until(lambda: idle(pool))


def rest(images, random_state, parents, hooks):
    import time

    time.sleep(60)
    return images


@pytest.mark.slow
async def test_too_many_at_once(folder):
    limits = WebLimits(requests=1, streams=1)
    pipelines = {"slow": iaa.Lambda(func_images=slowly), "light": LIGHT}
    app = await made(pipelines, folder, processes=2, limits=limits)
    async with serving(app) as address, client_for(address) as client:
        first = asyncio.create_task(client.post("/augment/slow", content=picture()))
        await until(lambda: app.state.pool.stats().running == 1)
        second = await client.post("/augment/light", content=picture())
        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        assert (await first).status_code == 200
        async with connected(address, "/stream/light") as (reader, _):
            await reader.readexactly(100)
            assert (await client.get("/stream/light")).status_code == 503
        while "\naioaug_streams_open 0.0\n" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)
        assert (await client.get("/stream/light?count=1")).status_code == 200


def slowly(images, random_state, parents, hooks):
    import time

    time.sleep(0.5)
    return images


@pytest.mark.slow
async def test_a_picture_that_fails_is_told_and_the_stream_goes_on(folder):
    (folder / "3.png").write_bytes(b"broken")
    async with serving(await made(PIPELINES, folder, processes=1)) as address:
        async with client_for(address) as client:
            lines = await client.get("/stream/light?count=7&as=lines")
            told = [json.loads(line) for line in lines.text.splitlines()]
            assert [each.get("index") for each in told] == [0, 1, 2, None, 4, 5, 6]
            assert told[3]["problem"]["status"] == 500
            mixed = await client.get("/stream/light?count=7")
            assert mixed.content.count(b"--frame") == 6


async def test_what_an_app_is_built_with_is_checked(folder):
    with pytest.raises(ValueError, match="pipelines must be augmenters by name"):
        create_app({})
    with pytest.raises(TypeError, match="augseq must be an imgaug augmenter or a callable"):
        create_app({"light": 3})
    with pytest.raises(ValueError, match="processes"):
        create_app(PIPELINES, processes=0)
    with pytest.raises(ValueError, match="token must not be empty"):
        create_app(PIPELINES, token="")
    with pytest.raises(ValueError, match="dataset 'train' names the pipeline 'light', of none"):
        create_app({"dark": darker}, datasets={"train": await feed_of(folder)})
    with pytest.raises(TypeError, match="batches must be those of a dataset"):
        DatasetFeed([1, 2], "light")


# The feed.


async def test_a_feed_has_the_bytes_of_a_local_run(folder):
    app = await made(PIPELINES, datasets={"train": await feed_of(folder)}, seed=9, processes=1)
    source = (await feed_of(folder)).batches
    async with AsyncPool(LIGHT, 1, seed=9) as pool:
        local = [batch async for batch in pool.imap_batches(source)]
    async with serving(app) as address, client_for(address) as client:
        url = f"{address}/dataset/train"
        about = (await client.get(url)).json()
        assert about == {"per_epoch": 3, "epochs": 2, "batch_size": 3, "seed": 9, "order": 4}
        async with batches(url) as feed:
            first = [await anext(feed) for _ in range(2)]
            state = feed.state()
        assert state == {"next": 2}
        async with batches(url, state=state) as feed:
            remote = first + [batch async for batch in feed]
        for got, wanted in zip(remote, local, strict=True):
            assert all(map(np.array_equal, got.images, wanted.images))
            assert got.names == wanted.names
            assert got.indices == wanted.indices.tolist()
        assert [(batch.epoch, batch.index) for batch in remote][-1] == (1, 2)
        async with batches(url, epochs=1, format="jpeg") as feed:
            jpegs = [batch async for batch in feed]
        assert [batch.names for batch in jpegs] == [batch.names for batch in remote[:3]]
        assert np.abs(jpegs[0].images.astype(int) - np.stack(local[0].images)).mean() < 20
        answer = await client.get(f"{url}?epoch=1&index=1")
        again = await client.get(
            f"{url}?epoch=1&index=1", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get(f"{url}?index=3")).status_code == 404
        with pytest.raises(RequestRefused, match="datasets are train"):
            async with batches(f"{address}/dataset/none") as feed:
                await anext(feed)


async def test_a_feed_of_labels_and_resized_pictures(folder):
    labels = [data.PictureLabels(annotations=(data.Annotation(category=1, box=(1, 2, 30, 40)),))]
    dataset = await in_thread(data.Files, sorted(folder.glob("*.png")), labels * 7)
    feed = DatasetFeed(dataset.batches(7, resize=(30, 40)), "flip")
    app = await made({"flip": iaa.Fliplr(1.0)}, dataset, datasets={"all": feed}, processes=1)
    async with serving(app) as address, client_for(address) as client:
        async with batches(f"{address}/dataset/all") as remote:
            (batch,) = [batch async for batch in remote]
        assert batch.images.shape == (7, 30, 40, 3)
        assert batch.labels[0]["annotations"][0]["box"] == [25, 1, 39.5, 20]
        assert batch.labels[0]["size"] == [40, 30]
        lines = await client.get("/stream/flip?count=1&as=lines")
        assert json.loads(lines.text)["labels"]["annotations"][0]["box"] == [50, 2, 79, 40]
        assert json.loads(lines.text)["name"] == "0.png"  # and not where the server has it


@pytest.mark.slow
async def test_a_feed_waits_for_its_server_and_notices_another_one(folder):
    app = await made(PIPELINES, datasets={"train": await feed_of(folder)}, seed=9, processes=1)
    async with serving(app) as address:
        feed = batches(f"{address}/dataset/train", ahead=0, patience=0.2)
        await anext(feed)
    with pytest.raises(httpx.TransportError):
        await anext(feed)
    assert feed.state() == {"next": 1}
    other = await made(PIPELINES, datasets={"train": await feed_of(folder)}, seed=8, processes=1)
    async with serving(other) as address:
        feed._url = f"{address}/dataset/train"
        with pytest.raises(ValueError, match="has become another dataset"):
            await anext(feed)
    await feed.aclose()


@pytest.mark.slow
async def test_an_app_can_be_mounted_in_another_one(folder):
    """Its host's lifespan has to be the app's, since that of what is mounted is not run."""
    inner = await made(PIPELINES, folder, processes=1)
    outer = Starlette(
        routes=[Mount("/pictures", inner)],
        lifespan=lambda app: inner.router.lifespan_context(inner),
    )
    async with serving(outer) as address, client_for(address) as client:
        answer = await client.post("/pictures/augment/light", content=picture())
        assert answer.status_code == 200
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (60, 80, 3)
