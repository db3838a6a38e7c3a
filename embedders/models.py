"""What `isocost models` does: list, check, and quantise local models."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from embedders import EmbedderError
from embedders.folder import (
    CONFIG_FILES,
    FLOAT_WEIGHTS,
    INT8_WEIGHTS,
    ModelFiles,
    builtin_files,
    find_weights,
    folder_files,
)
from embedders.onnx import OnnxEmbedder
from embedders.selftest import self_test


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A line of the listing. `sha256` is the first 8 hex digits of the weights'; `tokens_max` is per window.

    `problem` says why the model cannot be used; the numbers are then None and `sha256` is empty.
    """

    name: str
    path: Path
    size_bytes: int | None
    dimension: int | None
    tokens_max: int | None
    sha256: str
    problem: str | None = None


def list_models(root: Path) -> list[ModelInfo]:
    """The built-in model first, then every ONNX folder under `root` (itself too), by path. Opens none."""
    return [_described("builtin", None), *(_described(folder.name, folder) for folder in _folders(root))]


async def check_model(folder: Path | None) -> ModelInfo:
    """Open the model (None: the built-in one) and self-test it; raises EmbedderError with what is wrong."""
    embedder = await OnnxEmbedder.open(folder)
    try:
        await self_test(embedder)
        return _info(embedder.files, embedder.dimension)
    finally:
        await embedder.aclose()


def quantise_model(source: Path, target: Path) -> ModelInfo:
    """Write the float model in `source` as an int8 one to the new folder `target`, ready to be used.

    Blocks for seconds to minutes. Raises EmbedderError if `target` exists, `source` is no float model, or the
    extra is not installed. `target` appears whole or not at all.
    """
    if target.exists():
        raise EmbedderError(f"{target} exists and is not overwritten: name a new folder, or remove it")
    folder_files(source)
    weights = find_weights(source, FLOAT_WEIGHTS)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".quantising-", ignore_cleanup_errors=True) as work:
        made = Path(work) / target.name
        (made / INT8_WEIGHTS[0]).parent.mkdir(parents=True)
        _quantise(weights, made / INT8_WEIGHTS[0])
        for name in CONFIG_FILES:
            if (source / name).is_file():
                (made / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, made / name)
        made.rename(target)
    return _described(target.name, target)


def _quantise(weights: Path, target: Path) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise EmbedderError("quantising needs the onnx package: run `pip install 'isocost[quantise]'`") from error
    # 7 of the 8 bits: on CPUs without VNNI products of full int8 saturate, so that machines would disagree
    # about a text's vector. A scale a channel wins back the lost precision.
    try:
        quantize_dynamic(weights, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    except Exception as error:  # protobuf, onnx and onnxruntime each raise their own
        raise EmbedderError(f"{weights} cannot be quantised ({type(error).__name__}): is it float?") from error


def _folders(root: Path) -> Iterator[Path]:
    for tokenizer in sorted(root.rglob("tokenizer.json")):
        folder = tokenizer.parent
        if any((folder / weights).is_file() for weights in INT8_WEIGHTS + FLOAT_WEIGHTS):
            yield folder


def _described(name: str, folder: Path | None) -> ModelInfo:
    try:
        files = builtin_files() if folder is None else folder_files(folder)
    except EmbedderError as error:
        return ModelInfo(name, folder or Path(), None, None, None, "", str(error))
    return _info(files, files.dimension)


def _info(files: ModelFiles, dimension: int | None) -> ModelInfo:
    return ModelInfo(files.name, files.folder, files.size_bytes, dimension, files.tokens_max, files.sha256[:8])
