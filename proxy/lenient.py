"""Splits JSON that msgspec refuses and the standard library reads: lone surrogates, NaN, a byte order mark.

As in wire.py the members stay raw, so that what is odd about them reaches the upstream as it came.
"""

import json
import re

_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
_between = re.compile(r"[\s,:]*").match


def split_object(body: bytes) -> dict[str, bytes] | None:
    """The raw values of a JSON object by name; None if it is valid JSON but no object; ValueError if it is neither."""
    text = body.decode("utf-8-sig").strip(" \t\r\n")
    try:
        _, end = _scan(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if end != len(text):
        raise ValueError("text after the JSON")
    if not text.startswith("{"):
        return None
    found = members(text)
    names = (json.loads(name) for name in found[::2])
    return dict(zip(names, found[1::2], strict=True))


def members(text: str) -> list[bytes]:
    """The raw members of a valid JSON list, or an object's names and values in turn."""
    found = []
    place = _after(text, 1)
    while text[place] not in "]}":
        _, end = _scan(text, place)
        found.append(text[place:end].encode())
        place = _after(text, end)
    return found


def _after(text: str, place: int) -> int:
    between = _between(text, place)
    return place if between is None else between.end()
