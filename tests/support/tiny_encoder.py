"""A real ONNX encoder of a few kilobytes in a Hugging Face folder: a table of words, one matrix product."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = "the cat sleeps a is asleep on of warm kitchen floor interest rates rose again in third quarter ."
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
DIMENSION = 32


def write_tiny_encoder(folder: Path, *, weights: str = "onnx/model.onnx", scale: float = 1.0, seed: int = 1) -> Path:
    """Write tokenizer.json, config.json, sentence_bert_config.json (16 tokens) and the weights; return `folder`."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # As published files often have them, so that opening must undo them.
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    (folder / weights).parent.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "config.json", {"model_type": "bert", "hidden_size": DIMENSION})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 16})
    onnx.save(_graph(len(vocabulary), scale, seed), folder / weights)
    return folder


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def _graph(words: int, scale: float, seed: int) -> onnx.ModelProto:
    random = np.random.default_rng(seed)
    table = random.standard_normal((words, DIMENSION)).astype(np.float32)
    table *= scale
    # Special tokens and unknown words say little, as in a trained model.
    table[: len(SPECIAL)] *= 0.05
    mixing = np.linalg.qr(random.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
            helper.make_node("MatMul", ["embedded", "mixing"], ["last_hidden_state"]),
        ],
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", DIMENSION])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(mixing, "mixing")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
