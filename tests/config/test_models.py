"""models.toml: every row is usable, and the encodings are tiktoken's own."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tiktoken.model import encoding_name_for_model

from config.models import Model, load_models

ROWS = load_models()


def row_for(model: str) -> Model:
    return next(row for row in ROWS if fnmatchcase(model, row.pattern))


@pytest.mark.parametrize("row", ['pattern = "*"', 'pattern = "*"\nencoding = "x"\nprice = 1'])
def test_a_row_with_a_key_too_few_or_too_many_is_refused(tmp_path: Path, row: str):
    file = tmp_path / "models.toml"
    file.write_text(f"[[model]]\n{row}\n")
    with pytest.raises(TypeError):
        load_models(file)


def test_rows_hold_a_shipped_encoding():
    for row in ROWS:
        assert row.encoding in ("o200k_base", "cl100k_base")


def test_patterns_are_told_apart_and_the_last_takes_all():
    patterns = [row.pattern for row in ROWS]
    assert len(set(patterns)) == len(patterns)
    assert patterns[-1] == "*"


def test_no_row_is_hidden_behind_an_earlier_one():
    for row in ROWS:
        example = row.pattern.replace("*", "")
        assert row_for(example or "anything") is row, row.pattern


NAMED_BY_TIKTOKEN = """
    gpt-5 gpt-5-mini gpt-4.1-nano gpt-4o gpt-4o-mini-2024-07-18 chatgpt-4o-latest o1 o1-mini o3-mini o4-mini
    gpt-4 gpt-4-0613 gpt-4-turbo gpt-4-1106-preview gpt-3.5-turbo-0125 gpt-35-turbo
    ft:gpt-4o-mini:acme ft:gpt-3.5-turbo:acme
"""


@pytest.mark.parametrize("model", NAMED_BY_TIKTOKEN.split())
def test_the_encoding_is_the_one_tiktoken_names(model: str):
    assert row_for(model).encoding == encoding_name_for_model(model)
