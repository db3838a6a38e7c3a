"""List, check and quantise, on real ONNX folders."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedders import EmbedderError
from embedders.models import check_model, list_models, quantise_model
from embedders.onnx import OnnxEmbedder
from tests.support.tiny_encoder import write_json, write_tiny_encoder

WITHOUT_ONNX = """
import sys
from pathlib import Path
sys.modules["onnx"] = None
from embedders import EmbedderError
from embedders.models import quantise_model
try:
    quantise_model(Path(sys.argv[1]), Path(sys.argv[2]))
except EmbedderError as error:
    print(error)
"""


def test_the_builtin_model_is_listed_first_then_folders_by_path(tmp_path: Path) -> None:
    write_tiny_encoder(tmp_path / "b" / "deeper")
    write_tiny_encoder(tmp_path / "a", weights="model_quantized.onnx")
    (tmp_path / "not-a-model").mkdir()
    (tmp_path / "not-a-model" / "tokenizer.json").write_text("{}")
    builtin, a, b = list_models(tmp_path)
    assert (builtin.name, builtin.sha256) == ("all-MiniLM-L6-v2-int8@8199be6f", "8199be6f")
    assert (a.path, b.path) == (tmp_path / "a", tmp_path / "b" / "deeper")
    assert (a.dimension, a.tokens_max, a.problem) == (32, 16, None)
    assert a.size_bytes == (tmp_path / "a" / "model_quantized.onnx").stat().st_size


def test_a_broken_folder_is_listed_with_its_problem(tmp_path: Path) -> None:
    (write_tiny_encoder(tmp_path / "tiny") / "config.json").unlink()
    _, broken = list_models(tmp_path)
    assert broken.name == "tiny"
    assert broken.problem is not None
    assert "config.json is missing" in broken.problem


def test_a_missing_root_lists_the_builtin_model(tmp_path: Path) -> None:
    assert len(list_models(tmp_path / "nowhere")) == 1


async def test_check_opens_and_self_tests(tmp_path: Path) -> None:
    assert (await check_model(None)).dimension == 384
    assert (await check_model(write_tiny_encoder(tmp_path / "tiny"))).dimension == 32


async def test_check_refuses_a_model_that_cannot_tell_texts_apart(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    # First-token pooling over an encoder that was never trained for it: all texts are one.
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    with pytest.raises(EmbedderError, match="hardly closer"):
        await check_model(folder)


async def test_a_quantised_model_is_int8_and_says_nearly_the_same(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "tiny")
    write_json(source / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    target = tmp_path / "made" / "tiny-int8"
    made = quantise_model(source, target)
    assert made.path == target
    assert made.problem is None
    assert made.name.startswith("tiny-int8@")
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "onnx/model_int8.onnx",
        "tokenizer.json",
        "config.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    }
    import onnx

    stored = {t.data_type for t in onnx.load(target / "onnx" / "model_int8.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in stored
    await check_model(target)
    texts = ["the cat sleeps", "interest rates rose again"]
    vectors = []
    for folder in (source, target):
        embedder = await OnnxEmbedder.open(folder)
        vectors.append(await embedder.embed(texts))
        await embedder.aclose()
    assert (np.sum(vectors[0] * vectors[1], axis=1) > 0.99).all()
    assert [path.name for path in target.parent.iterdir()] == ["tiny-int8"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "tiny")
    with pytest.raises(EmbedderError, match="exists and is not overwritten"):
        quantise_model(source, source)


def test_int8_weights_are_not_quantised_again(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "tiny", weights="onnx/model_int8.onnx")
    with pytest.raises(EmbedderError, match=r"no ONNX weights: expected one of onnx/model\.onnx, model\.onnx"):
        quantise_model(source, tmp_path / "target")


def test_a_failed_run_leaves_nothing(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "tiny")
    (source / "onnx" / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EmbedderError, match="cannot be quantised"):
        quantise_model(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.slow
def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    source = write_tiny_encoder(tmp_path / "tiny")
    command = [sys.executable, "-c", WITHOUT_ONNX, str(source), str(tmp_path / "target")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'isocost[quantise]'" in ran.stdout
    assert not (tmp_path / "target").exists()
