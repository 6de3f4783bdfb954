"""The table of an app's routes, and the OpenAPI document that is made of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .frames import ARRAYS, EVENTS, LINES, MIXED
from .limits import WebLimits
from .pictures import BUNDLES, PICTURE_FORMATS

_SEED_MOST = 2**31 - 1


class QueryParameter(NamedTuple):
    """A parameter of a route: of its query, or of its `place`."""

    name: str
    words: str
    schema: dict[str, Any]
    place: str = "query"


class WebRoute(NamedTuple):
    """A route: `answers` are the media types of its 200, `failures` the other statuses."""

    method: str
    path: str
    name: str
    words: str
    parameters: tuple[QueryParameter, ...] = ()
    answers: tuple[str, ...] = ("application/json",)
    failures: tuple[int, ...] = ()
    is_open: bool = False


def _number(name: str, words: str, low: int = 0, high: int = _SEED_MOST) -> QueryParameter:
    return QueryParameter(name, words, {"type": "integer", "minimum": low, "maximum": high})


def _choice(name: str, words: str, choices: Iterable[str]) -> QueryParameter:
    return QueryParameter(name, words, {"type": "string", "enum": list(choices)})


_TIMEOUT = QueryParameter(
    "X-Timeout", "Seconds until 504", {"type": "number", "minimum": 0.001}, "header"
)
_LAST = QueryParameter(
    "Last-Event-ID",
    "Go on behind this id",
    {"type": "string", "pattern": "^[0-9]{1,9}-[0-9]{1,9}$"},
    "header",
)
_SEED = _number("seed", "The seed; the server's own if it is left out")
_QUALITY = _number("quality", "Of JPEG and WebP", 1, 100)
_FORMAT = _choice("format", "Of pictures", PICTURE_FORMATS)
_STREAM = (
    _SEED,
    _number("start", "The first index"),
    _number("count", "How many pictures; 0 for no end"),
    _number("fps", "Pictures a second at most; 0 for no limit", 0, 1000),
    _choice("overflow", "What happens if the client is slow", ("block", "drop_oldest", "latest")),
    _choice("format", "Of pictures, or arrays in events and lines", (*PICTURE_FORMATS, "npy")),
    _QUALITY,
    _LAST,
)
_BAD = (400, 401, 403, 404, 422, 503, 504)

ROUTES = (
    WebRoute(
        "POST",
        "/augment/{pipeline}",
        "augment",
        "Augment one or more pictures, and what is marked on them.",
        (
            _SEED,
            _number("index", "Which batch it stands for; it is drawn if it is left out"),
            _FORMAT,
            _QUALITY,
            _choice("bundle", "How several pictures are put together", BUNDLES),
            _TIMEOUT,
        ),
        (
            "image/jpeg",
            "image/png",
            "image/webp",
            "multipart/mixed",
            "application/zip",
            "application/json",
        ),
        (*_BAD, 413, 415),
    ),
    WebRoute(
        "GET",
        "/stream/{pipeline}",
        "stream",
        "The server's pictures, augmented, one after the other.",
        (*_STREAM, _choice("as", "In place of Accept", ("mixed", "events", "lines", "npy"))),
        (MIXED, EVENTS, LINES, ARRAYS),
        (*_BAD, 204, 406),
    ),
    WebRoute(
        "GET",
        "/dataset/{name}",
        "dataset",
        "A batch of a dataset, or, without index, what there is.",
        (
            _number("epoch", "Of the dataset"),
            _number("index", "The number of the batch in its epoch"),
            _choice("format", "Of pictures; arrays if it is left out", (*PICTURE_FORMATS, "npy")),
            _QUALITY,
            _TIMEOUT,
        ),
        ("multipart/mixed", "application/json"),
        (*_BAD, 304),
    ),
    WebRoute("GET", "/pipelines", "offers", "The names of all there is.", failures=(401, 403)),
    WebRoute("GET", "/healthz", "healthz", "Whether the server answers.", is_open=True),
    WebRoute(
        "GET", "/readyz", "readyz", "Whether all workers are up.", failures=(503,), is_open=True
    ),
    WebRoute(
        "GET",
        "/metrics",
        "metrics",
        "Figures for Prometheus.",
        answers=("text/plain",),
        failures=(401, 403, 501),
    ),
    WebRoute("GET", "/openapi.json", "openapi", "This document.", failures=(401, 403)),
)


def openapi(
    pipelines: Iterable[str], datasets: Iterable[str], limits: WebLimits, *, token: bool
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an app."""
    names = {"pipeline": sorted(pipelines), "name": sorted(datasets)}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names, token)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "aioaug", "version": "1", "description": _words_of(limits)},
        "paths": paths,
        "components": {"schemas": {"Problem": _PROBLEM}},
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "options": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "format, quality, and annotations: for each image an object of boxes, "
            "boxes_labels, keypoints, polygons, polygons_labels and mask",
        },
    },
    "additionalProperties": False,
}


def _operation(route: WebRoute, names: dict[str, list[str]], token: bool) -> dict[str, Any]:
    inside = [name for name in names if f"{{{name}}}" in route.path]
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", **({"enum": names[name]} if names[name] else {})},
        }
        for name in inside
    ]
    parameters += [
        {"name": each.name, "in": each.place, "description": each.words, "schema": each.schema}
        for each in route.parameters
    ]
    problems = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {
        "200": {"description": route.words, "content": {kind: {} for kind in route.answers}}
    }
    for status in sorted(route.failures):
        content = {} if status < 400 else {"content": problems}
        responses[str(status)] = {"description": "see its detail", **content}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.words,
        "parameters": parameters,
        "responses": responses,
    }
    if route.method == "POST":
        kinds = {"multipart/form-data": {"schema": _FORM}, "image/*": {}}
        operation["requestBody"] = {"required": True, "content": kinds}
    if token and not route.is_open:
        operation["security"] = [{"token": []}]
    return operation


def _words_of(limits: WebLimits) -> str:
    return (
        f"At most {limits.body:,} bytes, {limits.pictures} pictures and {limits.pixels:,} pixels "
        f"in a request, which takes at most {limits.timeout:g} s."
    )
