"""Precedence, ranges, and what one page of knobs promises."""

from pathlib import Path

import platformdirs
import pytest
from pydantic import SecretStr, ValidationError

from config.problems import range_of
from config.settings import Settings, load_settings
from config.sources import SettingsError


def test_without_anything_the_defaults_stand():
    settings = load_settings({}, environ={})
    assert (settings.host, settings.port, settings.mode, settings.context_tokens) == ("127.0.0.1", 8400, "auto", 900)
    assert settings.upstream == "" and settings.metrics is True


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path):
    file = tmp_path / "isocost.toml"
    file.write_text("port = 1\nworkers = 2\nmode = 'compact'\n")
    settings = load_settings({"port": 3}, file, {"ISOCOST_PORT": "2", "ISOCOST_WORKERS": "4"})
    assert (settings.port, settings.workers, settings.mode, settings.host) == (3, 4, "compact", "127.0.0.1")


def test_a_value_that_is_overruled_is_not_checked(tmp_path: Path):
    file = tmp_path / "isocost.toml"
    file.write_text("port = 'nonsense'\n")
    assert load_settings({"port": 3}, file, {}).port == 3


def test_a_flag_that_is_none_was_not_given():
    assert load_settings({"port": None}, environ={"ISOCOST_PORT": "2"}).port == 2


def test_the_process_environment_is_read_by_load_settings_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ISOCOST_PORT", "9")
    assert load_settings({}).port == 9
    assert load_settings({}, environ={}).port == 8400
    assert Settings().port == 8400


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        load_settings({}, environ={}).port = 1


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if ".." in range_of(field)])
def test_both_ends_of_a_range_are_allowed_and_no_more(name: str):
    low, high = (float(end) for end in range_of(Settings.model_fields[name]).split(".."))
    # the queue is held to at least one batch, so give both the room
    room = {"embed_queue_tokens": 100_000_000} if name == "embed_batch_tokens" else {"embed_batch_tokens": 512}
    for end in (low, high):
        assert getattr(load_settings({**room, name: end}, environ={}), name) == end
    for beyond in (low - 1, high + 1, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} in the flags"):
            load_settings({**room, name: beyond}, environ={})


def test_every_setting_has_a_reason_and_a_default_in_its_range():
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name
        if field.annotation in (int, float):
            assert ".." in range_of(field), f"{name} needs ge and le"
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert load_settings(defaults, environ={}) == load_settings({}, environ={})


def test_a_time_and_a_size_name_their_unit():
    units = ("_s", "_mib", "_mib_max", "_tokens")
    for name in Settings.model_fields:
        if any(word in name for word in ("timeout", "cache", "tokens")):
            assert name.endswith(units), name


def test_store_url_is_the_store_or_a_file_in_the_data_folder():
    assert load_settings({"store": "redis://h/0"}, environ={}).store_url == "redis://h/0"
    expected = platformdirs.user_data_path("isocost") / "isocost.sqlite"
    assert load_settings({}, environ={}).store_url == f"sqlite:///{expected}"


def test_several_workers_cannot_share_a_memory_store():
    with pytest.raises(SettingsError, match="workers = 2 needs a store that all see"):
        load_settings({"workers": 2, "store": "memory://"}, environ={})
    assert load_settings({"workers": 2}, environ={}).workers == 2


def test_a_queue_below_one_batch_is_refused():
    with pytest.raises(SettingsError, match="embed_queue_tokens should be at least embed_batch_tokens"):
        load_settings({"embed_queue_tokens": 1000, "embed_batch_tokens": 1001}, environ={})


def test_shares_of_conversations_sum_to_at_most_one():
    whole = load_settings({"shadow_share": 0.4, "holdout_share": 0.6}, environ={})
    assert whole.shadow_share + whole.holdout_share == 1
    with pytest.raises(SettingsError, match="should sum to at most 1"):
        load_settings({"shadow_share": 0.5, "holdout_share": 0.6}, environ={})


def test_the_threshold_that_prices_replaced_is_unknown():
    with pytest.raises(SettingsError, match="ISOCOST_COMPACT_ABOVE_TOKENS in the environment is no setting"):
        load_settings({}, environ={"ISOCOST_COMPACT_ABOVE_TOKENS": "6000"})


def test_neither_repr_nor_str_shows_a_password():
    settings = load_settings(
        {"store": "redis://u:hunter2@h", "upstream": "https://u:hunter2@h", "embedder": "https://u:hunter2@h/v1"},
        environ={"ISOCOST_UPSTREAM_KEY": "hunter2", "ISOCOST_EMBEDDER_KEY": "hunter2"},
    )
    assert "hunter2" not in repr(settings) + str(settings)
    assert settings.upstream_key == SecretStr("hunter2")
