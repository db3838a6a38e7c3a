"""The sentences a wrong setting gets: what, where, why, and what would be right.

No sentence repeats a value that may hold a password (fields with `repr=False`), nor the value of a name that we
do not know.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from config.sources import Source

SERVICE_LINK = re.compile(r"^ISOCOST_(SERVICE_|PORT_\d)|^ISOCOST_PORT=tcp://")
"""What Kubernetes injects into the pods beside a Service that is named `isocost`."""


def range_of(field: FieldInfo) -> str:
    """`1..65535`, `one of auto, compact`, `true or false`, or `` for free text."""
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    ends = [next((getattr(m, end) for m in field.metadata if hasattr(m, end)), None) for end in ("ge", "le")]
    return "" if None in ends else f"{ends[0]}..{ends[1]}"


def unknown(source: Source, name: str, fields: Mapping[str, FieldInfo]) -> str:
    """The sentence for a name that is no setting."""
    closest = difflib.get_close_matches(name, list(fields), n=3, cutoff=0.0)
    return (
        f"{source.spell(name)} in {source.place} is no setting; "
        f"closest valid names: {', '.join(map(source.spell, closest))}{_service_link(source, name)}"
    )


def wrong(refused: ValidationError, sources: Sequence[Source], fields: Mapping[str, FieldInfo]) -> list[str]:
    """A sentence for each value that was refused; the last of `sources` that has it is where it came from."""
    sentences = []
    for error in refused.errors(include_url=False, include_input=False, include_context=False):
        problem = re.sub("^(Value error, |Input )", "", error["msg"]).replace("String should", "should")
        if not error["loc"]:  # two settings that do not fit together: the problem names them
            sentences.append(problem)
            continue
        name = str(error["loc"][0])
        source = next(source for source in reversed(sources) if name in source.values)
        span = range_of(fields[name])
        allowed = f" ({span})" if ".." in span else ""
        got = f"; got {_short(source.values[name])}" if fields[name].repr else ""
        sentences.append(f"{source.spell(name)} in {source.place} {problem}{allowed}{got}{_service_link(source, name)}")
    return sentences


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _service_link(source: Source, name: str) -> str:
    if not SERVICE_LINK.search(f"{source.spell(name)}={source.values[name]}"):
        return ""
    return " (this looks like a Kubernetes service link: set enableServiceLinks: false in the pod)"
