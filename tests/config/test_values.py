"""URLs by their scheme, keys by what a header can carry."""

import pytest

from config.settings import load_settings
from config.sources import SettingsError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upstream", ""),
        ("upstream", "http://127.0.0.1:11434"),
        ("upstream", "https://api.openai.com/v1"),
        ("store", ""),
        ("store", "sqlite:////data/isocost.sqlite"),
        ("store", "redis+sentinel://a:1,b:2/main/0"),
        ("store", "redis+cluster://a:1"),
        ("store", "memory://"),
    ],
)
def test_a_url_of_a_known_scheme_passes(name: str, value: str):
    assert getattr(load_settings({name: value}, environ={}), name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("upstream", "localhost:11434"), ("store", "postgres://h"), ("store", "x")]
)
def test_another_scheme_is_refused_with_those_that_pass(name: str, value: str):
    with pytest.raises(SettingsError, match=f"--{name} in the flags should be empty or start with "):
        load_settings({name: value}, environ={})


@pytest.mark.parametrize("key", ["a b", "a\n", "a\r\nx: y", "ключ", "\0"])
def test_a_key_that_no_header_carries_is_refused(key: str):
    with pytest.raises(SettingsError, match="--upstream-key in the flags should be printable ASCII"):
        load_settings({"upstream_key": key}, environ={})
