"""What a folder says about its model is believed, or refused with the file's name."""

from pathlib import Path

import pytest

from embedders import EmbedderError
from embedders.folder import builtin_files, folder_files, verify_sha256
from tests.support.tiny_encoder import write_json, write_tiny_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_encoder(tmp_path / "tiny")


def test_the_builtin_model_is_pinned() -> None:
    files = builtin_files()
    assert files.name == "all-MiniLM-L6-v2-int8@8199be6f"
    assert (files.tokens_max, files.dimension, files.pooling) == (256, 384, "mean")


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"tampered with")
    with pytest.raises(EmbedderError, match=r"model\.onnx has sha256 .*changed or damaged"):
        verify_sha256(path, "0" * 64)


def test_what_a_folder_holds(folder: Path) -> None:
    files = folder_files(folder)
    assert files.name.startswith("tiny@")
    assert files.weights == folder / "onnx" / "model.onnx"
    assert (files.tokens_max, files.dimension, files.pooling) == (16, 32, "mean")
    assert files.size_bytes == files.weights.stat().st_size


def test_int8_weights_come_first(folder: Path) -> None:
    (folder / "onnx" / "model_quantized.onnx").write_bytes(b"smaller")
    assert folder_files(folder).weights.name == "model_quantized.onnx"


def test_the_name_changes_with_all_that_changes_vectors(folder: Path) -> None:
    names = {folder_files(folder).name}
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32})
    names.add(folder_files(folder).name)
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    names.add(folder_files(folder).name)
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + "\n")
    names.add(folder_files(folder).name)
    (folder / "onnx" / "model.onnx_data").write_bytes(b"weights beside the graph")
    names.add(folder_files(folder).name)
    (folder / "onnx" / "model.onnx").write_bytes(b"another graph")
    names.add(folder_files(folder).name)
    assert len(names) == 6


@pytest.mark.parametrize(
    ("config", "tokenizer", "sentence", "limit"),
    [
        ({"max_position_embeddings": 512}, {}, {}, 512),
        ({"max_position_embeddings": 512}, {"model_max_length": 1e30}, {"max_seq_length": 128}, 128),
        ({"max_position_embeddings": 512}, {"model_max_length": 256}, {"max_seq_length": None}, 256),
        ({"max_position_embeddings": 514, "model_type": "xlm-roberta", "pad_token_id": 1}, {}, {}, 512),
    ],
)
def test_the_token_limit_is_the_smallest_stated(
    folder: Path, config: object, tokenizer: object, sentence: object, limit: int
) -> None:
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer_config.json", tokenizer)
    write_json(folder / "sentence_bert_config.json", sentence)
    assert folder_files(folder).tokens_max == limit


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", [1], "config.json cannot be read"),
        ("config.json", {"hidden_size": "32"}, "config.json cannot be read"),
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("onnx/model.onnx", None, "holds no ONNX weights: expected one of onnx/model_int8.onnx"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "states no usable token limit"),
        ("sentence_bert_config.json", None, "states no usable token limit"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "neither mean nor cls"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "asks for a Dense layer"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, content: object, sentence: str) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        write_json(folder / name, content)
    with pytest.raises(EmbedderError, match=sentence):
        folder_files(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="is not a folder: give a local ONNX model folder"):
        folder_files(tmp_path / "missing")
