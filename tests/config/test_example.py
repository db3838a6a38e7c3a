"""isocost.example.toml is settings.py, rendered."""

import re
import tomllib
from pathlib import Path

from config.example import EXAMPLE, render
from config.settings import Settings, load_settings


def uncommented() -> str:
    return re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_file_is_fresh():
    assert EXAMPLE.read_text(encoding="utf-8") == render(), "stale: run python -m config.example"


def test_everything_in_it_is_commented_out():
    assert tomllib.loads(EXAMPLE.read_text(encoding="utf-8")) == {}


def test_uncommented_it_holds_every_setting_in_order_and_loads_to_the_defaults(tmp_path: Path):
    assert list(tomllib.loads(uncommented())) == list(Settings.model_fields)
    file = tmp_path / "isocost.toml"
    file.write_text(uncommented(), encoding="utf-8")
    assert load_settings({}, file, {}) == load_settings({}, environ={})


def test_each_key_stands_under_its_reason_and_range():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "# Port to listen on. 0 takes a free one, for tests. Range: 0..65535.\n#port = 8400\n" in text
    assert text.index("# == Store") < text.index("#store = ") < text.index("# == Prompt")
