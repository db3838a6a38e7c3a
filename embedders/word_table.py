"""A model's tables stay int8: a row is looked up first and turned into floats then, not the whole table before.

Models whose weights are packed as int8 hold a word table as `Gather(Mul(Cast(int8 table), scales), ids)`. onnxruntime
folds the constant part of it when it loads: 47 MB of floats for the built-in model where 12 MB of int8 would do. So
that part is written as `Mul(Cast(Gather(table, ids)), Gather(scales, ids))`, which gives the same bits.

An ONNX file is a protobuf message; the few fields of it that are needed are read and written here. Not chosen: the
`onnx` package, which is larger than what is spared.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_GRAPH = 7  # of a ModelProto
_NODE, _INITIALIZER, _OUTPUT_INFO = 1, 5, 12  # of a GraphProto
_INPUT, _OUTPUT, _NAME, _OP_TYPE, _ATTRIBUTE = 1, 2, 3, 4, 5  # of a NodeProto
_TENSOR_DIMS, _TENSOR_NAME = 1, 8
_VALUE_NAME = 1
_ATTRIBUTE_INT = 3

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: its number, all of it as it stands, and its content where that is bytes."""

    number: int
    whole: memoryview
    content: memoryview


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: bytes


def looked_up_first(model: memoryview) -> bytes | None:
    """The same model with its tables looked up first; None if there is none that can be, or this is no ONNX file."""
    try:
        fields = list(_fields(model))
        graph = [field for field in fields if field.number == _GRAPH]
        changed = _changed(list(_fields(graph[0].content))) if len(graph) == 1 else None
    except (ValueError, IndexError):
        return None
    if changed is None:
        return None
    return b"".join(_written(_GRAPH, changed) if field is graph[0] else field.whole for field in fields)


def _changed(graph: list[_Field]) -> bytes | None:
    nodes = {place: _node(field) for place, field in enumerate(graph) if field.number == _NODE}
    makers = {output: place for place, node in nodes.items() for output in node.outputs}
    tensors = [field.content for field in graph if field.number == _INITIALIZER]
    shapes = {_text(tensor, _TENSOR_NAME): _shape(tensor) for tensor in tensors}
    used = Counter(name for node in nodes.values() for name in node.inputs)
    used.update(_text(field.content, _VALUE_NAME) for field in graph if field.number == _OUTPUT_INFO)
    instead: dict[int, list[_Node]] = {}
    for place, gather in nodes.items():
        scaling = makers.get(gather.inputs[0], -1) if gather.op == "Gather" and not _axis(gather) else -1
        cast = makers.get(nodes[scaling].inputs[0], -1) if scaling >= 0 and nodes[scaling].op == "Mul" else -1
        if cast < 0 or nodes[cast].op != "Cast":
            continue
        table, scales = nodes[cast].inputs[0], nodes[scaling].inputs[1]
        alone = used[gather.inputs[0]] == used[nodes[cast].outputs[0]] == 1
        if alone and len(shapes.get(table, ())) == 2 and shapes.get(scales) == (shapes[table][0], 1):
            instead |= {cast: [], scaling: [], place: _looked_up(gather, nodes[cast], table, scales)}
    if not instead:
        return None
    return b"".join(
        b"".join(_written(_NODE, _encoded(node)) for node in instead[place]) if place in instead else field.whole
        for place, field in enumerate(graph)
    )


def _looked_up(gather: _Node, cast: _Node, table: str, scales: str) -> list[_Node]:
    ids, [row] = gather.inputs[1], gather.outputs
    return [
        _Node("Gather", (table, ids), (f"{row}/int8",), b""),
        _Node("Cast", (f"{row}/int8",), (f"{row}/float",), cast.attributes),
        _Node("Gather", (scales, ids), (f"{row}/scale",), b""),
        _Node("Mul", (f"{row}/float", f"{row}/scale"), (row,), b""),
    ]


def _node(field: _Field) -> _Node:
    parts = list(_fields(field.content))
    texts = [(part.number, bytes(part.content).decode()) for part in parts if part.number <= _OP_TYPE]
    return _Node(
        next((text for number, text in texts if number == _OP_TYPE), ""),
        tuple(text for number, text in texts if number == _INPUT),
        tuple(text for number, text in texts if number == _OUTPUT),
        b"".join(part.whole for part in parts if part.number == _ATTRIBUTE),
    )


def _axis(gather: _Node) -> int:
    """Along which a table is looked up: 0, its rows, if nothing is said."""
    for attribute in _fields(memoryview(gather.attributes)):
        for field in _fields(attribute.content):
            if field.number == _ATTRIBUTE_INT:
                return _varint(field.content, 0)[0]
    return 0


def _encoded(node: _Node) -> bytes:
    texts = [
        *((_INPUT, name) for name in node.inputs),
        *((_OUTPUT, name) for name in node.outputs),
        (_NAME, node.outputs[0]),
        (_OP_TYPE, node.op),
    ]
    return b"".join(_written(number, text.encode()) for number, text in texts) + node.attributes


def _shape(tensor: memoryview) -> tuple[int, ...]:
    sizes: list[int] = []
    for field in _fields(tensor):
        place = 0
        while field.number == _TENSOR_DIMS and place < len(field.content):  # packed together, or one a field
            size, place = _varint(field.content, place)
            sizes.append(size)
    return tuple(sizes)


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


def _written(number: int, content: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _number(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
