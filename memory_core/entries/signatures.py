"""What makes two error messages one: the message without its paths, numbers, addresses and ids."""

import re

from memory_core.entries.kinds import SIGNATURE_CHARS_MAX
from memory_core.entries.sentences import one_line

_MESSAGE_CHARS = 300

_SOURCE = "py|pyi|js|jsx|mjs|ts|tsx|go|rs|c|cc|cpp|h|hpp|java|kt|rb|php|cs|swift|json|toml|ya?ml|txt|sh"
_NORMAL_FORMS = (
    (re.compile(r"\x1b\[[\d;]{0,12}m"), ""),
    (re.compile(r"\b[a-z][a-z\d+.-]{1,12}://[^\s\"'<>)]{1,300}"), "<url>"),
    (re.compile(r"\b[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b0x[\da-fA-F]+\b"), "<hex>"),
    (re.compile(r"(?<![\w<.~@/\\-])(?:[A-Za-z]:)?[\w.~@-]{0,60}(?:[/\\][\w.~@+-]{1,80})+(?:[:(]\d+){0,2}"), "<path>"),
    (re.compile(rf"(?<![\w.-])[\w-]+\.(?:{_SOURCE})\b(?:[:(]\d+){{0,2}}"), "<path>"),
    (re.compile(r"\b(?=[\da-f]{0,64}\d)(?=\d{0,64}[a-f])[\da-f]{7,64}\b"), "<id>"),
    (re.compile(r"\b[a-z][a-z_-]{0,40}[_-][\da-f]{0,40}\d[\da-f]{0,40}\b|\b[a-z]{1,30}\d{3,20}\w{0,30}\b"), "<id>"),
    (re.compile(r"(?<![\w<])[-+]?\d+(?:[.,:]\d+)*(?:(?:ns|us|ms|s|m|h|kB|KB|MB|GB)\b)?"), "<n>"),
)
"""In this order: a path holds numbers, an id may look like a word. Codes in capitals (TS2322, E0308) stay."""


def signature(message: str) -> str:
    """The normal form of an error message, one line, at most SIGNATURE_CHARS_MAX characters."""
    line = message[:_MESSAGE_CHARS]
    for form, name in _NORMAL_FORMS:
        line = form.sub(name, line)
    return one_line(line, SIGNATURE_CHARS_MAX).rstrip(" .:") or "error"
