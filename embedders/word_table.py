"""A model's tables stay int8: a row is looked up first and turned into floats then, not the whole table before.

Models whose weights are packed as int8 hold a word table as `Gather(Mul(Cast(int8 table), scales), ids)`. onnxruntime
folds the constant part of it when it loads: 47 MB of floats for the built-in model where 12 MB of int8 would do. So
that part is written as `Mul(Cast(Gather(table, ids)), Gather(scales, ids))`, which gives the same bits.
"""

from embedders.onnx_graph import Change, Graph, Node, whole_number


def looked_up_first(graph: Graph) -> Change:
    """Each such table looked up first."""
    instead: dict[int, list[Node]] = {}
    for place, gather in graph.nodes.items():
        if gather.op != "Gather" or whole_number(gather.attributes, "axis", 0):
            continue
        packed = graph.packed(gather.inputs[0])
        if packed and len(packed.numbers.shape) == 2 and packed.scales.shape == (packed.numbers.shape[0], 1):
            rows = _looked_up(gather, graph.nodes[packed.cast], packed.numbers.name, packed.scales.name)
            instead |= {packed.cast: [], packed.scaling: [], place: rows}
    return Change(instead)


def _looked_up(gather: Node, cast: Node, table: str, scales: str) -> list[Node]:
    ids, [row] = gather.inputs[1], gather.outputs
    return [
        Node("Gather", (table, ids), (f"{row}/int8",)),
        Node("Cast", (f"{row}/int8",), (f"{row}/float",), cast.attributes),
        Node("Gather", (scales, ids), (f"{row}/scale",)),
        Node("Mul", (f"{row}/float", f"{row}/scale"), (row,)),
    ]
