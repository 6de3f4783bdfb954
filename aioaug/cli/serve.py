"""`aioaug serve`: the studio, a page on which pipelines are looked at and changed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._base.optional import need
from ..augmenters import specs
from ..augmenters.presets import PRESETS
from ..data.opening import FORMATS
from . import console
from .exits import CommandError, Exit, Interrupted
from .interrupts import run_interruptibly
from .options import PATH, workers_option

if TYPE_CHECKING:
    from ..studio import PipelineSpec

_PATIENCE = 2  # seconds that answers under way have when the server stops


@click.command(short_help="Look at pipelines in a browser.")
@click.argument("pipeline", nargs=-1)
@click.option("--images", "source", type=PATH, required=True, help="A folder or a dataset.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("auto", *FORMATS, "folder")),
    default="auto",
    show_default=True,
    help="Of the labels in it.",
)
@click.option("--image-folder", type=PATH, help="The folder of COCO and VIA names.")
@click.option("--split", help="Only this one, such as train.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at; all but loopback is open to the network.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0 takes any that is free.",
)
@click.option("--allow-host", multiple=True, help="A name that this server is reached by.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=60,
    show_default=True,
    help="Seconds that a worker may take for one picture or batch.",
)
@workers_option  # fmt: skip
def serve(
    pipeline: tuple[str, ...],
    source: Path,
    kind: str,
    image_folder: Path | None,
    split: str | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    timeout: float,
    workers: int | None,
) -> int:
    """Serve the studio: see what each PIPELINE does, and change it with sliders.

    A PIPELINE is the name of a preset, FILE.py:NAME or MODULE:NAME; all presets, if there is none.
    The page is for this machine only, unless --host says otherwise.
    """
    uvicorn = need("uvicorn", extra="web")
    studio = need("aioaug.studio", extra="web")
    named = _named(studio.PipelineSpec, pipeline or tuple(PRESETS))
    try:
        opened = studio.open_pictures(source, kind, split, image_folder)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    app = studio.create_studio(
        named, opened, workers=workers, timeout=timeout, hosts=(host, *allow_host)
    )
    listening = _listen(host, port)
    config = uvicorn.Config(
        app, log_level="warning", lifespan="on", timeout_graceful_shutdown=_PATIENCE
    )
    with contextlib.closing(listening):
        _tell_address(listening, host)
        if not studio.is_loopback(host):
            console.say(f"everybody who can reach {host} can use this page and see the pictures")
        try:
            run_interruptibly(_serve(uvicorn, config, listening))
        except Interrupted as interrupted:
            console.say("stopped")
            return Exit.FINE if interrupted.number == 2 else interrupted.code
    return Exit.FINE


async def _serve(uvicorn: Any, config: Any, listening: socket.socket) -> None:
    """Serve until this is cancelled; then end in good order."""

    class StudioServer(uvicorn.Server):  # type: ignore[misc]
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # the command line has handlers of its own

    server = StudioServer(config)
    serving = asyncio.ensure_future(server.serve([listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        config.app.state.studio.end_streams()
        server.should_exit = True
        await serving
        raise


def _named(
    make: Callable[[str, str], PipelineSpec], pipelines: Sequence[str]
) -> dict[str, PipelineSpec]:
    named: dict[str, PipelineSpec] = {}
    for given in pipelines:
        spec = specs.check(f"preset:{given}" if given in PRESETS else given)
        name = spec.rpartition(":")[2]
        number, free = 1, name
        while free in named:
            number += 1
            free = f"{name} ({number})"
        named[free] = make(spec, specs.fingerprint(spec))
    return named


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandError(f"{host}:{port} cannot be listened at: {why}; try --port 0") from error


def _tell_address(listening: socket.socket, host: str) -> None:
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    console.tell(f"http://{shown}:{port}/")
