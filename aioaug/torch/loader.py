"""`Loader`: what `torch.utils.data.DataLoader` is for, with the workers of a pool."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch.utils.data import IterableDataset, get_worker_info

from .._aio.bridge import BlockingBridge
from .._aio.tasks import warn_of_drop
from .._base.arguments import shard_or_default, whole, whole_or_none
from ..data.fitting import Interpolation
from ..data.items import Fetch, as_it_is
from ..data.samples import PictureDataset
from .epoch_run import EpochBatches, EpochRun, in_workers
from .epochs import ItemBatches, Numbered, Share

_OURS = ("augseq", "seed", "load", "dump")


class Loader(IterableDataset):  # type: ignore[misc]
    """Batches of tensors, loaded and augmented by worker processes, epoch after epoch.

    `for images, labels in loader` blocks, as with `DataLoader`, and `async for` does not. Each loop
    is an epoch. The workers go on meanwhile, also over the end of an epoch. Batches are the same
    for the same seed, whatever the number of workers, and where ranks work side by side, all of
    them together have the batches of a single run, to the byte.

    `state_dict` and `load_state_dict` are those of torchdata's `StatefulDataLoader`: a run goes on
    in the middle of an epoch, also in another process or with other numbers of workers. What was
    fetched, but not given to the loop, is fetched again.

    It is an `IterableDataset`, too: where a framework wants a `DataLoader`, give it
    `DataLoader(loader, batch_size=None)`, with no workers of its own.

    Args:
        dataset: a dataset of `aioaug.data`; or anything with `len` and items by number, such as a
            `Dataset` of PyTorch. That is pickled once for each worker, which fetches the items.
        augseq: any augmenter that a pool takes; `None` changes nothing.
        batch_size: how many items a batch has; `None` if items are batches.
        shuffle: take another order in each epoch, which follows from `seed` and the epoch.
        seed: of the order and of the augmenter; `None` draws one, but ranks have to be given one.
        drop_last: leave out a last batch that is not full, and what ranks cannot divide; otherwise
            the first batches of the epoch come again, so that all ranks have equally many.
        processes: the number of workers, as for `AsyncPool`.
        device, dtype, layout, mean, std, pin_memory, prefetch: as for `tensors`. On the CPU the
            workers compute, so that what they send is what the loop gets.
        output_buffer_size: as for `AsyncPool.imap_batches`.
        persistent: keep the workers between epochs; else they end with each.
        shard: `(rank, world_size)`; `None` takes those of `torch.distributed`, if it is initialised
            when the first batch or `len` is asked for.
        resize, pad, interpolation: of `PictureDataset.batches`, for pictures of several sizes.
        collate: makes a batch of a list of items, in the worker; `None` stacks arrays and numbers.
        options: those of `AsyncPool`, such as `timeout` and `on_error="raise"`.

    Batches are what the augmenter returns; for datasets of `aioaug.data` they are tuples
    `(images, labels)`.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: it is used in a worker of a `DataLoader`, each of which would have everything.

    Example::

        loader = aioaug.torch.Loader(dataset, augmenter, 64, shuffle=True, dtype=torch.float32)
        for epoch in range(10):
            for images, labels in loader:
                step(images, labels)
    """

    def __init__(
        self,
        dataset: Any,
        augseq: Any = None,
        batch_size: int | None = 1,
        *,
        shuffle: bool = False,
        seed: int | None = 0,
        drop_last: bool = False,
        processes: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        layout: str | None = "NCHW",
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        pin_memory: bool | None = None,
        prefetch: int = 1,
        output_buffer_size: Any = "auto",
        persistent: bool = True,
        shard: tuple[int, int] | None = None,
        resize: tuple[int, int] | None = None,
        pad: int | tuple[int, int, int] | None = None,
        interpolation: Interpolation | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        **options: Any,
    ) -> None:
        taken = [name for name in _OURS if name in options]
        if taken or options.get("on_error", "raise") == "skip":
            raise TypeError(f"a Loader has no option {taken[0] if taken else 'on_error=skip'}")
        seed = secrets.randbits(31) if seed is None else whole("seed", seed, low=0, high=2**31 - 1)
        batch_size = whole_or_none("batch_size", batch_size, low=1)
        self.batch_size, self.seed, self.persistent = batch_size, seed, persistent
        fit = {"resize": resize, "pad": pad, "interpolation": interpolation}
        self._batches, load = _batches_of(
            dataset, batch_size, shuffle, seed, drop_last, fit, collate
        )
        self._drop_last = drop_last
        self._shard = None if shard is None else shard_or_default("shard", shard)
        self._share: Share | None = None
        form = {"layout": layout, "mean": mean, "std": std}
        dump, form = in_workers(device, dtype, form)
        how = {**form, "device": device, "pin_memory": pin_memory, "prefetch": prefetch}
        pool = {"processes": processes, "seed": seed, "load": load, "dump": dump, **options}
        augmenter = as_it_is if augseq is None else augseq
        self._make_run: Callable[[], EpochRun] = partial(
            EpochRun, augmenter, pool, output_buffer_size, how
        )
        self._make_run().check()
        self._epoch = self._batch = 0
        self._is_set = True  # whether the next loop begins where these say
        self._run: EpochRun | None = None
        self._bridge: BlockingBridge | None = None
        self._async_run: EpochRun | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._batches.per_epoch} batches of {self.batch_size} "
            f"an epoch, epoch={self._epoch} batch={self._batch} seed={self.seed}>"
        )

    def __len__(self) -> int:
        """How many batches an epoch has here."""
        return self.share.per_epoch

    @property
    def share(self) -> Share:
        """Which batches are those of this rank."""
        if self._share is None:
            shard = self._shard or _distributed()
            self._share = Share(self._batches, *shard, self._drop_last)
            if not self._share.per_epoch:
                raise ValueError(
                    f"there are {self._batches.per_epoch} batches an epoch, too few for {shard[1]} "
                    "ranks: set drop_last=False, or take a smaller batch_size"
                )
        return self._share

    def set_epoch(self, epoch: int) -> None:
        """Have the next loop be this epoch, from its start.

        If a state was loaded that is in the middle of this epoch, the loop goes on there.
        """
        epoch = whole("epoch", epoch, low=0)
        if not (self._is_set and epoch == self._epoch):
            self._epoch, self._batch = epoch, 0
        self._is_set = True

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is, at any time: ready for JSON, and for `torch.save`."""
        epoch, batch = self._epoch, self._batch
        if batch == len(self):
            epoch, batch = epoch + 1, 0
        return {
            "epoch": epoch,
            "batch": batch,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "batches": self._batches.per_epoch,
            "world_size": self.share.world_size,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Have the next loop go on where another loader was; `ValueError` if that had other data.

        With another number of ranks it goes on if they have had full rounds of batches.
        """
        own = self.state_dict()
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(own):
            raise ValueError(f"state_dict must be what state_dict() returned, got {state_dict!r}")
        for name in ("seed", "batch_size", "batches"):
            if state_dict[name] != own[name]:
                raise ValueError(
                    f"the state is of a loader with {name}={state_dict[name]}, this one has "
                    f"{own[name]}"
                )
        done = state_dict["batch"] * state_dict["world_size"]
        batch, rest = divmod(done, own["world_size"])
        if rest:
            raise ValueError(
                f"the state is after {done} batches of {state_dict['world_size']} ranks, which "
                f"{own['world_size']} ranks cannot have divided: go on from the start of an epoch"
            )
        self._epoch, self._batch, self._is_set = state_dict["epoch"], batch, True

    def __iter__(self) -> Iterator[Any]:
        """The batches of an epoch; blocks until each is there."""
        self._begin()
        if self._run is None or self._bridge is None:
            self._run = self._make_run()
            self._bridge = BlockingBridge(type(self).__name__, self._run)
        run, bridge = self._run, self._bridge
        try:
            while self._batch < len(self):
                batch = bridge.call(run.batch, self.share, self._position)
                self._batch += 1
                yield batch
            self._end_epoch()
        finally:
            if not self.persistent:
                self.close()

    def __aiter__(self) -> EpochBatches:
        """The same under an event loop, to which the workers then belong."""
        return EpochBatches(self._begin_async, self._next_async, self._left_async)

    def _begin_async(self) -> EpochRun:
        self._begin()
        if self._async_run is None:
            self._async_run = self._make_run()
        return self._async_run

    async def _next_async(self, run: EpochRun) -> Any:
        if self._async_run is not run:  # the loader was closed in the middle of the loop
            raise StopAsyncIteration
        if self._batch >= len(self):
            self._end_epoch()
            raise StopAsyncIteration
        batch = await run.batch(self.share, self._position)
        self._batch += 1
        return batch

    def _left_async(self, run: EpochRun) -> bool:
        """Whether the workers end with an epoch; then the next loop starts others."""
        if not self.persistent and self._async_run is run:
            self._async_run = None
        return not self.persistent

    def close(self) -> None:
        """End the workers of blocking loops. Idempotent; the next loop starts others."""
        bridge, run, self._bridge = self._bridge, self._run, None
        if bridge is not None and run is not None:
            bridge.end(run.aclose)

    async def aclose(self) -> None:
        """End the workers of `async for`. Idempotent; the next loop starts others."""
        run, self._async_run = self._async_run, None
        if run is not None:
            await run.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        bridge, run = self.__dict__.get("_bridge"), self.__dict__.get("_run")
        if bridge is not None and run is not None:
            bridge.end_dropped(run.aclose)
        run = self.__dict__.get("_async_run")
        if run is not None and run.is_open:
            run.drop()
            warn_of_drop(self, "'async with' or aclose()")

    @property
    def _position(self) -> int:
        return self._epoch * len(self) + self._batch

    def _begin(self) -> None:
        if get_worker_info() is not None:
            raise RuntimeError(
                "a Loader has workers of its own, and each worker of a DataLoader would have all "
                "of its batches: give the DataLoader num_workers=0"
            )
        if not self._is_set and self._batch:  # the last loop was left
            self._end_epoch()
        self._is_set = False

    def _end_epoch(self) -> None:
        self._epoch, self._batch = self._epoch + 1, 0


def _batches_of(
    dataset: Any,
    batch_size: int | None,
    shuffle: bool,
    seed: int,
    drop_last: bool,
    fit: dict[str, Any],
    collate: Any,
) -> tuple[Numbered, Any]:
    """The batches that go to workers, and what these do with them first."""
    if isinstance(dataset, PictureDataset):
        if batch_size is None or collate is not None:
            raise ValueError("a dataset of aioaug.data needs a batch_size, and takes no collate")
        chosen = {name: value for name, value in fit.items() if value is not None}
        batches = dataset.batches(
            batch_size, shuffle=shuffle, seed=seed, epochs=None, drop_last=drop_last, **chosen
        )
        return batches, None
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "dataset must have len() and items by number, got "
            f"{type(dataset).__name__}; for a source without end there is aioaug.torch.tensors"
        )
    if any(value is not None for value in fit.values()):
        raise ValueError("resize, pad and interpolation are for datasets of aioaug.data")
    items = ItemBatches(len(dataset), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)
    return items, Fetch(dataset, collate)


def _distributed() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
