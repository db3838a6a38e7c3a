"""Where settings come from: a file, the environment, flags; each remembers its place for the error sentences."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

PREFIX = "ISOCOST_"


class SettingsError(ValueError):
    """Settings that cannot be used; the message lists every problem, one a line."""


@dataclass(frozen=True, slots=True)
class Source:
    """Values by setting name, and how this source spells a name (`port`, `ISOCOST_PORT`, `--port`)."""

    place: str
    values: Mapping[str, object]
    spell: Callable[[str], str]


def gather(flags: Mapping[str, object], config_file: Path | None, environ: Mapping[str, str]) -> list[Source]:
    """File, environment, flags: the later one wins. Raises SettingsError where the file cannot be read."""
    named = config_file or environ.get(f"{PREFIX}CONFIG")
    file = Path(named) if named else platformdirs.user_config_path("isocost") / "isocost.toml"
    from_environ = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG"
    }
    given = {name: value for name, value in flags.items() if value is not None}
    return [
        Source(f"the file {file}", _read(file) if named or file.exists() else {}, str),
        Source("the environment", from_environ, lambda name: PREFIX + name.upper()),
        Source("the flags", given, lambda name: f"--{name.replace('_', '-')}"),
    ]


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"the config file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are both one
        raise SettingsError(f"the config file {file} is not TOML: {error}") from error
