"""Spans of OpenTelemetry for requests and for what workers did; nothing without its API."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from .pictures import PictureAnswer

_STAGES = ("decode", "augment", "encode")
_NS = 1e9


def is_tracing() -> bool:
    """Whether a provider of spans was set; the API's own makes none."""
    trace = _trace()
    if trace is None:
        return False
    return type(trace.get_tracer_provider()).__module__ != "opentelemetry.trace"


@contextmanager
def request_span(name: str, headers: Mapping[str, str], **about: Any) -> Iterator[Any]:
    """A span of a request, below the client's if its headers name one (W3C Trace Context).

    Without a provider of spans there is none: one that records nothing would take longer than all
    else that an app does about a small request.
    """
    trace = _trace()
    if trace is None or not is_tracing():
        yield None
        return
    from opentelemetry import propagate

    context = propagate.extract(dict(headers))
    tracer = trace.get_tracer("aioaug.web")
    kind = trace.SpanKind.SERVER
    with tracer.start_as_current_span(name, context=context, kind=kind, attributes=about) as span:
        yield span


def worker_spans(answer: PictureAnswer) -> None:
    """Spans of the worker's stages inside the current one, with the seconds of each augmenter."""
    trace = _trace()
    if trace is None or not answer.begun or not is_tracing():
        return
    tracer = trace.get_tracer("aioaug.web")
    begin = answer.begun
    others = {name: took for name, took in answer.seconds.items() if name not in _STAGES}
    for stage in _STAGES:
        if stage in answer.seconds:
            about = {f"aioaug.seconds.{name}": took for name, took in others.items()}
            end = begin + int(answer.seconds[stage] * _NS)
            span = tracer.start_span(
                f"worker {stage}",
                start_time=begin,
                attributes=about if stage == "augment" else {},
            )
            span.end(end_time=end)
            begin = end


@cache
def _trace() -> Any:
    """The API, if it is installed."""
    try:
        return importlib.import_module("opentelemetry.trace")
    except ImportError:
        return None
