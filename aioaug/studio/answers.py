"""Endpoints whose errors are answers that say what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from ..errors import BatchTimeout, WorkerDied
from ..web.problems import problem, problem_of

Endpoint = Callable[[Request], Awaitable[Response]]


def answering(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose errors are answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BatchTimeout as error:  # it would take as long again
            return problem(422, f"it took too long: {error}")
        except WorkerDied as error:
            return problem(422, f"the worker died of it: {error}")
        except KeyError:
            return problem(404, "that picture is no longer there; drop it in again")
        except Exception as error:
            found = problem_of(error)
            if found is not None:
                return found
            text = " ".join(str(error).split())  # what the pipeline or a file made of it
            return problem(422, text or type(error).__name__)

    return answer
