"""Renders settings.py as isocost.example.toml: every key, commented out, with its default, reason and range.

`python -m config.example` rewrites the file; a test fails when it is stale.
"""

import json
import re
import textwrap
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

import config.settings
from config.problems import range_of
from config.settings import Settings

EXAMPLE = Path(__file__).with_name("isocost.example.toml")
TOP = """\
# isocost.toml: every setting, with its default. Uncomment what you change.
# Looked up as flag (--port), then environment (ISOCOST_PORT), then this file, then the default.
# Read from --config, ISOCOST_CONFIG, or isocost.toml in the user's config folder.
# Generated from config/settings.py by `python -m config.example`; do not edit here."""


def render() -> str:
    """The text of the file. Headings are the `# ==` comments of settings.py, which pydantic does not keep."""
    parts = [TOP]
    source = Path(config.settings.__file__).read_text(encoding="utf-8")
    for heading, name in re.findall(r"^    (?:# == (.+)|(\w+): .*= Field\()", source, re.MULTILINE):
        parts.append(f"# == {heading}" if heading else _setting(name, Settings.model_fields[name]))
    return "\n\n".join(parts) + "\n"


def _setting(name: str, field: FieldInfo) -> str:
    span = range_of(field)
    text = f"{field.description} Range: {span}." if ".." in span else f"{field.description}"
    if span.startswith("one of"):
        text += f" {span.capitalize()}."
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    comment = textwrap.fill(text, 110, initial_indent="# ", subsequent_indent="# ")
    # JSON writes strings, numbers and booleans as TOML does
    return f"{comment}\n#{name} = {json.dumps(default)}"


if __name__ == "__main__":
    EXAMPLE.write_text(render(), encoding="utf-8")
