"""A bias file is read whole or refused with a sentence that names the place."""

from pathlib import Path

import pytest

from config.bias import BiasWords, load_bias
from config.sources import SettingsError

EXAMPLE = Path(__file__).parents[2] / "config" / "bias.example.toml"


def written(folder, text):
    file = folder / "bias.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_is_a_bias_file():
    words = load_bias(EXAMPLE)
    assert (len(words.anchors), len(words.triggers), len(words.negative_attractors)) == (1, 1, 1)
    assert words.triggers[0].keywords == ("allergy", "allergic", "intolerance")
    assert len(words.texts) == 3


def test_an_empty_file_is_no_bias(tmp_path):
    assert load_bias(written(tmp_path, "")) == BiasWords()
    assert BiasWords().texts == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[[anchors]]\nname = "a"\ntext = "t"\nboost = 1.5', "anchors.0.boost"),
        ('[[anchors]]\nname = "a"', "anchors.0.text"),
        ('[[triggers]]\ntext = "t"', "triggers.0.name"),
        ('[[negative_attractors]]\nname = "n"\ntext = "t"\nthreshold = 1.0', "negative_attractors.0.threshold"),
        ('[[ankers]]\nname = "a"\ntext = "t"', "ankers"),
        ("anchors = nan", "anchors"),
        ("[[anchors", "not TOML"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, place):
    with pytest.raises(SettingsError, match=place):
        load_bias(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_bias(tmp_path / "none.toml")
