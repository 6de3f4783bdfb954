"""`tensors`: the batches of a stream as tensors, on the device where a model is."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .._aio.tasks import AsyncBatches
from ..augmenters.array_format import ArrayFormat, with_images
from ..converting import ConvertedStream
from ..prefetching import PrefetchedStream
from .device_copies import DeviceCopier, streams_of

DTYPES = {torch.float16: "float16", torch.float32: "float32", torch.float64: "float64"}
_NUMBERS = "biufc"


def tensors(
    stream: Any,
    *,
    device: Any = None,
    dtype: torch.dtype | None = None,
    layout: str | None = "NCHW",
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    pin_memory: bool | None = None,
    prefetch: int = 1,
) -> TensorStream:
    """The batches of a stream as tensors of PyTorch, in the layout, dtype and range of a model.

    Batches keep their form. Images, labels and all other numbers become tensors: arrays, lists of
    numbers, and what is in tuples, mappings, named tuples and dataclasses; strings and what has no
    numbers stay. Tensors have the memory of the arrays where nothing has to be computed, as for
    `dtype=None`: images for "NCHW" are (N,C,H,W) with the strides of `channels_last` then. A
    segment of shared memory is used again when nothing refers to the storage of its tensors.

    Otherwise images are computed as `ArrayFormat` says, once: on the CPU in one pass, in a thread;
    on another device, by the device, after the copy. To have it done by the workers, give the pool
    `dump=ArrayFormat("NCHW", "float32", mean, std)`, and `layout=None` here.

    For a CUDA device, batches are copied to pinned memory and from there, without blocking, in a
    stream beside that of the program, which waits for a copy on the device where it uses it. This
    was tested with a stand-in for the device's streams only.

    Order, errors, bounds and the end are those of the stream, which is closed together with what
    this returns. A request that is cancelled loses no batch.

    Args:
        stream: a `BatchStream`, or any other async iterator of batches.
        device: where tensors go; `None` is the CPU.
        dtype: of floats; `None` is float32 where there is a mean or a standard deviation, and else
            that of the images.
        layout: "NCHW" or "NHWC"; `None` leaves the axes as they are.
        mean, std: of values from 0 to 1; for all channels, or one number for each.
        pin_memory: `None` pins for a CUDA device.
        prefetch: how many batches are fetched and copied while the loop's body runs; 0 is none.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: PyTorch has no such device.

    Example::

        async with aioaug.torch.tensors(pool.imap_batches(source), dtype=torch.float32) as batches:
            async for images, labels in batches:
                step(images, labels)
    """
    target = None if device is None else torch.device(device)
    copier = None
    if target is not None and target.type != "cpu":
        copier = DeviceCopier(target, pin_memory, streams_of(target))
    maker = TensorMaker(layout, dtype, mean, std, copier, pin=bool(pin_memory))
    converted = ConvertedStream(stream, maker, in_thread=maker.takes_long)
    return TensorStream(PrefetchedStream(converted, prefetch) if prefetch else converted, copier)


class _Made(NamedTuple):
    batch: Any
    tensors: list[Any]
    event: Any


class TensorMaker:
    """Makes tensors of the numbers in a batch; with a copier, on its device."""

    def __init__(
        self,
        layout: str | None,
        dtype: torch.dtype | None,
        mean: float | Sequence[float] | None,
        std: float | Sequence[float] | None,
        copier: DeviceCopier | None,
        *,
        pin: bool,
    ) -> None:
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"dtype must be one of PyTorch's floats, or None, got {dtype!r}")
        # NumPy has no bfloat16: it is made of float32.
        host = None if dtype is None else DTYPES.get(dtype, "float32")
        self._form = ArrayFormat(layout, host, mean, std)
        self._dtype = torch.float32 if dtype is None and self._form.computes else dtype
        self._copier = copier
        self._pin = pin and copier is None

    @property
    def takes_long(self) -> bool:
        """Whether it computes or copies, so that it has to be done in a thread."""
        return self._form.computes or self._copier is not None or self._pin

    def __call__(self, batch: Any) -> _Made:
        """The batch with tensors, all of them in a list, and the event of their copies' end."""
        if self._copier is None:
            done = _with_tensors(self._form(batch), self._host)
            return _Made(done, [], None)
        # The device turns and computes; what goes there has as few bytes as possible.
        found: list[Any] = []
        of_images: list[Any] = []

        def noted_images(images: Any) -> Any:
            of_images.append(_tensor_of(np.asarray(ArrayFormat(None).images(images))))
            return of_images[0]

        def noted(tensor: Any) -> Any:
            found.append(tensor)
            return tensor

        taken = _with_tensors(with_images(batch, noted_images), noted)

        def finish(copies: list[Any]) -> list[Any]:
            return [
                self._computed(tensor) if source is of_images[0] else tensor
                for source, tensor in zip(found, copies, strict=True)
            ]

        copies, event = self._copier.copy(found, finish)
        made = {id(source): tensor for source, tensor in zip(found, copies, strict=True)}
        return _Made(_with_tensors(taken, lambda tensor: made[id(tensor)]), copies, event)

    def _host(self, tensor: Any) -> Any:
        if self._dtype is not None and self._dtype not in DTYPES and tensor.dtype == torch.float32:
            tensor = tensor.to(self._dtype)
        return tensor.pin_memory() if self._pin else tensor

    def _computed(self, images: Any) -> Any:
        """The images in the format, computed where they are; (N,H,W) has one channel."""
        form = self._form
        if form.layout == "NCHW":
            images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        if self._dtype is None:
            return images
        shape = (-1, 1, 1) if form.layout == "NCHW" else (-1,)
        numbers = {"dtype": torch.float32, "device": images.device}
        highest = 1.0 if images.dtype.is_floating_point else float(torch.iinfo(images.dtype).max)
        factor = torch.as_tensor(1 / (highest * form.std), **numbers).reshape(shape)
        shift = torch.as_tensor(-form.mean / form.std, **numbers).reshape(shape)
        values = images.to(torch.float32, memory_format=torch.contiguous_format)
        return values.mul_(factor).add_(shift).to(self._dtype)


class TensorStream(AsyncBatches):
    """What `tensors` returns: batches of tensors, taken with `async for`."""

    def __init__(
        self, made: PrefetchedStream | ConvertedStream, copier: DeviceCopier | None
    ) -> None:
        self.source = made
        self._copier = copier

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.source!r}>"

    def state(self) -> dict[str, Any]:
        """`BatchStream.state()`, where batches count as delivered when this has handed them out."""
        return self.source.state()

    async def __anext__(self) -> Any:
        made = await anext(self.source)
        if self._copier is not None:
            self._copier.hand_out(made.tensors, made.event)
        return made.batch

    async def aclose(self) -> None:
        """End this and the stream now. Idempotent; when cancelled it still ends them first."""
        await self.source.aclose()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()


def _with_tensors(value: Any, change: Callable[[Any], Any]) -> Any:
    """A batch, or a part of one, with tensors in the place of numbers, as `change` returns them."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, np.ndarray):
        return change(_tensor_of(value)) if value.dtype.kind in _NUMBERS else value
    if (
        isinstance(value, list)
        and value
        and all(type(each) in (bool, int, float) for each in value)
    ):
        return change(torch.tensor(value))
    if isinstance(value, tuple):
        items = [_with_tensors(item, change) for item in value]
        return type(value)._make(items) if hasattr(value, "_make") else type(value)(items)
    if isinstance(value, list):
        return [_with_tensors(item, change) for item in value]
    if isinstance(value, Mapping):
        return {key: _with_tensors(item, change) for key, item in value.items()}
    if hasattr(value, "images_aug"):
        done = copy.copy(value)
        done.images_aug = _with_tensors(value.images_aug, change)
        return done
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        done = copy.copy(value)
        for field in dataclasses.fields(value):
            part = _with_tensors(getattr(value, field.name), change)
            object.__setattr__(done, field.name, part)  # it may be frozen
        return done
    return value


def _tensor_of(array: Any) -> Any:
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or min(array.strides, default=0) < 0:
        array = array.copy()  # tensors are always writable, and have no negative strides
    return torch.from_numpy(array)
