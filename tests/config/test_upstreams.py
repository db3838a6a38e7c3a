"""The file of upstreams: what is in it, and the sentences for what cannot be used."""

from pathlib import Path

import pytest

from config.sources import SettingsError
from config.upstreams import load_upstreams

EXAMPLE = Path(__file__).parents[2] / "config" / "upstreams.example.toml"
ROW = '[[upstream]]\nname = "a"\nurl = "http://a"\nmodels = ["*"]\n'


def load(folder: Path, text: str, **environ: str):
    file = folder / "upstreams.toml"
    file.write_text(text, encoding="utf-8")
    return load_upstreams(file, environ)


def refusal(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(folder, text, **environ)
    return str(refused.value)


def test_the_example_can_be_used():
    rows = load_upstreams(EXAMPLE, {})
    assert [(row.name, row.models, row.fallback) for row in rows] == [
        ("vllm", ("qwen*", "*llama*"), "openai"),
        ("openai", ("*",), ""),
    ]
    assert rows[0].price_row == "vLLM"


def test_what_is_left_out_is_the_settings_own(tmp_path: Path):
    (row,) = load(tmp_path, ROW)
    assert (row.key_env, row.headers, row.fallback) == ("", {}, "")
    assert row.connect_timeout_s is row.first_byte_timeout_s is row.idle_timeout_s is row.total_timeout_s is None
    assert row.connect_retries is None


def test_headers_are_in_lower_case_and_keys_come_from_the_environment(tmp_path: Path):
    text = f'{ROW}key_env = "A_KEY"\nheaders = {{ "X-Team" = "b" }}\nconnect_retries = 0\nidle_timeout_s = 5\n'
    (row,) = load(tmp_path, text, A_KEY="secret")
    assert (row.headers, row.key_env, row.connect_retries, row.idle_timeout_s) == ({"x-team": "b"}, "A_KEY", 0, 5.0)
    assert "secret" not in repr(row)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('url = "ftp://a"', "row 1 ('a'), url: should be empty or start with http://, https://"),
        ('url = ""', "row 1 ('a'), url: Value should have at least 1 item"),
        ('models = "gpt*"', "row 1 ('a'), models: should be a valid tuple"),
        ("models = []", "'a', models: is empty, and no row falls back to it: nobody would ever reach it"),
        ('key_env = "GONE"', "'a', key_env: the environment has no GONE"),
        ('key_env = "BAD"', "'a', key_env: what BAD holds cannot be sent in a header"),
        ('fallback = "a"', "'a', fallback: names no other row"),
        ('fallback = "nobody"', "'a', fallback: names no other row"),
        ('headers = { "a b" = "c" }', "row 1 ('a'), headers: 'a b' is no header that can be sent"),
        ('headers = { a = "b\\nc" }', "row 1 ('a'), headers: 'a' is no header that can be sent"),
        ("connect_retries = 11", "row 1 ('a'), connect_retries: should be less than or equal to 10"),
        ("idle_timeout_s = 0", "row 1 ('a'), idle_timeout_s: should be greater than 0"),
        ("colour = 1", "row 1 ('a'), colour: is no key of a row; there are: name, url, models, "),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_file_row_and_field(tmp_path: Path, line: str, fault: str):
    key = line.partition(" ")[0]
    kept = [each for each in ROW.splitlines() if not each.startswith(f"{key} ")]
    message = refusal(tmp_path, "\n".join([*kept, line]), BAD="two\nlines")
    assert f"the upstream file {tmp_path / 'upstreams.toml'} cannot be used:\n- {fault}" in message


def test_a_fallback_has_none_itself(tmp_path: Path):
    rows = [ROW.replace('"a"', f'"{name}"') + f'fallback = "{to}"\n' for name, to in ("ab", "bc")]
    message = refusal(tmp_path, "".join([*rows, ROW.replace('"a"', '"c"')]))
    assert "'a', fallback: 'b' falls back itself; one step is all there is" in message


def test_a_row_without_models_may_be_what_others_fall_back_to(tmp_path: Path):
    spare = '[[upstream]]\nname = "spare"\nurl = "http://b"\n'
    assert [row.models for row in load(tmp_path, f'{ROW}fallback = "spare"\n{spare}')] == [("*",), ()]


def test_an_empty_file_is_refused(tmp_path: Path):
    assert "there is no [[upstream]] in it" in refusal(tmp_path, "")
