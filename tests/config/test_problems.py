"""A wrong setting names itself, where it came from, and what would be right; it never tells a secret."""

from pathlib import Path

import pytest

from config.settings import load_settings
from config.sources import SettingsError


def refusal(flags: dict[str, object], environ: dict[str, str] | None = None, toml: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, toml, environ if environ is not None else {})
    return str(caught.value)


def test_an_unknown_name_is_told_in_its_source_s_spelling_with_the_closest(tmp_path: Path):
    file = tmp_path / "isocost.toml"
    file.write_text("prot = 1")
    message = refusal({"work_ers": 2}, {"ISOCOST_STOR": "x"}, file)
    assert f"prot in the file {file} is no setting; closest valid names: port, " in message
    assert "ISOCOST_STOR in the environment is no setting; closest valid names: ISOCOST_STORE, " in message
    assert "--work-ers in the flags is no setting; closest valid names: --workers, " in message


def test_all_problems_are_told_at_once():
    message = refusal({"port": 70000, "mode": "fast", "metrics": "perhaps"}, {"ISOCOST_X": "1"})
    assert message.startswith("these settings cannot be used:\n- ")
    assert message.count("\n- ") == 4


def test_a_wrong_value_is_told_with_its_range():
    assert "--port in the flags should be less than or equal to 65535 (0..65535); got 70000" in refusal({"port": 70000})
    assert "--mode in the flags should be 'auto', 'passthrough' or 'compact'; got 'fast'" in refusal({"mode": "fast"})


def test_the_winning_source_is_blamed():
    message = refusal({"port": 70000}, {"ISOCOST_PORT": "80000"})
    assert "--port" in message and "ISOCOST_PORT" not in message


def test_true_is_no_number(tmp_path: Path):
    file = tmp_path / "isocost.toml"
    file.write_text("workers = true")
    assert "workers in the file" in (message := refusal({}, toml=file)) and "should be a number (1..64)" in message


def test_a_table_is_an_unknown_name(tmp_path: Path):
    file = tmp_path / "isocost.toml"
    file.write_text("[proxy]\nport = 1")
    assert "proxy in the file" in refusal({}, toml=file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upstream_key", "hunter2 "),
        ("embedder_key", "hunter2\n"),
        ("upstream", "ftp://u:hunter2@h"),
        ("store", "rediss:/u:hunter2@h"),
        ("not_a_key", "hunter2"),
    ],
)
def test_no_secret_is_repeated(name: str, value: str, tmp_path: Path):
    for message in (refusal({name: value}), refusal({}, {f"ISOCOST_{name.upper()}": value})):
        assert "hunter2" not in message
        assert name.upper() in message or name.replace("_", "-") in message
    file = tmp_path / "isocost.toml"
    file.write_text(f"{name} = ['hunter2']")  # not even the wrong type
    assert "hunter2" not in refusal({}, toml=file)


def test_a_long_value_is_cut():
    assert len(refusal({"mode": "x" * 10_000})) < 300


def test_a_kubernetes_service_link_is_recognised():
    hint = "set enableServiceLinks: false in the pod"
    assert hint in refusal({}, {"ISOCOST_PORT": "tcp://10.0.0.1:8400"})
    assert hint in refusal({}, {"ISOCOST_SERVICE_HOST": "10.0.0.1"})
    assert hint not in refusal({}, {"ISOCOST_PORT": "x"})
