"""Products by int8 weights stay int8 where that is exact, say nearly what floats say, and nothing else is touched."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from embedders.int8_products import BLOCK, is_exact, multiplied_in_int8
from embedders.onnx import kept_int8
from embedders.onnx_graph import Graph

ROWS, COLUMNS = 2 * BLOCK, 48

needs_int8 = pytest.mark.skipif(not is_exact(), reason="this machine has no int8 products")


def model(*, rows=ROWS, scale_shape=(1, COLUMNS), outputs=("y",), raw=True, op="MatMul", swapped=False) -> bytes:
    """y = x @ (Cast(int8 weights) * scales)."""
    draw = np.random.default_rng(7)
    weights = draw.integers(-128, 128, (rows, COLUMNS)).astype(np.int8)
    scales = (draw.random(scale_shape) / 64).astype(np.float32)
    factors = ["w", "x"] if swapped else ["x", "w"]
    nodes = [
        helper.make_node("Cast", ["w_q"], ["w_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["w_f", "w_scale"], ["w"]),
        helper.make_node(op, factors, ["y"]),
    ]
    kept = numpy_helper.from_array(weights, "w_q")
    if not raw:
        kept = helper.make_tensor("w_q", TensorProto.INT8, weights.shape, weights.reshape(-1).tolist())
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [kept, numpy_helper.from_array(scales, "w_scale")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def changed(made: bytes) -> bytes | None:
    graph = Graph(memoryview(made))
    change = multiplied_in_int8(graph)
    return graph.written([change]) if change.instead else None


def run(made: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def drawn(tokens: int) -> np.ndarray:
    return np.random.default_rng(tokens).standard_normal((1, tokens, ROWS)).astype(np.float32)


def test_the_weights_are_kept_as_they_are():
    before, after = model(), changed(model())
    assert after is not None
    graph = onnx.load_from_string(after).graph
    assert [node.op_type for node in graph.node] == ["MatMulNBits"]
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert sorted(kept) == ["w_q/blocks", "w_q/scales"]
    old = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(before).graph.initializer}
    np.testing.assert_array_equal(kept["w_q/blocks"].reshape(COLUMNS, ROWS).astype(int) - 128, old["w_q"].T)
    blocks = kept["w_q/scales"].reshape(COLUMNS, -1)
    np.testing.assert_array_equal(blocks, np.repeat(old["w_scale"].reshape(-1, 1), ROWS // BLOCK, axis=1))
    assert changed(after) is None


@needs_int8
@pytest.mark.parametrize("tokens", [1, 2, 7, 33, 256])
def test_it_says_nearly_what_the_floats_say(tokens):
    x = drawn(tokens)
    floats, int8 = run(model(), x), run(changed(model()), x)
    # x is rounded to 127 steps a block: what that makes of a sum is some hundredth of what is summed.
    assert np.abs(int8 - floats).max() < 0.03 * np.abs(floats).max()


@needs_int8
def test_a_token_does_not_depend_on_those_beside_it():
    x, after = drawn(9), changed(model())
    together = run(after, x)
    alone = np.concatenate([run(after, x[:, [token]]) for token in range(x.shape[1])], axis=1)
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-4)
    assert run(after, x).tobytes() == together.tobytes()


@needs_int8
def test_the_largest_numbers_do_not_overflow():
    full = helper.make_tensor("w_q", TensorProto.INT8, (ROWS, COLUMNS), b"\x81" * (ROWS * COLUMNS), raw=True)
    made = onnx.load_from_string(model())
    made.graph.initializer[0].CopyFrom(full)
    x = np.full((1, 5, ROWS), 4.0, np.float32)
    before = made.SerializeToString()
    np.testing.assert_allclose(run(changed(before), x), run(before, x), rtol=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"rows": ROWS + 1},
        {"scale_shape": (1, 1)},
        {"scale_shape": (ROWS, 1)},
        {"outputs": ("y", "w")},
        {"outputs": ("y", "w_f")},
        {"raw": False},
        {"op": "Add", "rows": 1},
        {"swapped": True},
    ],
    ids=[
        "no whole blocks",
        "one scale",
        "a scale a row",
        "an output",
        "floats are an output",
        "in another way",
        "a sum",
        "the first factor",
    ],
)
def test_what_is_no_such_product_is_left_alone(other):
    assert changed(model(**other)) is None


@pytest.mark.slow
def test_the_built_in_model_is_multiplied_so():
    from embedders.folder import builtin_files

    after = kept_int8(memoryview(builtin_files().weights.read_bytes()))
    assert after is not None
    operations = [node.op_type for node in onnx.load_from_string(after).graph.node]
    assert operations.count("MatMulNBits") == (36 if is_exact() else 0)
    assert len(after) < 1.03 * builtin_files().size_bytes
