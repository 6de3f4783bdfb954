"""Copies of tensors to a device, which go on while the program does something else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch


class Streams(Protocol):
    """What a device has for work that goes on beside other work, as `torch.cuda` has it."""

    pins: bool

    def side(self) -> Any:
        """A new stream, beside the one in which the program computes."""

    def use(self, stream: Any) -> AbstractContextManager[Any]:
        """Have what is begun in the block be done in this stream."""

    def record(self, stream: Any) -> Any:
        """An event that passes when all that this stream has been given is done."""

    def has_passed(self, event: Any) -> bool:
        """Whether an event has passed; it does not wait."""

    def wait_for(self, event: Any, tensors: Sequence[Any]) -> None:
        """Have the stream in which the program computes begin nothing more before an event.

        The tensors, which were made in another stream, are used in that one from now on.
        """


class CudaStreams:
    """Those of a CUDA device."""

    pins = True

    def __init__(self, device: Any) -> None:
        self._device = device

    def side(self) -> Any:
        return torch.cuda.Stream(self._device)

    def use(self, stream: Any) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = torch.cuda.stream(stream)
        return context

    def record(self, stream: Any) -> Any:
        return stream.record_event()

    def has_passed(self, event: Any) -> bool:
        return bool(event.query())

    def wait_for(self, event: Any, tensors: Sequence[Any]) -> None:
        present = torch.cuda.current_stream(self._device)
        present.wait_event(event)
        for tensor in tensors:
            # Else its memory could be used again while the present stream still reads it.
            tensor.record_stream(present)


def streams_of(device: Any) -> Streams | None:
    """The streams of a device; `None` where copies are made at once."""
    return CudaStreams(device) if device.type == "cuda" else None


class DeviceCopier:
    """Copies tensors to a device, and keeps what a copy reads from until it is made.

    Args:
        device: where to.
        pin_memory: copy by way of pinned memory, from which the device reads by itself; `None`
            does so where the device can.
        streams: those of the device; `None` copies at once.
    """

    def __init__(self, device: Any, pin_memory: bool | None, streams: Streams | None) -> None:
        self._device = device
        self._streams = streams
        self._pins = (streams is not None and streams.pins) if pin_memory is None else pin_memory
        self._side = None if streams is None else streams.side()
        self._lock = threading.Lock()
        self._reading: deque[tuple[Any, list[Any]]] = deque()  # events, and what is copied

    def copy(
        self, sources: list[Any], finish: Callable[[list[Any]], list[Any]]
    ) -> tuple[list[Any], Any]:
        """Begin to copy, and to do what `finish` does with the copies; with the event of its end.

        What is pinned is copied to pinned memory here. So the memory of `sources` is free at once
        then, and otherwise when the event has passed.
        """
        if self._streams is None:
            return finish([source.to(self._device) for source in sources]), None
        staged = [source.pin_memory() if self._pins else source for source in sources]
        with self._streams.use(self._side):
            copies = finish([source.to(self._device, non_blocking=True) for source in staged])
            event = self._streams.record(self._side)
        with self._lock:
            self._reading.append((event, staged))
        self.let_go()
        return copies, event

    def let_go(self) -> None:
        """Keep no longer what was copied from by now."""
        if self._streams is None:
            return
        with self._lock:
            while self._reading and self._streams.has_passed(self._reading[0][0]):
                self._reading.popleft()

    def hand_out(self, tensors: list[Any], event: Any) -> None:
        """Have the program's own stream wait for the copies that it is about to use."""
        if self._streams is not None and event is not None:
            self._streams.wait_for(event, tensors)
        self.let_go()
