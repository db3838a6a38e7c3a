"""prices.toml: every row is usable, dated and sourced; own rows come first; a fault names file, row and field."""

import json
from pathlib import Path

import pytest

from config.prices import LONGEST_NAME, Price, Prices, load_prices
from config.sources import SettingsError

BUILT_IN = load_prices()
MINE = {
    "name": "mine",
    "pattern": "my-*",
    "input": 2.0,
    "unit": "EUR",
    "read": 0.2,
    "write": 1.0,
    "cacheable_min": 256,
    "step": 64,
    "ttl_s": 60,
}


def written(folder: Path, *rows: dict[str, object]) -> Path:
    file = folder / "prices.toml"
    lines = [line for row in rows for line in ("[[price]]", *(f"{key} = {spelt(row[key])}" for key in row))]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def spelt(value: object) -> str:
    """As TOML; JSON differs only in how it calls what is no number."""
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def refusal(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_prices(file)
    return str(caught.value)


def test_every_row_has_a_source_and_a_date_or_says_that_it_has_none():
    for row in BUILT_IN.rows:
        assert row.source, row.name
        assert row.as_of or "undated" in row.source, row.name


def test_a_price_is_in_dollars_or_says_that_it_is_relative():
    for row in BUILT_IN.rows:
        assert row.unit in ("USD", "prefill", "input"), row.name
        assert (row.unit == "input") == row.source.startswith("unit is relative"), row.name
        assert row.unit == "USD" or row.input == 1.0, row.name


def test_the_last_row_takes_all():
    assert BUILT_IN.rows[-1].pattern == "*"
    assert BUILT_IN.of("never-heard-of-it") is BUILT_IN.of("") is BUILT_IN.rows[-1]


def test_no_row_is_hidden_behind_an_earlier_one():
    for row in BUILT_IN.rows:
        if row.pattern:
            example = row.pattern.replace("*", "").replace("[56]", "5").replace("[13]", "3").replace("?", "-")
            assert BUILT_IN.of(example or "anything") is row, row.pattern


@pytest.mark.parametrize(
    ("model", "read", "write", "cacheable_min"),
    [
        ("gpt-4o", 0.5, 1, 1024),
        ("ft:gpt-4o-mini:acme", 0.5, 1, 1024),
        ("gpt-4.1-nano-2025-04-14", 0.25, 1, 1024),
        ("openai/GPT-5", 0.1, 1, 1024),
        ("gpt-5.5", 0.1, 1, 1024),
        ("gpt-5.6-sol", 0.1, 1.25, 1024),
        ("gpt-6.2-sol", 0.05, 1.25, 1024),
        ("gpt-5.4-pro", 1, 1, 1024),
        ("o1", 0.5, 1, 1024),
        ("o3-mini", 0.5, 1, 1024),
        ("o3-2025-04-16", 0.25, 1, 1024),
        ("claude-opus-4-20250514", 0.1, 1.25, 1024),
        ("claude-opus-4-5-20251101", 0.1, 1.25, 4096),
        ("anthropic/claude-opus-4.7", 0.1, 1.25, 2048),
        ("anthropic.claude-opus-4-8-v1:0", 0.1, 1.25, 1024),
        ("claude-opus-5", 0.1, 1.25, 512),
        ("claude-fable-5-1", 0.025, 1.25, 512),
        ("claude-haiku-4-5", 0.1, 1.25, 4096),
        ("claude-3-7-sonnet-latest", 0.1, 1.25, 4096),
        ("codestral-latest", 0.1, 1, 1024),
        ("deepseek-v4-flash", 0.02, 1, 64),
        ("gemini-2.5-pro", 0.1, 1, 2048),
        ("gpt-oss-20b", 0.1, 1, 1024),
    ],
)
def test_the_row_of_a_model(model: str, read: float, write: float, cacheable_min: int):
    row = BUILT_IN.of(model)
    assert (row.read, row.write, row.cacheable_min) == (read, write, cacheable_min), row.name


def test_what_a_client_has_to_do_is_known():
    assert all(row.needs_breakpoints == row.name.startswith("Claude") for row in BUILT_IN.rows)
    assert BUILT_IN.of("gpt-5").takes_cache_key and BUILT_IN.of("mistral-small-latest").takes_cache_key
    assert not BUILT_IN.rows[-1].takes_cache_key


@pytest.mark.parametrize(("name", "step"), [("vLLM", 16), ("llama.cpp", 1), ("Ollama", 1)])
def test_an_engine_is_asked_for_by_name(name: str, step: int):
    row = BUILT_IN.named(name)
    assert (row.step, row.unit, row.caches_answers, row.pattern) == (step, "prefill", True, "")
    assert BUILT_IN.named(name.upper()) is row
    everything = load_prices(row=name.lower())
    assert {everything.of(model) for model in ("gpt-5", "", "x")} == {row}
    assert everything.rows == BUILT_IN.rows


@pytest.mark.parametrize("ask", [lambda: BUILT_IN.named("vllama"), lambda: load_prices(row="vllama")])
def test_a_name_that_is_none_gets_the_names_there_are(ask):
    with pytest.raises(SettingsError, match=r"no price row is named 'vllama'; there are: .*vLLM.*any other model"):
        ask()


def test_own_rows_come_first(tmp_path: Path):
    prices = load_prices(written(tmp_path, MINE, {**MINE, "name": "vLLM", "pattern": "GPT-5*"}))
    assert prices.rows[0] == Price(**MINE)
    assert prices.rows[2:] == BUILT_IN.rows
    assert prices.of("My-model").name == "mine"
    assert prices.of("gpt-5").unit == prices.named("vLLM").unit == "EUR"
    assert prices.of("gpt-4o") == BUILT_IN.of("gpt-4o")


def test_a_row_without_a_pattern_is_for_no_model():
    row = Price(**{**MINE, "pattern": ""})
    other = Price(**{**MINE, "name": "other", "pattern": "*"})
    assert Prices((row, other)).of("") is other


def test_a_name_of_megabytes_is_matched_by_its_beginning():
    assert BUILT_IN.of("gpt-4o" + "x" * 5_000_000) == BUILT_IN.of("gpt-4o")
    assert BUILT_IN.of("x" * LONGEST_NAME + "gpt-4o") is BUILT_IN.rows[-1]


@pytest.mark.parametrize("key", MINE)
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str):
    file = written(tmp_path, MINE, {other: MINE[other] for other in MINE if other != key})
    message = refusal(file)
    row = "row 2" if key == "name" else r"row 2 ('mine')"
    assert message == f"the price file {file} cannot be used:\n- {row}, {key}: is missing"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input", 0),
        ("input", float("inf")),
        ("read", -0.01),
        ("read", 1.01),
        ("read", float("nan")),
        ("read", "0.1"),
        ("read", True),
        ("write", 0.99),
        ("write", float("inf")),
        ("cacheable_min", 0),
        ("cacheable_min", 1.5),
        ("step", 0),
        ("step", True),
        ("ttl_s", 0),
        ("ttl_s", float("inf")),
        ("unit", ""),
        ("caches_answers", 1),
        ("as_of", "2026-13-01"),
        ("source", 1),
        ("colour", "red"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_file_row_and_field(tmp_path: Path, key: str, value: object):
    file = written(tmp_path, {**MINE, "name": "other"}, {**MINE, key: value})
    message = refusal(file)
    assert message.startswith(f"the price file {file} cannot be used:\n- row 2 ('mine'), {key}: ")
    assert message.count("\n- ") == 1


def test_the_ends_of_the_ranges_are_allowed(tmp_path: Path):
    ends = {**MINE, "read": 0, "write": 1, "cacheable_min": 1, "step": 1, "ttl_s": 0.001, "as_of": "2026-11-05"}
    row = load_prices(written(tmp_path, ends, {**MINE, "name": "other", "read": 1})).rows[0]
    assert (row.read, row.write, row.step, row.as_of) == (0, 1, 1, "2026-11-05")


def test_all_faults_are_told_at_once_and_an_unknown_key_gets_the_keys_there_are(tmp_path: Path):
    message = refusal(written(tmp_path, {**MINE, "reed": 0.1, "step": 0}, {**MINE, "write": 0}))
    assert message.count("\n- ") == 3
    assert "reed: is no key of a row; there are: name, pattern, input, unit, read, " in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[price]", "is not TOML"),
        ("prices = 1", "prices is unknown: rows stand under [[price]]"),
        ("price = 1", "price should be [[price]], a table for each row"),
        ("price = [1]", "row 1: should be a dictionary"),
        ('[[price]]\nname = "twice"\n' * 2, "row 2 ('twice'), pattern: is missing"),
    ],
)
def test_a_file_that_is_no_such_table(tmp_path: Path, text: str, fault: str):
    file = tmp_path / "prices.toml"
    file.write_text(text, encoding="utf-8")
    message = refusal(file)
    assert str(file) in message and fault in message


def test_two_rows_of_one_name_are_refused(tmp_path: Path):
    assert "two rows are named 'mine'" in refusal(written(tmp_path, MINE, MINE))


def test_a_file_that_is_not_there(tmp_path: Path):
    assert "cannot be read" in refusal(tmp_path / "none.toml")


def test_an_empty_file_of_own_rows_changes_nothing(tmp_path: Path):
    assert load_prices(written(tmp_path)) == BUILT_IN
