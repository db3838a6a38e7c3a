"""What the surface of a text says about it: who speaks, whether it asks, whether it tells a time, whom a query means.

Cheap and approximate on purpose: a cue only tips the scales in recall.py, it decides nothing by itself. English first,
with the commonest words of German, French and Spanish; a text in another language simply gives no cue.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from memory_core.lexical import query_words, words

_STAMP = re.compile(r"\s*\[(?=[^\[\]\n]*\d)[^\[\]\n]{4,60}\]\s*|\s*\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d[^\s\]]{0,20}\s+")
"""A date that a client put in front of a message: "[1:56 pm on 8 May, 2023]", "2023-05-08 13:56"."""

_SPEAKER = re.compile(r"([^\W\d_][\w .'’-]{0,40}?):\s")

_TIME_WORDS = (
    "yesterday|today|tonight|tomorrow|recently|ago|last|next|weekend|weeks?|months?|years?|monday|tuesday|wednesday|"
    "thursday|friday|saturday|sunday|january|february|march|april|june|july|august|september|october|november|december|"
    "in may|gestern|heute|morgen|letzten?|nächsten?|hier|demain|semaine|ayer|hoy|mañana"
).split("|")


def _by_initial(alternatives: Iterable[str]) -> str:
    """A pattern of these words by their initials: most words of a text are then compared with few of them or none."""
    rests: dict[str, list[str]] = {}
    for word in alternatives:
        rests.setdefault(word[0], []).append(word[1:])
    groups = [f"{initial}(?:{'|'.join(found)})" for initial, found in rests.items()]
    return f"(?=[{''.join(rests)}])(?:{'|'.join(groups)})"


_WHEN = re.compile(
    rf"\b(?:{_by_initial(_TIME_WORDS)}|(?:19|20)\d\d|\d{{1,2}}[:./]\d\d)\b",
    re.IGNORECASE,
)

_FIRST_PERSON = frozenset(
    "i my me mine we our us ich mein meine meinen mir mich wir unser je mon ma mes moi nous yo mi mis nosotros".split()
)

_ANSWERED = re.compile(
    r"\bremind me\b|\byou (?:told|said|mention\w*|suggest\w*|recommend\w*|provided|gave|list\w*|wrote|explain\w*)\b|"
    r"\b(?:our|the) (?:previous|last|earlier) (?:chat|conversation|discussion)\b|\bdu (?:hast|hattest)\b|\btu as dit\b",
    re.IGNORECASE,
)
"""The question is about what the other side answered."""

STORY_CHARS = 200
"""Of so many characters before its question a message has stated something."""

_SENTENCE_END = re.compile(r"[.!?…。！？؟\n]")
_QUESTION_MARKS = ("?", "？", "؟")


def stamp(text: str) -> str:
    """The date in front of a text, with its brackets and the space around it; "" if there is none."""
    found = _STAMP.match(text)
    return found.group() if found else ""


def without_stamp(text: str) -> str:
    """The text without a date in front of it: a clock says nothing of the meaning that a vector is to hold."""
    return text[len(stamp(text)) :]


def speaker(text: str) -> str:
    """The name before the first colon, folded ("caroline" of "[8 May] Caroline: hi"); "" if there is none."""
    found = _SPEAKER.match(without_stamp(text[:120]))
    return " ".join(words(found.group(1))) if found else ""


def asks(text: str) -> bool:
    """It is a question, or ends as one after hardly anything else: who tells a story and then asks has told it."""
    if not any(mark in text[-3:] for mark in _QUESTION_MARKS):
        return False
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, len(text) - 3)]
    return not ends or len(without_stamp(text[: ends[-1]])) < STORY_CHARS


def tells_when(text: str) -> bool:
    """It speaks of a time, its stamp apart."""
    return _WHEN.search(without_stamp(text)) is not None


def named(query: str, names: Collection[str]) -> list[str]:
    """Which of these folded names stand in the query, in their order."""
    if not names:
        return []
    said = f" {' '.join(query_words(query))} "
    return [name for name in names if f" {name} " in said]


@lru_cache(maxsize=2)
def meant(query: str) -> str:
    """Whose words a query that names nobody is about: "assistant" (what you told me), "user" (my …) or ""."""
    if _ANSWERED.search(query):
        return "assistant"
    return "user" if not _FIRST_PERSON.isdisjoint(query_words(query)) else ""
