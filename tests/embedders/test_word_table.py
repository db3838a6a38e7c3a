"""A table that is looked up first gives the bits that it gave; what is not such a table is left alone."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from embedders.folder import builtin_files
from embedders.onnx_graph import Graph
from embedders.word_table import looked_up_first

ROWS, COLUMNS = 40, 6
IDS = np.array([[3, 39, 0, 3]])


def model(*, axis=0, outputs=("row",), table_is_input=False, scales=ROWS) -> bytes:
    """`row` = Gather(Cast(int8 table) * scales, ids) and its double."""
    draw = np.random.default_rng(7)
    table = draw.integers(-128, 128, (ROWS, COLUMNS)).astype(np.int8)
    scale = draw.random((scales, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["table_q"], ["table_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["table_f", "scale"], ["table"]),
        helper.make_node("Gather", ["table", "ids"], ["row"], axis=axis),
        helper.make_node("Add", ["row", "row"], ["double"]),
    ]
    given_table = (
        [helper.make_tensor_value_info("table_q", TensorProto.INT8, [ROWS, COLUMNS])] if table_is_input else []
    )
    constants = [numpy_helper.from_array(scale, "scale")]
    constants += [] if table_is_input else [numpy_helper.from_array(table, "table_q")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, None]), *given_table],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("double", *outputs)],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def changed(made: bytes) -> bytes | None:
    graph = Graph(memoryview(made))
    change = looked_up_first(graph)
    return graph.written([change]) if change.instead else None


def run(made: bytes) -> list[bytes]:
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return [np.asarray(value).tobytes() for value in session.run(None, {"ids": IDS})]


def test_a_table_is_looked_up_first_and_gives_the_same_bits():
    before = model()
    after = changed(before)
    assert after is not None
    nodes = onnx.load_from_string(after).graph.node
    assert [node.op_type for node in nodes] == ["Gather", "Cast", "Gather", "Mul", "Add"]
    assert "table_q" in nodes[0].input
    assert run(after) == run(before)
    assert changed(after) is None


@pytest.mark.parametrize(
    "other",
    [{"axis": 1}, {"outputs": ("row", "table")}, {"outputs": ("table_f",)}, {"table_is_input": True}],
    ids=["columns", "table is an output", "floats are an output", "no constant"],
)
def test_what_is_no_such_table_is_left_alone(other):
    assert changed(model(**other)) is None


def test_a_scale_for_all_rows_is_none_for_each():
    assert changed(model(scales=1)) is None


@pytest.mark.slow
def test_the_built_in_model_keeps_its_bits_and_a_table_of_bytes():
    weights = builtin_files().weights
    after = changed(weights.read_bytes())
    assert after is not None
    ids = np.array([[101, 2054, 2001, 2056, 102]])
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    before_run, after_run = (
        onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, feed)
        for source in (str(weights), after)
    )
    assert [value.tobytes() for value in before_run] == [value.tobytes() for value in after_run]
