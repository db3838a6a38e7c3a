"""Plain data, which JSON and msgpack hold alike, and arrays as plain data."""

import base64
import binascii
import math
from typing import Annotated, Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

_DEPTH_MAX = 16
_INTEGERS = range(-(2**63), 2**63)
"""What msgpack can hold."""


class PlainArray(msgspec.Struct, frozen=True):
    """An array's shape, and its bytes in little-endian and C order."""

    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    base64: str


def is_scalar(value: object) -> bool:
    """Whether a value is text, a truth value, a finite number or an integer of 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) or (isinstance(value, int) and value in _INTEGERS)


def frozen(value: Any, depth: int = _DEPTH_MAX) -> Any:
    """None, scalars and lists of them, with tuples for lists; raises ValueError for anything else."""
    if isinstance(value, list | tuple):
        if depth == 0:
            raise ValueError("plain data is nested too deeply")
        return tuple([frozen(item, depth - 1) for item in value])
    if value is not None and not is_scalar(value):
        raise ValueError(f"{value!r:.40} is no plain data")
    return value


def array_to_plain(value: object) -> dict[str, Any]:
    """An array as the fields of PlainArray: msgspec's `enc_hook`."""
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"{type(value).__name__} is no plain data")
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return {"shape": list(value.shape), "base64": base64.b64encode(little.tobytes()).decode()}


def array_from_plain(annotation: Any, plain: Any) -> NDArray[Any]:
    """The array of an annotated type (NDArray[np.float32]): msgspec's `dec_hook`, which adds the place to errors."""
    dtype = np.dtype(get_args(get_args(annotation)[1])[0])
    held = msgspec.convert(plain, PlainArray)
    try:
        packed = base64.b64decode(held.base64, validate=True)
    except binascii.Error:
        raise ValueError("an array is not base64") from None
    if len(packed) != math.prod(held.shape) * dtype.itemsize:
        raise ValueError("an array's bytes do not fit its shape")
    return np.frombuffer(packed, dtype.newbyteorder("<")).astype(dtype).reshape(held.shape)
