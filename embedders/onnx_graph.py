"""An ONNX file whose nodes can be replaced by others: the few fields of it that this needs, read and written here.

An ONNX file is a protobuf message. Not chosen: the `onnx` package, which is larger than the memory that is spared.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

_GRAPH, _OPSET = 7, 8  # of a ModelProto
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_NODE, _INITIALIZER, _OUTPUT_INFO = 1, 5, 12  # of a GraphProto
_INPUT, _OUTPUT, _NAME, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 1, 2, 3, 4, 5, 7  # of a NodeProto
_NODE_TEXTS = (_INPUT, _OUTPUT, _OP_TYPE, _DOMAIN)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_VALUE_NAME = 1
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TYPE, _INT = 1, 3, 20, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

FLOAT, UINT8, INT8 = 1, 2, 3
"""What a tensor is of."""

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operations."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operation; `attributes` as they are written in the file."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: bytes = b""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant; `raw` is empty where its numbers are written in another way."""

    name: str
    shape: tuple[int, ...]
    kind: int
    raw: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Packed:
    """`Mul(Cast(numbers), scales)`, two constants, and the places of both nodes, which nothing else needs."""

    numbers: Tensor
    scales: Tensor
    cast: int
    scaling: int


@dataclass(frozen=True, slots=True)
class Change:
    """Other nodes for those at some places, constants that they need, and those that nobody needs any more."""

    instead: Mapping[int, Sequence[Node]]
    tensors: Sequence[Tensor] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: its number, all of it as it stands, and its content where that is bytes."""

    number: int
    whole: memoryview
    content: memoryview


class Graph:
    """A file's graph; raises ValueError or IndexError for what is none."""

    def __init__(self, model: memoryview) -> None:
        self._model = list(_fields(model))
        [self._graph] = [field for field in self._model if field.number == _GRAPH]
        self._fields = list(_fields(self._graph.content))
        self.nodes = {place: _node(field) for place, field in enumerate(self._fields) if field.number == _NODE}
        self._makers = {output: place for place, node in self.nodes.items() for output in node.outputs}
        constants = (_tensor(field.content) for field in self._fields if field.number == _INITIALIZER)
        self.tensors = {tensor.name: tensor for tensor in constants}
        self._used = Counter(name for node in self.nodes.values() for name in node.inputs)
        self._used.update(_text(field.content, _VALUE_NAME) for field in self._fields if field.number == _OUTPUT_INFO)

    def packed(self, name: str) -> Packed | None:
        """What `name` is made of, if one node needs it and it is packed so."""
        scaling = self.maker(name, "Mul")
        cast = None if scaling is None else self.maker(self.nodes[scaling].inputs[0], "Cast")
        if scaling is None or cast is None:
            return None
        numbers = self.tensors.get(self.nodes[cast].inputs[0])
        scales = self.tensors.get(self.nodes[scaling].inputs[1])
        return Packed(numbers, scales, cast, scaling) if numbers and scales else None

    def maker(self, name: str, op: str) -> int | None:
        """The place of the node that makes `name`, if it is an `op` and only one other node has its output."""
        place = self._makers.get(name)
        if place is None or self.nodes[place].op != op or self._used[name] != 1:
            return None
        return place

    def is_needed_once(self, name: str) -> bool:
        """By one node, or as one output."""
        return self._used[name] == 1

    def written(self, changes: Sequence[Change]) -> bytes:
        """The file with these changes, which do not overlap."""
        instead = {place: nodes for change in changes for place, nodes in change.instead.items()}
        without = frozenset().union(*(change.without for change in changes))
        added = b"".join(_written(_INITIALIZER, _constant(tensor)) for change in changes for tensor in change.tensors)
        kept = (
            b"".join(_written(_NODE, _operation(node)) for node in instead[place]) if place in instead else field.whole
            for place, field in enumerate(self._fields)
            if not (field.number == _INITIALIZER and _text(field.content, _TENSOR_NAME) in without)
        )
        graph = b"".join(chain(kept, (added,)))
        domains = {node.domain for nodes in instead.values() for node in nodes if node.domain}
        named = {_text(field.content, _OPSET_DOMAIN) for field in self._model if field.number == _OPSET}
        opsets = b"".join(_opset(domain) for domain in sorted(domains - named))
        return b"".join(
            chain((_written(_GRAPH, graph) if f is self._graph else f.whole for f in self._model), (opsets,))
        )


def file_of(nodes: Sequence[Node], tensors: Sequence[Tensor], inputs: Iterable[str], outputs: Iterable[str]) -> bytes:
    """A file of its own, of operations of onnxruntime's; floats of any shape go in and come out."""
    floats = _written(1, _number(1 << 3) + _number(FLOAT))  # TypeProto.tensor_type, elem_type
    graph = [_written(_NODE, _operation(node)) for node in nodes]
    graph += [_written(2, b"checked")]  # GraphProto.name
    graph += [_written(_INITIALIZER, _constant(tensor)) for tensor in tensors]
    graph += [_written(11, _written(_VALUE_NAME, name.encode()) + _written(2, floats)) for name in inputs]
    graph += [_written(_OUTPUT_INFO, _written(_VALUE_NAME, name.encode()) + _written(2, floats)) for name in outputs]
    version = _number(1 << 3) + _number(8)  # ModelProto.ir_version
    return version + _written(_GRAPH, b"".join(graph)) + _opset("", 17) + _opset(MICROSOFT)


def whole_number(attributes: bytes, name: str, otherwise: int) -> int:
    """What an attribute says that is a whole number."""
    for attribute in _fields(memoryview(attributes)):
        if _text(attribute.content, _ATTRIBUTE_NAME) == name:
            for field in _fields(attribute.content):
                if field.number == _ATTRIBUTE_INT:
                    return _varint(field.content, 0)[0]
    return otherwise


def whole_numbers(**attributes: int) -> bytes:
    """Attributes, each a whole number >= 0."""
    return b"".join(
        _written(
            _ATTRIBUTE,
            _written(_ATTRIBUTE_NAME, name.encode())
            + _number(_ATTRIBUTE_INT << 3)
            + _number(value)
            + _number(_ATTRIBUTE_TYPE << 3)
            + _number(_INT),
        )
        for name, value in attributes.items()
    )


def _opset(domain: str, version: int = 1) -> bytes:
    return _written(_OPSET, _written(_OPSET_DOMAIN, domain.encode()) + _number(_OPSET_VERSION << 3) + _number(version))


def _node(field: _Field) -> Node:
    parts = list(_fields(field.content))
    texts = [(part.number, bytes(part.content).decode()) for part in parts if part.number in _NODE_TEXTS]
    return Node(
        next((text for number, text in texts if number == _OP_TYPE), ""),
        tuple(text for number, text in texts if number == _INPUT),
        tuple(text for number, text in texts if number == _OUTPUT),
        b"".join(part.whole for part in parts if part.number == _ATTRIBUTE),
        next((text for number, text in texts if number == _DOMAIN), ""),
    )


def _operation(node: Node) -> bytes:
    texts = [
        *((_INPUT, name) for name in node.inputs),
        *((_OUTPUT, name) for name in node.outputs),
        (_NAME, node.outputs[0]),
        (_OP_TYPE, node.op),
        (_DOMAIN, node.domain),
    ]
    return b"".join(_written(number, text.encode()) for number, text in texts) + node.attributes


def _tensor(message: memoryview) -> Tensor:
    name, shape, kind, raw = "", list[int](), 0, memoryview(b"")
    for field in _fields(message):
        if field.number == _TENSOR_NAME:
            name = bytes(field.content).decode()
        elif field.number == _TENSOR_TYPE:
            kind = _varint(field.content, 0)[0]
        elif field.number == _TENSOR_RAW:
            raw = field.content
        place = 0
        while field.number == _TENSOR_DIMS and place < len(field.content):  # packed together, or one a field
            size, place = _varint(field.content, place)
            shape.append(size)
    return Tensor(name, tuple(shape), kind, raw)


def _constant(tensor: Tensor) -> bytes:
    sizes = b"".join(_number(_TENSOR_DIMS << 3) + _number(size) for size in tensor.shape)
    kind = _number(_TENSOR_TYPE << 3) + _number(tensor.kind)
    return sizes + kind + _written(_TENSOR_NAME, tensor.name.encode()) + _written(_TENSOR_RAW, tensor.raw)


def _text(message: memoryview, number: int) -> str:
    return next((bytes(field.content).decode() for field in _fields(message) if field.number == number), "")


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a protobuf message in order; raises ValueError or IndexError for what is none."""
    place = 0
    while place < len(message):
        start = place
        key, place = _varint(message, place)
        kind = key & 7
        begin = place
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            size, begin = _varint(message, place)
            place = begin + size
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no protobuf field is of the kind {kind}")
        if place > len(message):
            raise ValueError("the message ends within a field")
        yield _Field(key >> 3, message[start:place], message[begin:place])


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _written(number: int, content: bytes | memoryview) -> bytes:
    return b"".join((_number(number << 3 | _BYTES), _number(len(content)), content))


def _number(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
