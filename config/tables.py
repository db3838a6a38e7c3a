"""Files of rows: `[[price]]`, `[[upstream]]`. Read, checked, and each fault told with its file, row and field."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from config.sources import SettingsError

Row = TypeVar("Row")


def read_rows(file: Path, key: str, row: type[Row]) -> tuple[Row, ...]:
    """The rows under [[key]], in order, no two of one name; `row` is a dataclass that pydantic can check.

    Raises SettingsError with a sentence for each fault.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"the {key} file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are both one
        raise SettingsError(f"the {key} file {file} is not TOML: {error}") from error
    rows, faults = table.pop(key, []), [f"{name} is unknown: rows stand under [[{key}]]" for name in table]
    if not isinstance(rows, list):
        rows, faults = [], [*faults, f"{key} should be [[{key}]], a table for each row"]
    found: tuple[Row, ...] = ()
    try:
        found = TypeAdapter(tuple[row, ...]).validate_python(tuple(rows))  # type: ignore[valid-type]
    except ValidationError as refused:
        faults += _faults(refused, rows, row)
    names = Counter(getattr(each, "name", "") for each in found)
    faults += [f"two rows are named {name!r}" for name, count in names.items() if count > 1]
    if faults:
        raise SettingsError("\n- ".join([f"the {key} file {file} cannot be used:", *faults]))
    return found


def _faults(refused: ValidationError, rows: Sequence[Any], row: Any) -> Iterator[str]:
    """`row 3 ("mine"), read: ...` for each fault; unknown keys get the keys there are."""
    for error in refused.errors(include_url=False, include_context=False, include_input=False):
        place, *field = error["loc"]
        given = rows[int(place)]
        name = f" ({given['name']!r})" if isinstance(given, dict) and "name" in given else ""
        problem = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if error["type"] == "unexpected_keyword_argument":
            problem = f"is no key of a row; there are: {', '.join(each.name for each in fields(row))}"
        elif error["type"] == "missing":
            problem = "is missing"
        yield f"{', '.join([f'row {int(place) + 1}{name}', *map(str, field)])}: {problem}"
