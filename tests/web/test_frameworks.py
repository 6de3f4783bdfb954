"""What needs more than the tests' own environment: `.ci/run web` has it, others skip it."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from aioaug._aio.tasks import in_thread
from aioaug.web import create_app
from imgaug import augmenters as iaa
from web_testing import picture, pixels_of, program, serving, stopped

EXAMPLES = Path(__file__).parents[2] / "examples"


def client_for(address):
    return httpx.AsyncClient(base_url=address, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["fastapi", "litestar"])
def test_apps_of_frameworks(framework, tmp_path, monkeypatch):
    pytest.importorskip(framework)
    monkeypatch.setenv("PORT", "0")
    body = (EXAMPLES / f"{framework}_app.py").read_text("utf-8")
    with program(tmp_path, body) as (process, address):
        answers = [
            httpx.post(f"{address}/augment?index=7&format=png", content=picture()) for _ in range(2)
        ]
        assert answers[0].status_code == 200, answers[0].text
        assert answers[0].content == answers[1].content
        assert pixels_of(answers[0].content).shape == (60, 80, 3)
        assert httpx.post(f"{address}/augment", content=b"none").status_code == 415
        if framework == "fastapi":
            card = httpx.get(f"{address}/test-card/64")
            assert pixels_of(card.content).shape == (64, 64, 3)
            stopped(process)
            return
        for ends_first in ("client", "server"):
            with httpx.stream("GET", f"{address}/live", timeout=30) as response:
                chunks = response.iter_raw()
                assert next(chunks).startswith(b"--frame\r\nContent-Type: image/jpeg")
                if ends_first == "server":
                    stopped(process)
                    list(chunks)  # the body has an end: else httpx would raise


async def test_spans_of_a_request_and_of_its_worker():
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if type(trace.get_tracer_provider()).__module__ == "opentelemetry.trace":
        trace.set_tracer_provider(provider)
    else:  # it can be set once in a process
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    pipeline = iaa.Sequential([iaa.Fliplr(1.0), iaa.GaussianBlur(2.0)])
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    # It reads files: the first one of a process imports what it needs.
    app = await in_thread(partial(create_app, {"light": pipeline}, processes=1))
    async with serving(app) as address:
        async with client_for(address) as client:
            answer = await client.post(
                "/augment/light", content=picture(), headers={"traceparent": parent}
            )
            assert answer.status_code == 200
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {
        "POST /augment/{pipeline}",
        "worker decode",
        "worker augment",
        "worker encode",
    }
    request = spans["POST /augment/{pipeline}"]
    assert request.parent.span_id == int(parent.split("-")[2], 16)
    assert request.attributes["http.response.status_code"] == 200
    work = spans["worker augment"]
    assert work.parent.span_id == request.context.span_id
    assert work.attributes["aioaug.seconds.GaussianBlur"] > 0
    assert request.start_time <= spans["worker decode"].start_time
    assert spans["worker encode"].end_time <= request.end_time


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_schemathesis_finds_nothing(tmp_path):
    """Requests of all kinds that the OpenAPI document describes, and others: never a 5xx."""
    pytest.importorskip("schemathesis")
    app = """
    import aioaug
    import imgaug.augmenters as iaa
    from aioaug.web import WebLimits, create_app, serve

    limits = WebLimits(body=200_000, pixels=1_000_000)
    app = create_app({"light": iaa.Fliplr(0.5)}, seed=1, processes=1, limits=limits)
    if __name__ == "__main__":
        serve(app, port=0)
    """
    with program(tmp_path, app) as (process, address):
        run_schemathesis(f"{address}/openapi.json")
        answer = httpx.post(f"{address}/augment/light", content=picture())
        assert answer.status_code == 200
        assert np.array_equal(pixels_of(answer.content).shape, (60, 80, 3))
        stopped(process)


def run_schemathesis(url):
    command = [Path(sys.executable).parent / "schemathesis", "run", url]
    # A deadline of a millisecond is answered with 504, and rightly so.
    command += ["--header", "X-Timeout: 30", "--phases", "coverage,fuzzing", "--max-time", "40"]
    command += ["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
