"""imgaug's two shortcuts in async form, and a way to run a program on the fastest loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .augmenters import batch_forms
from .augmenters.kinds import is_imgaug
from .pool import AsyncPool
from .streams import BatchStream

T = TypeVar("T")


def augmenter_pool(
    augseq: Any,
    processes: int | None = None,
    maxtasksperchild: int | None = None,
    seed: int | None = None,
    **options: Any,
) -> AsyncPool:
    """`AsyncPool(augseq, ...)`, as imgaug's `augseq.pool(...)` is for its own pool."""
    return AsyncPool(augseq, processes, maxtasksperchild, seed, **options)


def augment_batches(
    augseq: Any, batches: Any, background: bool = True, *, seed: int | None = None, **options: Any
) -> BatchStream:
    """Augment one batch or a source of them with a pool made for it; iterate over the result.

    With `background` it uses worker processes on all cores, otherwise one thread. Order is kept,
    and memory is bounded as by `output_buffer_size="auto"` of `AsyncPool.imap_batches`. The pool
    ends with the stream. `options` are those of `AsyncPool`.

    Example::

        batches_aug = [batch async for batch in aioaug.augment_batches(seq, batches)]
    """
    if not background:
        options = {"engine": "thread", "processes": 1, **options}
    own = AsyncPool(augseq, seed=seed, **options)
    if is_imgaug(augseq) and batch_forms.is_batch(batches):
        batches = [batches]
    return own.owned_stream(batches, "auto")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Like `asyncio.run`, on uvloop where it is installed."""
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError(
            "aioaug.run() starts an event loop, and one runs here already, as in a notebook: "
            "write 'await main()' instead of 'aioaug.run(main())'"
        )
    try:
        import uvloop
    except (ImportError, RuntimeError):  # at the exit of a program it can no longer be loaded
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(main)
