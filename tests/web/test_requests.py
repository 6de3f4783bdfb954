"""Pieces for handlers: pictures in, the same bytes for the same numbers out, and clear words."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import pickle
import zipfile
import zlib
from http import HTTPStatus

import aioaug_testing as aug
import httpx
import numpy as np
import pytest
from aioaug import AsyncPool, _pictures
from aioaug._base.results import Failure
from aioaug._base.seeding import batch_seeds
from aioaug._worker.augmentation import Augmentation, augment_chunk
from aioaug.web import WebLimits, augment_response, cancel_on_disconnect, pool_lifespan
from aioaug.web.multipart import parts_of
from aioaug.web.pictures import Encoding, PostedPictures
from aioaug.web.pipelines import PipelineSet, PostTask
from imgaug import augmenters as iaa
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from web_testing import connected, idle, picture, pixels_of, serving, until


def app_of(pool, **limits):
    async def post(request):
        return await augment_response(request.state.pool, request, limits=WebLimits(**limits))

    async def work(request):
        async with cancel_on_disconnect(request):
            seconds = float(request.query_params["seconds"])
            return JSONResponse(await request.state.pool.augment_batch(seconds))

    routes = [Route("/", post, methods=["POST"]), Route("/work", work, methods=["GET", "POST"])]
    return Starlette(routes=routes, lifespan=pool_lifespan(pool=pool))


def flips(seed=3, **options):
    return AsyncPool(iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-9, 9))]), 1, seed=seed)


def client_for(address):
    return httpx.AsyncClient(base_url=address, timeout=30)


def noisy(images):
    return [image + np.random.randint(0, 9, image.shape, np.uint8) for image in images]


def test_requests_that_share_a_call_are_answered_as_if_alone():
    """They are done side by side: neither numbers nor errors of one may get to another."""
    pipelines = {"imgaug": iaa.Affine(rotate=(-30, 30)), "function": noisy}
    made = Augmentation(PipelineSet(pipelines, profile=True), 0, owns_interpreter=True)
    worker = pickle.loads(pickle.dumps(made))
    bodies = [picture(1), b"broken", picture(2), picture(3, 700, 900), picture(4)]
    chunk = [
        (at, PostTask(name, batch_seeds(5, at), PostedPictures(body, "", Encoding("png"))))
        for at, body in enumerate(bodies)
        for name in pipelines
    ]
    alone = [augment_chunk(worker, [item])[0] for item in chunk]
    together = augment_chunk(worker, chunk)
    for one, other in zip(alone, together, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Failure):
            assert str(one.error) == str(other.error)
        else:
            assert (one.body, one.media_type) == (other.body, other.media_type)
            assert one.seconds.keys() == other.seconds.keys()
    assert [place // 2 for place, one in enumerate(together) if isinstance(one, Failure)] == [1, 1]
    assert len({one.body for one in together if not isinstance(one, Failure)}) == 8
    assert "Affine" in str(together[0].seconds)


async def test_a_picture_comes_back_as_the_pool_makes_it():
    sent = picture(1)
    async with flips(5) as pool:
        wanted = [await pool.augment_image(pixels_of(sent), index=index) for index in (7, 8)]
    async with serving(app_of(flips(3))) as address, client_for(address) as client:
        got = [
            await client.post(f"/?format=png&seed={seed}&index={index}", content=sent)
            for seed, index in ((5, 7), (5, 8), (5, 7), (4, 9))
        ]
        free = [await client.post("/", content=sent) for _ in range(3)]
        again = await client.post(f"/?index={free[0].headers['x-aioaug-index']}", content=sent)
    assert [answer.status_code for answer in got + free] == [200] * 7
    assert np.array_equal(pixels_of(got[0].content), wanted[0])
    assert np.array_equal(pixels_of(got[1].content), wanted[1])
    assert got[2].content == got[0].content
    assert np.array_equal(pixels_of(got[3].content), wanted[1])  # numbers follow from the sum
    assert got[0].headers["etag"] == got[2].headers["etag"] != got[1].headers["etag"]
    assert got[0].headers["content-type"] == "image/png"
    assert (got[0].headers["x-aioaug-seed"], got[0].headers["x-aioaug-index"]) == ("5", "7")
    assert again.content == free[0].content
    assert again.headers["content-type"] == "image/jpeg"
    assert {answer.headers["x-aioaug-seed"] for answer in free} == {"3"}
    assert len({answer.headers["x-aioaug-index"] for answer in free}) == 3


MARKS = {
    "boxes": [[10, 5, 30, 25], [0, 0, 80, 60]],
    "boxes_labels": ["cat", {"name": "dog"}],
    "keypoints": [[20, 10]],
    "polygons": [[[10, 10], [20, 10], [20, 20]]],
    "polygons_labels": [7],
}


def mask_of(numbers):
    return base64.b64encode(_pictures.encode_map(numbers)).decode()


async def test_what_is_marked_moves_along():
    numbers = np.zeros((60, 80), np.int32)
    numbers[5:25, 10:30] = 2
    marks = [MARKS | {"mask": mask_of(numbers)}, {}, {"keypoints": []}]
    files = [("image", (f"{n}.png", picture(n))) for n in range(3)]
    data = {"options": json.dumps({"format": "png", "annotations": marks})}
    pool = AsyncPool(iaa.Fliplr(1.0), 1, seed=1)
    async with serving(app_of(pool)) as address, client_for(address) as client:
        mixed, zipped, as_json = [
            await client.post(f"/?bundle={bundle}&index=1", files=files, data=data)
            for bundle in ("multipart", "zip", "json")
        ]
        by_accept = await client.post(
            "/?index=1", files=files, data=data, headers={"Accept": "application/zip"}
        )
    head, *pictures = parts_of(mixed.headers["content-type"], mixed.content)
    told = json.loads(head.content)
    assert told[0]["boxes"] == [[50, 5, 70, 25], [0, 0, 80, 60]]
    assert told[0]["boxes_labels"] == ["cat", {"name": "dog"}]
    assert told[0]["keypoints"] == [[60, 10]]
    assert told[0]["polygons"] == [[[70, 10], [60, 10], [60, 20]]]
    assert told[0]["polygons_labels"] == [7]
    moved = _pictures.decode_map(base64.b64decode(told[0]["mask"]))
    assert np.array_equal(moved, numbers[:, ::-1])
    assert told[1:] == [{}, {"keypoints": []}]
    for n, part in enumerate(pictures):
        assert part.name == f"image-{n}.png"
        assert np.array_equal(pixels_of(part.content), pixels_of(picture(n))[:, ::-1])
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        assert json.loads(archive.read("annotations.json")) == told
        assert archive.read("image-2.png") == pictures[2].content
    assert as_json.json()["annotations"] == told
    assert len(as_json.json()["images"]) == 3
    assert by_accept.content == zipped.content


@pytest.mark.parametrize("kind", ["L", "LA", "P", "1", "I;16", "RGBA", "CMYK"])
async def test_every_kind_of_picture_is_taken(kind):
    image = Image.fromarray(np.arange(48 * 40, dtype=np.uint16).reshape(40, 48) * 30)
    if kind != "I;16":
        plain = image.convert("L")
        image = (plain if kind == "LA" else plain.convert("RGB")).convert(kind)
    file = io.BytesIO()
    image.save(file, "JPEG" if kind == "CMYK" else "PNG")
    pool = AsyncPool(iaa.Fliplr(1.0), 1, engine="thread")
    async with serving(app_of(pool)) as address, client_for(address) as client:
        answer = await client.post("/?format=webp", content=file.getvalue())
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/webp"
    assert pixels_of(answer.content).shape == (40, 48, 3)


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def form(**options):
    return {"files": [("image", picture())], "data": {"options": json.dumps(options)}}


def bomb(side):
    """A PNG of a few bytes that says it has many pixels."""
    whole = bytearray(picture())
    whole[16:24] = side.to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(whole[12:29]).to_bytes(4, "big")
    return bytes(whole)


BAD = [
    (415, "image 1 of 1 is not a picture", "/", {"content": b"no picture"}),
    (422, "there is no picture", "/", {"content": b""}),
    (415, "image 1 of 1", "/", {"content": picture()[:300]}),
    (413, "pictures of 1,000,000 pixels at most, got 4,000,000", "/", {"content": bomb(2000)}),
    (415, "image 1 of 1 is not a picture", "/", {"content": bomb(100_000)}),
    (413, "a body of 100,000 bytes at most", "/", {"content": bytes(100_001)}),
    (413, "a form may have at most 4 parts", "/", {"files": [("image", picture())] * 5}),
    (413, "1 to 3 fields image", "/", {"files": [("image", picture())] * 4}),
    (422, "'file': a form's fields are image and options", "/", {"files": [("file", picture())]}),
    (400, "index must be a number from 0 to 2147483647", "/?index=-1", {"content": picture()}),
    (400, "seed must be a number", "/?seed=2147483648", {"content": picture()}),
    (400, "index must be a number", "/?index=" + "9" * 5000, {"content": picture()}),
    (400, "format must be one of 'jpeg', 'png', 'webp', got 'gif'", "/?format=gif", {}),
    (400, "quality must be a number from 1 to 100", "/?quality=0", {}),
    (400, "bundle must be one of", "/?bundle=tar", {}),
    (400, "needs a boundary", "/", {"headers": {"Content-Type": "multipart/form-data"}}),
    (400, "X-Timeout must be a number of seconds", "/", {"headers": {"X-Timeout": "nan"}}),
    (422, "'zoom': options are format, quality, annotations", "/", form(zoom=1)),
    (400, "quality must be an int, got 'high'", "/", form(quality="high")),
    (400, "format must be one of", "/", form(format=["png"])),
    (422, "annotations must be a list of 1", "/", form(annotations=[])),
    (422, "'box': annotations are boxes", "/", form(annotations=[{"box": []}])),
    (422, "x1, y1, x2, y2", "/", form(annotations=[{"boxes": [[3, 3, 1, 1]]}])),
    (422, "each must be a list of 4 numbers", "/", form(annotations=[{"boxes": [[1, 2, 3]]}])),
    (422, "each must be a list of 2", "/", form(annotations=[{"keypoints": [[1, True]]}])),
    (422, "at least three points", "/", form(annotations=[{"polygons": [[[1, 2]]]}])),
    (422, "boxes_labels must be as many", "/", form(annotations=[{"boxes_labels": [1]}])),
    (422, "mask is no base64", "/", form(annotations=[{"mask": "%"}])),
    (422, "a mask must have the picture's size", "/", form(annotations=[{"mask": "aGVsbG8="}])),
    (
        422,
        "options are no JSON",
        "/",
        {"files": [("image", b"1")], "data": {"options": "[" * 999}},
    ),
    (400, "the form ends in the middle", "/", {"content": b"--x\r\n", "headers": FORM}),
]


async def test_bad_requests_are_told_what_is_wrong():
    pool = AsyncPool(iaa.Fliplr(0.5), 1, engine="thread")
    app = app_of(pool, body=100_000, pixels=1_000_000, pictures=3, marks=5)
    async with serving(app) as address, client_for(address) as client:
        for status, words, url, request in BAD:
            answer = await client.post(url, **request)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
        chunked = await client.post("/", content=chunks(300))
        title = HTTPStatus(413).phrase  # Python 3.13 has the newer one
        assert (chunked.status_code, chunked.json()["title"]) == (413, title)
        assert (await client.post("/", content=picture())).status_code == 200
        assert pool.stats().waiting == pool.stats().running == 0


async def chunks(count):
    for _ in range(count):
        yield bytes(1000)


async def test_a_deadline_is_kept():
    async def slow(request):
        return await augment_response(request.state.pool, request, timeout=20)

    pool = AsyncPool(iaa.Lambda(func_images=aug.sleep_in_lambda), 1, abandon_after=0.1)
    app = Starlette(routes=[Route("/", slow, methods=["POST"])], lifespan=pool_lifespan(pool=pool))
    async with serving(app) as address, client_for(address) as client:
        answer = await client.post("/", content=picture(), headers={"X-Timeout": "0.2"})
        assert answer.status_code == 504
        assert answer.json()["title"] == "Gateway Timeout"
        await pool.terminate()
        stopping = await client.post("/", content=picture())
        assert (stopping.status_code, stopping.headers["retry-after"]) == (503, "1")


async def test_a_client_that_goes_away_frees_its_worker():
    pool = AsyncPool(aug.sleep_for, 1, abandon_after=0.1)
    async with serving(app_of(pool)) as address:
        await pool.augment_batch(0)
        for _ in range(3):
            async with connected(address, "/work?seconds=30"):
                await until(lambda: pool.stats().running == 1)
            await until(lambda: pool.stats().running == 0)
            async with client_for(address) as client:
                answer = await client.post("/work?seconds=0", content=b"a body")
                assert answer.json() == 0
        assert pool.stats().killed == 3
        await until(lambda: idle(pool))


async def test_a_cancellation_of_another_origin_passes():
    from starlette.requests import Request

    async def receive():
        await asyncio.Event().wait()

    request = Request({"type": "http", "method": "GET", "headers": []}, receive)
    request._stream_consumed = True

    async def handler():
        async with cancel_on_disconnect(request):
            await asyncio.sleep(30)

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await handler()


@pytest.mark.parametrize("name", ["body", "pixels", "requests"])
def test_limits_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        WebLimits(**{name: 0})
    with pytest.raises(ValueError, match="timeout must be a number of seconds"):
        WebLimits(timeout=None)
