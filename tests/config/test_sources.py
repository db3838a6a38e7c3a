"""Which file is read, and what happens when it cannot be."""

from pathlib import Path

import pytest

from config.settings import load_settings
from config.sources import SettingsError


def test_the_file_in_the_config_folder_is_read_if_it_is_there(own_config_folder: Path):
    assert load_settings({}, environ={}).port == 8400
    (own_config_folder / "isocost").mkdir(parents=True)
    (own_config_folder / "isocost" / "isocost.toml").write_text("port = 1")
    assert load_settings({}, environ={}).port == 1


def test_isocost_config_names_the_file_and_the_argument_beats_it(tmp_path: Path):
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("port = 1")
    two.write_text("\ufeffport = 2", encoding="utf-8")  # with the mark that some editors put first
    assert load_settings({}, environ={"ISOCOST_CONFIG": str(one)}).port == 1
    assert load_settings({}, two, {"ISOCOST_CONFIG": str(one)}).port == 2


@pytest.mark.parametrize("by_argument", [True, False])
def test_a_named_file_has_to_be_there(tmp_path: Path, by_argument: bool):
    missing = tmp_path / "missing.toml"
    with pytest.raises(SettingsError, match=r"missing\.toml cannot be read: No such file"):
        if by_argument:
            load_settings({}, missing, {})
        else:
            load_settings({}, environ={"ISOCOST_CONFIG": str(missing)})


@pytest.mark.parametrize("content", [b"port =", b"port = 1\nport = 2", b"\xff\xfe", b"= 1"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes):
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"broken\.toml is not TOML: "):
        load_settings({}, file, {})


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings({}, tmp_path, {})


def test_other_variables_are_left_alone():
    assert load_settings({}, environ={"ISO_PORT": "1", "PORT": "2", "ISOCOSTPORT": "3"}).port == 8400
