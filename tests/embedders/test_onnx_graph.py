"""A file that is read and written is the same file; what is none is refused, whatever it is."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from embedders.onnx import kept_int8
from embedders.onnx_graph import Change, Graph, Node, whole_number, whole_numbers
from tests.embedders.test_word_table import model


def test_without_a_change_the_bytes_are_the_same():
    assert Graph(memoryview(model())).written([]) == model()


def test_a_node_is_replaced_and_its_domain_named():
    graph = Graph(memoryview(model()))
    place = next(place for place, node in graph.nodes.items() if node.op == "Add")
    other = Node("Other", ("row", "row"), ("double",), whole_numbers(one=1, many=300), "some.where")
    after = onnx.load_from_string(graph.written([Change({place: [other]})]))
    [node] = [node for node in after.graph.node if node.op_type == "Other"]
    assert (list(node.input), list(node.output), node.domain) == (["row", "row"], ["double"], "some.where")
    assert {each.name: helper.get_attribute_value(each) for each in node.attribute} == {"one": 1, "many": 300}
    assert {each.domain: each.version for each in after.opset_import} == {"": 17, "some.where": 1}
    assert len(after.graph.node) == len(graph.nodes)


def test_a_domain_is_not_named_twice():
    graph = Graph(memoryview(model()))
    other = Node("Other", ("row",), ("double",), domain="some.where")
    once = graph.written([Change({max(graph.nodes): [other]})])
    again = Graph(memoryview(once))
    twice = onnx.load_from_string(again.written([Change({max(again.nodes): [other]})]))
    assert [each.domain for each in twice.opset_import].count("some.where") == 1


def test_a_constant_that_nobody_needs_is_left_out():
    graph = Graph(memoryview(model()))
    after = onnx.load_from_string(graph.written([Change({}, without=frozenset({"scale"}))]))
    assert [tensor.name for tensor in after.graph.initializer] == ["table_q"]


def test_attributes_and_shapes_are_read_as_onnx_writes_them():
    graph = Graph(memoryview(model(axis=1)))
    [gather] = [node for node in graph.nodes.values() if node.op == "Gather"]
    assert whole_number(gather.attributes, "axis", 0) == 1
    assert whole_number(gather.attributes, "other", 5) == 5
    for tensor in onnx.load_from_string(model()).graph.initializer:
        read = graph.tensors[tensor.name]
        assert (read.shape, read.kind) == (tuple(tensor.dims), tensor.data_type)
        assert bytes(read.raw) == numpy_helper.to_array(tensor).tobytes()


def test_a_name_that_two_nodes_need_has_no_sole_maker():
    graph = Graph(memoryview(model(outputs=("row", "table"))))
    assert graph.maker("table", "Mul") is None
    assert graph.maker("table_f", "Mul") is None
    assert graph.nodes[graph.maker("table_f", "Cast")].outputs == ("table_f",)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damaged_bytes_are_left_to_onnxruntime(place, byte):
    whole = model()
    cut = whole[: place % len(whole)]
    flipped = bytearray(whole)
    flipped[place % len(whole)] = byte
    for damaged in (cut, bytes(flipped)):
        kept_int8(memoryview(damaged))  # whatever it is, nothing is raised


@pytest.mark.parametrize("no_model", [b"", b"\x00", b"x" * 100, TensorProto(name="t").SerializeToString()])
def test_what_is_no_model_is_left_to_onnxruntime(no_model):
    assert kept_int8(memoryview(no_model)) is None
