"""Where the commands print, and what they share."""

import sys

import cyclopts
from rich.console import Console
from rich.text import Text

PIPED_COLUMNS = 160
"""A table that goes into a file or a pipe is not cut to the 80 columns of a terminal that is not there."""

NAME_CHARACTERS = 100

console = Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS)

Flag = cyclopts.Parameter(show_default=False)
"""For a flag that is a setting: environment, file and default stand behind it."""


def name(text: str) -> Text:
    """A name as a client may have sent it: no markup, nothing that moves the terminal's cursor, and not for ever."""
    short = text if len(text) <= NAME_CHARACTERS else f"{text[: NAME_CHARACTERS - 1]}…"
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short))
