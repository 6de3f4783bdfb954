"""What may be wrong with a request: a status, and words for it (RFC 9457, problem+json)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import AioaugError, BatchTimeout, ClosedError, LimitError, PoolBusy

_RETRY_AFTER = "1"
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": _RETRY_AFTER}}
CLIENT_GONE = 499  # as nginx calls it; nobody is there to read it


class RequestRefused(AioaugError):
    """A request cannot be answered; `status` is that of HTTP, `detail` says why. It pickles."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class ClientGone(HTTPException):
    """The client went away while its request was worked on. Frameworks answer it with 499."""

    def __init__(self) -> None:
        super().__init__(CLIENT_GONE, "the client has gone")


def problem(
    status: int, detail: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A response that says what is wrong, as problem+json."""
    if status < 400:
        return Response(status_code=status, headers=headers)
    about = {"type": "about:blank", "title": _title(status), "status": status}
    content = {**about, **({"detail": detail} if detail else {}), **more}
    return Response(json.dumps(content), status, headers, "application/problem+json")


def problem_of(error: BaseException) -> Response | None:
    """The response to a request whose work raised this; `None` for what is a fault of the server.

    `PoolBusy` is 503 with `Retry-After`, `BatchTimeout` and `TimeoutError` are 504.
    """
    if isinstance(error, RequestRefused):
        return problem(error.status, error.detail, _HEADERS.get(error.status))
    if isinstance(error, PoolBusy | LimitError):
        return problem(503, str(error).partition("\n")[0], {"Retry-After": _RETRY_AFTER})
    if isinstance(error, ClosedError):
        return problem(503, "the server is stopping", {"Retry-After": _RETRY_AFTER})
    if isinstance(error, BatchTimeout):
        return problem(504, "augmenting it takes too long")
    if isinstance(error, TimeoutError):
        return problem(504, "it was not ready in the time that was given")
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))
    return None


def _title(status: int) -> str:
    if status == CLIENT_GONE:
        return "Client Closed Request"
    return HTTPStatus(status).phrase
