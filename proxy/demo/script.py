"""The conversation of the demo: what the user says, which facts are planted, when they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import msgspec


@dataclass(frozen=True, slots=True)
class Line:
    """One user message. `plants` and `asks` are keys of `Script.facts`."""

    say: str
    plants: str | None = None
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """`facts` maps a key to the exact substring that must stand in the prompt when the key is asked for."""

    title: str
    facts: Mapping[str, str]
    turns: tuple[Line, ...]


def load_script() -> Script:
    """The script that ships with the package."""
    return msgspec.json.decode(resources.files(__package__).joinpath("script.json").read_bytes(), type=Script)
