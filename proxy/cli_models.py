"""`isocost models`: list, check and quantise embedding models."""

import asyncio
from pathlib import Path

import cyclopts
from rich.table import Table

from embedders.models import ModelInfo, check_model, list_models, quantise_model
from proxy.cli_output import console

models = cyclopts.App(name="models", help="Embedding models: list, check, quantise.")


@models.command(name="list")
def list_(root: Path = Path()) -> int:
    """List the built-in model and the ONNX models in the folders under ROOT."""
    _print_models(list_models(root))
    return 0


@models.command
def check(folder: Path | None = None) -> int:
    """Open a model folder (the built-in model if none) and test it."""
    _print_models([asyncio.run(check_model(folder))])
    return 0


@models.command
def quantise(source: Path, target: Path) -> int:
    """Make an int8 model of the ONNX model folder SOURCE in the new folder TARGET."""
    _print_models([quantise_model(source, target)])
    return 0


def _print_models(found: list[ModelInfo]) -> None:
    table = Table("name", "dimension", "tokens max", "MB", "sha256", "path", "problem", box=None)
    for model in found:
        megabytes = None if model.size_bytes is None else round(model.size_bytes / 1e6, 1)
        numbers = ["" if number is None else str(number) for number in (model.dimension, model.tokens_max, megabytes)]
        table.add_row(model.name, *numbers, model.sha256, str(model.path), model.problem or "")
    console.print(table)
