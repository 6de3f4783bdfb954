"""A function applied to every item of a batch, and the results put together.

What takes several calls is written once, for callers that block and for those that await: as a
generator of steps. It yields `Work` and gets the results, exceptions among them, or it yields a
single call, a function without arguments, and gets what that returns.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any, ParamSpec

from .._aio.tasks import finish, in_thread
from .._base.arguments import one_of, seconds_or_none, whole_or_none
from .._base.results import MISLEADING, plainly
from .._base.signatures import accepts
from ..engines import engine_class
from ..engines.shared import shared_engine
from ..errors import ParallelError
from .calls import BatchRandom, Call, Task, Work, run, run_async
from .components import items_of
from .expressions import draw, evaluate, of_items

# Its first letter is what a target goes by here.
_TARGETS = ("for", "threads", "mpc", "async", "f", "t", "m", "a")
# The arguments of a call: positional ones, and those by name.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Params = ParamSpec("Params")
Steps = Generator[Work | Callable[[], Any], Any, Any]


def drive(steps: Steps) -> Any:
    """Take the steps one after another, and make their calls; it blocks."""
    try:
        over, found = _next(steps, None)
        while not over:
            if isinstance(found, Work):
                found = found.results(run(found))
            elif inspect.isawaitable(found := plainly(found)):
                found = shared_engine().bridge.call(_awaited, found)
            over, found = _next(steps, found)
        return found
    except BaseException as error:
        steps.throw(error)  # they may hold a lock, or say where it came from
        raise


async def drive_async(steps: Steps) -> Any:
    """Take the steps in threads, since they load and copy, and await their calls.

    Cancelled, it waits for a step that has begun, which may be changing a batch. Calls that have
    not begun are dropped then, coroutines are cancelled, and the rest is abandoned.
    """

    def aside(fn: Callable[..., Any], *args: Any) -> Any:
        # In a thread of ours, exits and interrupts are nobody else's either.
        context = contextvars.copy_context()
        return in_thread(context.run, plainly, functools.partial(fn, *args), MISLEADING)

    try:
        over, found = await finish(aside(_next, steps, None))
        while not over:
            if isinstance(found, Work):
                found = found.results(await run_async(found))
            elif inspect.isawaitable(found := await aside(found)):
                found = await _awaited(found)
            over, found = await finish(aside(_next, steps, found))
        return found
    except BaseException as error:
        steps.throw(error)  # as there
        raise


def _next(steps: Steps, found: Any) -> tuple[bool, Any]:
    """Whether the steps are at their end, and the result or what is to be done next."""
    try:
        return False, steps.send(found)
    except StopIteration as end:
        return True, end.value


async def _awaited(found: Awaitable[Any]) -> Any:
    try:
        return await found
    except StopAsyncIteration as error:
        raise RuntimeError(f"StopAsyncIteration was raised: {error}") from error


def steps_of(function: Any) -> Callable[..., Steps]:
    """The steps that a function takes; of a plain one it is its call."""

    def steps(*args: Any, **kwargs: Any) -> Steps:
        return (yield functools.partial(function, *args, **kwargs))

    return getattr(function, "steps", steps)


def with_twin(steps: Callable[Params, Steps]) -> Callable[Params, Any]:
    """A function that takes these steps; as a method of a batch it has a twin that awaits them."""

    @functools.wraps(steps)
    def blocking(*args: Params.args, **kwargs: Params.kwargs) -> Any:
        return drive(steps(*args, **kwargs))

    async def twin(*args: Params.args, **kwargs: Params.kwargs) -> Any:
        return await drive_async(steps(*args, **kwargs))

    twin.__doc__, twin.__module__ = steps.__doc__, steps.__module__
    twin.__name__, twin.__qualname__ = f"{steps.__name__}_async", f"{steps.__qualname__}_async"
    both: Any = blocking
    both.twin, both.steps = twin, steps
    return both  # type: ignore[no-any-return]


def apply_steps(
    batch: Any,
    func: Any,
    /,
    init: Any = None,
    post: Any = None,
    src: Any = None,
    dst: Any = None,
    *args: Any,
    p: Any = None,
    target: Any = "for",
    requires_rng: bool = False,
    rng_seeds: Any = None,
    on_error: str = "raise",
    n_workers: int | None = None,
    timeout: float | None = None,
    engine: Any = None,
    **kwargs: Any,
) -> Steps:
    """The steps of `Batch.apply_parallel`, which see for the arguments."""
    skips = one_of("on_error", on_error, ("raise", "skip")) == "skip"
    target = target or batch.apply_defaults.get("target", "for")
    how = call_options(target, n_workers, timeout, engine)
    how["labels"] = batch.indices
    init = batch.apply_defaults.get("init") if init is None else init
    init = None if isinstance(init, str) and init == "data" else init
    func, args, kwargs = evaluate((func, args, kwargs), batch)
    if not callable(func):
        raise TypeError(f"func must be callable, got {func!r}")
    p, seeds = draw(batch, p, requires_rng, evaluate(rng_seeds, batch))
    post = post or batch.apply_defaults.get("post") or "_assemble"
    if skips and (init is not None or post != "_assemble"):
        raise ValueError("on_error='skip' is for the items of the batch, without init and post")
    post = _named(batch, "post", post)
    failed: dict[int, Exception] = {}
    path = batch._random.next_path()
    result: Any = batch
    pairs, several = _pairs(batch, src, dst, init)
    for src, dst in pairs:
        given = {"src": src, "dst": dst}
        task = Task(func, {name: given[name] for name in given if accepts(func, name)}, *path)
        if init is None:
            elements: list[Arguments] = [((item,), {}) for item in items_of(batch, src)]
        else:
            init = getattr(batch, init) if isinstance(init, str) else init
            elements = list(_elements(init, **given, p=p, target=how["place"], **kwargs))
        results = yield _work(task, elements, args, kwargs, p, seeds, **how)
        if skips:
            results = _stood_in_for(results, failed)
        result = post(results, **given, **kwargs)
    if failed:
        batch._leave_out(failed)
    return batch if several else result


def _stood_in_for(results: list[Any], failed: dict[int, Exception]) -> list[Any]:
    """The results, with one that worked in the place of each that failed."""
    errors = _failures(results)
    if len(errors) == len(results):
        return results
    failed |= errors
    worked = next(result for n, result in enumerate(results) if n not in errors)
    return [worked if n in errors else result for n, result in enumerate(results)]


def inbatch_steps(
    batch: Any,
    function: Callable[..., Any],
    given: dict[str, Any],
    /,
    *args: Any,
    target: Any = None,
    debug: bool | None = None,
    n_workers: Any = None,
    timeout: Any = None,
    engine: Any = None,
    **kwargs: Any,
) -> Steps:
    """The steps of a method with `inbatch_parallel`; `given` are the decorator's arguments."""
    target = given["target"] if target is None else target
    how = call_options(target, n_workers, timeout, engine)
    how["debug"] = given["debug"] if debug is None else debug
    args, kwargs = evaluate((args, kwargs), batch)
    passed = given["extra"] | kwargs
    if given["init"] is None:
        raise ValueError("init must not be None")
    init, post = (_named(batch, name, given[name]) for name in ("init", "post"))
    how["labels"] = () if batch is None else batch.indices
    random = BatchRandom() if batch is None else batch._random
    task, elements = Task(function, {}, *random.next_path()), [*_elements(init, *args, **passed)]
    results = yield _work(task, elements, args, kwargs, None, None, **how)
    if post is not None:
        return post(results, *args, **passed)
    raise_failures(results, "Parallel action failed")
    return batch


def call_options(
    target: Any, n_workers: Any = None, timeout: Any = None, engine: Any = None
) -> dict[str, Any]:
    """How calls are to be made, by name, the target by its letter."""
    letter = str(one_of("target", target, _TARGETS))[0]
    if engine is not None and letter != "m":
        raise ValueError(f"engine={engine!r} needs target='mpc', got {target!r}")
    if engine is not None and getattr(engine_class(engine), "has_a_loop", False):
        raise ValueError(
            f"engine={engine!r}: its client is on an event loop of yours, and batches have workers "
            "on another one; give it the scheduler's address in place of the client"
        )
    workers = whole_or_none("n_workers", n_workers, low=1)
    limit = seconds_or_none("timeout", timeout)
    return {"place": letter, "n_workers": workers, "timeout": limit, "engine": engine}


def raise_failures(results: Sequence[Any], message: str) -> None:
    """Raise `ParallelError` from the first exception among the results, if there is one."""
    if errors := _failures(results):
        raise ParallelError(message, errors) from next(iter(errors.values()))


def _failures(results: Sequence[Any]) -> dict[int, Exception]:
    return {n: result for n, result in enumerate(results) if isinstance(result, Exception)}


def _pairs(batch: Any, src: Any, dst: Any, init: Any) -> tuple[Sequence[tuple[Any, Any]], bool]:
    """The sources and where their results go, and whether there may be several."""
    if src is None and init is None:
        src = batch.apply_defaults.get("src")
        if src is None and batch.components is not None:
            src = list(batch.components) if dst is None else batch.components
    if not isinstance(src, list):
        return [(src, dst)], False
    dst = src if dst is None else dst
    if not isinstance(dst, list) or len(src) != len(dst):
        raise ValueError(f"src and dst must be lists of equal length, got {src} and {dst!r}")
    return list(zip(src, dst, strict=True)), True


def _named(batch: Any, argument: str, value: Any) -> Any:
    """What an `init` or a `post` stands for: a name is of an attribute of the batch."""
    if not isinstance(value, str):
        return value
    try:
        return getattr(batch, value)
    except AttributeError as error:
        raise ValueError(f"{argument}={value!r} is no attribute of {type(batch)}") from error


def _elements(init: Any, *args: Any, **passed: Any) -> Iterator[Arguments]:
    """The arguments that each element of `init` stands for."""
    for element in init(*args, **passed) if callable(init) else init:
        if isinstance(element, tuple) and [type(part) for part in element] == [tuple, dict]:
            yield element[0], dict(element[1])
        elif isinstance(element, dict):
            yield (), dict(element)
        else:
            yield tuple(element) if isinstance(element, list | tuple) else (element,), {}


def _work(
    task: Task, elements: list[Arguments], args: Any, kwargs: Any, p: Any, seeds: Any, **how: Any
) -> Work:
    """A call for each element that is drawn, with its own of the values of each `P`."""
    count = len(elements)
    each_args = [of_items(f"argument {n}", value, count) for n, value in enumerate(args)]
    each_kwargs = {name: of_items(name, value, count) for name, value in kwargs.items()}
    chosen = of_items("p", 1 if p is None else p, count, more=True)
    seeds = of_items("rng_seeds", seeds, count, more=True)
    calls, passthrough = [], {}
    for position, (first, own) in enumerate(elements):
        if chosen[position]:
            all_args = first + tuple(values[position] for values in each_args)
            all_kwargs = own | {name: values[position] for name, values in each_kwargs.items()}
            seed = seeds[position]
            calls.append(Call(position, all_args, all_kwargs, None if seed is None else int(seed)))
        else:
            passthrough[position] = first[0] if first else None
    if task.is_async:
        how["place"] = "a"
    return Work(task, calls, passthrough, **how)
