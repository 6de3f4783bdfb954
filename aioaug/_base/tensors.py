"""How tensors of PyTorch are pickled: their memory is a buffer, which need not be copied.

PyTorch itself writes a storage into the pickle, by way of a file in memory. Here it is left beside
the pickle, as NumPy does with its arrays. Nothing is imported for that: where there are tensors,
there is PyTorch.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from collections.abc import Callable
from typing import Any

Reducer = Callable[[Any], Any]

# A tensor that has less than this part of its storage is sent without the rest of it: a row of a
# data set should not take the whole data set along.
_PART = 2

# Of the classes of PyTorch, once that is there.
of_torch: dict[type, Reducer] = {}


def reducers() -> dict[type, Reducer] | None:
    """What pickle is to do with each class that has a way of its own; `None` without PyTorch.

    It replaces the table of `copyreg`, which is part of it. To enter tensors there would change
    the pickles of the whole program, also those that PyTorch saves models in.
    """
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "UntypedStorage"):  # another thread may be importing it
        return None
    if not of_torch:
        of_torch[torch.Tensor] = _reduce_tensor
        of_torch[torch.UntypedStorage] = _reduce_storage
        of_torch[torch.TypedStorage] = _reduce_typed_storage
    return {**copyreg.dispatch_table, **of_torch}  # that table may get more entries at any time


def _reduce_tensor(tensor: Any) -> Any:
    import torch

    if not _is_plain(tensor):
        return tensor.__reduce_ex__(pickle.HIGHEST_PROTOCOL)  # of which the storage is left to us
    storage = tensor.untyped_storage()
    if storage.nbytes() > _PART * tensor.numel() * tensor.element_size():
        tensor = tensor.clone(memory_format=torch.preserve_format)
        storage = tensor.untyped_storage()
    place = tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
    return _tensor, (storage, tensor.dtype, *place)


def _is_plain(tensor: Any) -> bool:
    """Whether there is nothing about a tensor but its numbers in memory."""
    import torch

    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.requires_grad or tensor.is_quantized or tensor.is_nested)
        and not (tensor.is_conj() or tensor.is_neg() or vars(tensor))
    )


def _reduce_storage(storage: Any) -> Any:
    import torch

    if storage.device.type != "cpu":
        return storage.__reduce__()
    array = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return _storage, (pickle.PickleBuffer(array),)


def _reduce_typed_storage(storage: Any) -> Any:
    untyped = storage._untyped_storage
    if untyped.device.type != "cpu":
        return storage.__reduce__()
    return _typed_storage, (untyped, storage.dtype)


def _storage(buffer: Any) -> Any:
    """A storage over the memory of a buffer, which lives as long as the storage does.

    What workers share is read-only. PyTorch has no such tensors, so it is copied.
    """
    import torch

    memory = memoryview(buffer)
    if not memory.nbytes:
        return torch.UntypedStorage(0)
    source = bytearray(memory) if memory.readonly else buffer
    return torch.frombuffer(source, dtype=torch.uint8).untyped_storage()


def _typed_storage(untyped: Any, dtype: Any) -> Any:
    import torch

    return torch.TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


def _tensor(
    storage: Any, dtype: Any, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> Any:
    import torch

    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)
