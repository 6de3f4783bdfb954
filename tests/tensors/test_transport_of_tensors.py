"""Tensors of PyTorch on their way to workers and back: by shared memory, as arrays."""

from __future__ import annotations

import copyreg
import io
import subprocess
import sys

import aioaug
import numpy as np
import pytest
from aioaug._base import tensors
from aioaug._transport import serialization
from tensors_testing import as_given, as_tensor, brighter_in_place, lies_in_shared_memory

torch = pytest.importorskip("torch")

SHAPE = (8, 64, 64, 3)
IMAGES = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)


def there_and_back(value):
    head, buffers = serialization.flatten(value)
    arrays = [np.frombuffer(buffer, np.uint8).copy() for buffer in buffers]
    return serialization.rebuild(head, arrays), len(head), arrays


def numbers(*shape, dtype=torch.float32):
    return torch.arange(int(np.prod(shape))).reshape(shape).to(dtype)


TENSORS = {
    "plain": lambda: numbers(4, 64, 64, 3),
    "bytes": lambda: numbers(4, 64, 64, 3, dtype=torch.uint8),
    "halves": lambda: numbers(80, 80, dtype=torch.bfloat16),
    "complex": lambda: numbers(80, 80, dtype=torch.complex64),
    "conjugated": lambda: numbers(80, 80, dtype=torch.complex64).conj(),
    "flags": lambda: numbers(80, 80, dtype=torch.bool),
    "permuted": lambda: numbers(4, 64, 64, 3).permute(0, 3, 1, 2),
    "part": lambda: numbers(40, 64, 64)[3:5, ::2],
    "expanded": lambda: numbers(1, 64, 64).expand(5, 64, 64),
    "number": lambda: torch.tensor(3.5),
    "empty": lambda: torch.empty(0, 3),
    "learned": lambda: torch.nn.Parameter(numbers(80, 80)),
    "with gradients": lambda: numbers(80, 80).requires_grad_(),
    "sparse": lambda: torch.eye(90).to_sparse(),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_there_and_back(kind):
    tensor = TENSORS[kind]()
    got, *_ = there_and_back(tensor)
    assert type(got) is type(tensor)
    assert (got.dtype, got.shape, got.requires_grad) == (
        tensor.dtype,
        tensor.shape,
        tensor.requires_grad,
    )
    assert torch.equal(got.detach().to_dense(), tensor.detach().to_dense())
    if kind in ("plain", "permuted", "expanded"):
        assert got.stride() == tensor.stride()


def test_memory_is_beside_the_pickle_and_is_not_copied():
    tensor = numbers(4, 64, 64, 3).permute(0, 3, 1, 2)
    _, buffers = serialization.flatten({"images": tensor, "name": "x"})
    (buffer,) = buffers
    assert np.frombuffer(buffer, np.uint8).__array_interface__["data"][0] == tensor.data_ptr()
    got, head, (array,) = there_and_back(tensor)
    assert got.data_ptr() == array.__array_interface__["data"][0]
    assert head < 300


def test_a_row_does_not_take_its_data_set_along():
    everything = numbers(100, 64, 64)
    got, head, arrays = there_and_back(everything[3])
    assert torch.equal(got, everything[3])
    assert head + sum(array.nbytes for array in arrays) < 2 * everything[3].nbytes


def test_what_shares_memory_does_so_afterwards():
    tensor = numbers(64, 64)
    (one, same, turned), *_ = there_and_back((tensor, tensor, tensor.T))
    assert one is same
    one[3, 5] = -1
    assert turned[5, 3] == -1


def test_what_is_read_only_is_copied():
    # Workers share the memory of a bound method's object, and a tensor could be written to.
    head, buffers = serialization.flatten(numbers(64, 64))
    array = np.frombuffer(buffers[0], np.uint8).copy()
    array.flags.writeable = False
    before = array.copy()
    got = serialization.rebuild(head, [array])
    assert torch.equal(got, numbers(64, 64))
    got += 1
    np.testing.assert_array_equal(array, before)


def test_models_are_saved_as_ever():
    file = io.BytesIO()
    serialization.flatten(numbers(64, 64))
    torch.save({"weights": numbers(64, 64)}, file)
    file.seek(0)
    assert torch.equal(torch.load(file)["weights"], numbers(64, 64))
    assert torch.Tensor not in copyreg.dispatch_table


def test_functions_by_value_bring_tensors_along():
    weights = numbers(64, 64)
    got, *_ = there_and_back(lambda: weights)
    assert torch.equal(got(), weights)


async def test_workers_get_and_give_tensors_in_shared_memory():
    given = torch.from_numpy(IMAGES.copy())
    async with aioaug.AsyncPool(brighter_in_place, processes=1, seed=1) as pool:
        for _ in range(3):
            got, shared_in_worker = await pool.augment_batch(given)
            assert shared_in_worker
            np.testing.assert_array_equal(got.numpy(), IMAGES + 1)
        assert lies_in_shared_memory(got)
        np.testing.assert_array_equal(given.numpy(), IMAGES)


async def test_tensors_that_workers_make_lie_in_shared_memory():
    images = np.tile(IMAGES, (4, 1, 1, 1))
    async with aioaug.AsyncPool(as_tensor, processes=1, seed=1) as pool:
        got = [await pool.augment_batch(images) for _ in range(3)]
        assert lies_in_shared_memory(got[-1])
        np.testing.assert_array_equal(got[-1].numpy(), images)


HOLDERS = {
    "itself": lambda tensor: tensor,
    "a view": lambda tensor: tensor.view(torch.int32),
    "a part": lambda tensor: tensor[1, 2:3],
    "an array": lambda tensor: tensor.numpy(),
    "a part of an array": lambda tensor: tensor.numpy()[1, 2:3],
    "a graph": lambda tensor: (torch.ones(SHAPE, requires_grad=True) * tensor).sum(),
    "dlpack": np.from_dlpack,
}


async def test_a_segment_is_used_again_when_nothing_of_its_tensor_is_left():
    batch = torch.from_numpy(np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE))
    async with aioaug.AsyncPool(as_given, processes=1, seed=1) as pool:
        segments = pool.pool._segment_pool
        for kind, hold in HOLDERS.items():
            tensor = await pool.augment_batch(batch)
            assert lies_in_shared_memory(tensor), kind
            held = hold(tensor)
            del tensor
            for number in range(3):  # what comes meanwhile lies elsewhere
                await pool.augment_batch(torch.full(SHAPE, float(number)))
            assert segments.used == 1, kind
            if kind == "a graph":
                assert torch.equal(held.grad_fn.next_functions[0][0]._saved_other, batch)
            del held
            assert segments.used == 0, kind


def test_without_pytorch_there_is_no_other_way():
    program = (
        "import aioaug, sys; from aioaug._base import pickling, tensors;"
        "pickling.dumps({}); assert tensors.reducers() is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert tensors.reducers() is not None
