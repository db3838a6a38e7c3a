"""Reads models.toml: which tokenizer counts for a model."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).with_name("models.toml")


@dataclass(frozen=True, slots=True)
class Model:
    """A row. `pattern` is shell style, and the first row that fits wins."""

    pattern: str
    encoding: str


def load_models(file: Path = MODELS) -> tuple[Model, ...]:
    """The rows in order; raises OSError, tomllib.TOMLDecodeError or TypeError where the file is not such a table."""
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["model"]
    return tuple(Model(**row) for row in rows)
