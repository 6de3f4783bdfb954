"""Objects to bytes and back, with one kind of error."""

from __future__ import annotations

import pickle
from typing import Any

from .errors import TransportError


def dumps(value: Any) -> bytes:
    """Pickle `value`, or raise `TransportError`."""
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise TransportError(f"cannot be pickled: {error}") from error


def loads(data: bytes) -> Any:
    """Unpickle `data`, or raise `TransportError`."""
    try:
        return pickle.loads(data)
    except Exception as error:
        raise TransportError(f"cannot be unpickled: {error}") from error
