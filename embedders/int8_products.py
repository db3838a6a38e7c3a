"""A model's int8 weights are multiplied as int8, not turned into floats when it is loaded.

Models whose weights are packed as int8 multiply by `MatMul(x, Mul(Cast(int8 weights), a scale for each column))`.
onnxruntime folds the second factor into floats: four times the memory, all of which is read for each text, and none of
the processor's int8 arithmetic. Its own `MatMulNBits` with `accuracy_level` 4 keeps the weights as they are, to the
bit, and rounds x to int8 in blocks of a row, each with a scale of its own: so what a token becomes depends on its own
text and on nothing else. Not chosen: `DynamicQuantizeMatMul`, which has one scale for all of x. It is faster still by
a third, but cosines move by up to .09 with it, and by up to .015 here (measured, as BLOCK's figures are).
"""

from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,  # noqa: A004 -- onnxruntime's own name
    RuntimeException,
)

from embedders.onnx_graph import FLOAT, INT8, MICROSOFT, UINT8, Change, Graph, Node, Tensor, file_of, whole_numbers

BLOCK = 64
"""Numbers of a row that share a scale. With 128 a text takes 6 % less, and cosines move a third further."""

_ROUNDS_TO_INT8 = 4  # the accuracy_level

_NOT_KNOWN = (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException)
"""What an onnxruntime raises that has no such operation, or none with eight bits."""


def multiplied_in_int8(graph: Graph) -> Change:
    """Each such product as one of int8, where the machine has them (`is_exact`)."""
    instead: dict[int, list[Node]] = {}
    tensors: list[Tensor] = []
    without: set[str] = set()
    for place, product in graph.nodes.items():
        if product.op != "MatMul":
            continue
        packed = graph.packed(product.inputs[1])
        if packed and _fits(packed.numbers, packed.scales):
            blocks = _blocks(packed.numbers, packed.scales)
            instead |= {packed.cast: [], packed.scaling: [], place: [_product(product, packed.numbers.shape, blocks)]}
            tensors += blocks
            constants = (packed.numbers.name, packed.scales.name)
            without |= {name for name in constants if graph.is_needed_once(name)}
    return Change(instead, tensors, frozenset(without))


@cache
def is_exact() -> bool:
    """Whether this machine's onnxruntime multiplies int8 as int8, and adds up without overflow.

    Where it has no such code it would turn the weights into floats for each text, which takes four times as long; and
    eight bits by eight overflow the 16 in which older processors like to add them in pairs.
    """
    rows, columns = 2, 32
    weights = np.full((BLOCK, columns), 127, np.int8)
    ones = np.ones(columns, np.float32)
    made = _tensors("w", weights, ones)
    node = _product(Node("MatMul", ("x", "w"), ("y",)), weights.shape, made)
    given = np.ones((rows, BLOCK), np.float32)
    given[:, 0] = 0.003  # too small beside 1 to be kept as int8
    try:
        file = file_of([node], made, ["x"], ["y"])
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = session.run(["y"], {"x": given})[0]
    except _NOT_KNOWN:
        return False
    return bool(np.allclose(found, 127.0 * (BLOCK - 1), rtol=0, atol=0.1))


def _fits(weights: Tensor, scales: Tensor) -> bool:
    """int8 by two dimensions, a float for each column; written as plain bytes, and whole blocks of rows."""
    if len(weights.shape) != 2 or (weights.kind, scales.kind) != (INT8, FLOAT):
        return False
    rows, columns = weights.shape
    is_scale_a_column = scales.shape in ((columns,), (1, columns)) and len(scales.raw) == 4 * columns
    return is_scale_a_column and rows > 0 == rows % BLOCK and len(weights.raw) == rows * columns


def _blocks(weights: Tensor, scales: Tensor) -> list[Tensor]:
    numbers = np.frombuffer(weights.raw, np.int8).reshape(weights.shape)
    return _tensors(weights.name, numbers, np.frombuffer(scales.raw, "<f4"))


def _tensors(name: str, weights: NDArray[np.int8], scales: NDArray[np.float32]) -> list[Tensor]:
    """uint8 [columns, blocks, BLOCK] around 128, and a float for each block, here the same for all of a column."""
    rows, columns = weights.shape
    shape = (columns, rows // BLOCK, BLOCK)
    around_128 = np.ascontiguousarray(weights.T).view(np.uint8) ^ 128
    spread = np.repeat(scales.astype("<f4"), shape[1])
    return [
        Tensor(f"{name}/blocks", shape, UINT8, around_128.tobytes()),
        Tensor(f"{name}/scales", (spread.size,), FLOAT, spread.tobytes()),
    ]


def _product(product: Node, shape: tuple[int, ...], blocks: list[Tensor]) -> Node:
    rows, columns = shape
    attributes = whole_numbers(K=rows, N=columns, bits=8, block_size=BLOCK, accuracy_level=_ROUNDS_TO_INT8)
    inputs = (product.inputs[0], *(tensor.name for tensor in blocks))
    return Node("MatMulNBits", inputs, product.outputs, attributes, MICROSOFT)
