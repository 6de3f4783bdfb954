"""Tensors of PyTorch out of the streams of pools, and a loader with the habits of `DataLoader`.

It needs PyTorch: without it, `import aioaug.torch` raises `MissingExtra`.
"""

from __future__ import annotations

from .._base.optional import need

need("torch", extra="torch")

from .loader import Loader  # noqa: E402  # the modules need PyTorch
from .tensor_stream import TensorStream, tensors  # noqa: E402

__all__ = ["Loader", "TensorStream", "tensors"]
