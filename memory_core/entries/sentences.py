"""Where a sentence begins and ends, whether a phrase is a statement of its own, and how a sentence is quoted.

Every look at the surroundings of a phrase is bounded, so many phrases in a long text cost linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from memory_core.entries.kinds import QUOTE_CHARS_MAX
from memory_core.lexical import STOP_WORDS, terms

AROUND_CHARS = 400
"""How far a sentence is followed to either side of a phrase."""

CANDIDATES_MAX = 500
"""Phrases looked at in one text; more of one kind is no talk but a list, a log or an attack."""

_BOUNDARY = re.compile(
    r"[.!?…\n。！？](?:(?<=[。！？])|(?<=\n)(?:\s{0,9}(?![a-zäöüß\s])|[ \t]{0,9}\n)"
    r"|(?<=[.!?…])[\"'”’)\]*_]{0,4}\s(?<!\b[eEiIdzu]\.[gGeEhBa]\.\s)(?<!\b[DMS][rst]\.\s)(?<!\bMrs\.\s)(?<!\bvs\.\s)"
    r"(?<!\bbzw\.\s)(?<!\bca\.\s))"
)
"""After a full stop that ends no abbreviation; at a line's end, unless a wrapped line goes on in lower case."""

_BULLET = re.compile(r"\s*(?:(?:[-*•+–]|\(?\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)?")

_FENCED = re.compile(r"^[ \t]{0,8}(```|~~~).*?(?:^[ \t]{0,8}\1[^\n]*|\Z)", re.MULTILINE | re.DOTALL)
_NOT_SAID = re.compile(r"^[ \t]{0,8}(?:>|#{1,6}[ \t])[^\n]*", re.MULTILINE)

_LEAD_IN = re.compile(
    r"(?:(?:ok(?:ay)?|so|and|then|but|well|right|alright|yes|yep|yeah|sure|good|great|fine|cool|perfect|actually|"
    r"therefore|thus|hence|finally|eventually|ultimately|instead|anyway|now|today|yesterday|also|hmm|no|wait|"
    r"after all|in the end|for now|please|note that|note|remember|reminder|important|rule|btw|by the way|hey|hi|"
    r"hello|thanks|thank you|plus|oh|one thing|to be clear|fyi|as you know|because|since|i think|i guess|and that|"
    r"the|our|my|final|actual|real|root|underlying|it|this|"
    r"also gut|und|dann|aber|nein|ja|jetzt|heute|gestern|schließlich|bitte|wichtig|denn)\b[ .!*_-]{0,3}){0,4}",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[,;:–—(\"“]| - |[.!?…]\s")
_CONDITION = re.compile(
    r"(?:if|unless|when(?:ever)?|should|would|could|suppose|imagine|let['’]s say|say|assum\w{2,3}|what|why|how|who|"
    r"where|whether|did|do|does|have|has|had|can|once|before|until|maybe|perhaps|wenn|falls|sobald|ob|warum|wieso|"
    r"was|wer|vielleicht|angenommen|bevor|bis)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Prose:
    """What a writer says, and the same in lower case, character for character: there, patterns run fast."""

    text: str
    lower: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase found in a text at `start`, with its sentence `before` and `after` it."""

    start: int
    before: str
    phrase: str
    after: str

    @property
    def quote(self) -> str:
        """The sentence, one line, without a list's bullet, its end left out beyond QUOTE_CHARS_MAX."""
        return one_line(self.before + self.phrase + self.after)

    @property
    def opening(self) -> str:
        """What stands before the phrase in its own clause."""
        return self._clauses()[-1]

    @property
    def is_asserted(self) -> bool:
        """Neither asked nor tied to a condition, nor cut out of a word."""
        if self.before[-1:].isalnum() or self.after.rstrip("\"'”’)]*_ ").endswith("?"):
            return False
        return not any(map(_CONDITION.match, self._clauses()))

    @property
    def is_stated(self) -> bool:
        """Asserted, and as a clause of its own: only particles before it."""
        return self.is_asserted and bool(_LEAD_IN.fullmatch(self.opening))

    def _clauses(self) -> list[str]:
        return [clause.strip(" \"'“*_`") for clause in _CLAUSE_END.split(self.before)]


def prose(text: str) -> Prose:
    """A text with fenced code, quoted lines and headings made blank lines, every place as it was."""
    if "```" in text or "~~~" in text:
        text = _FENCED.sub(_blank, text)
    if ">" in text or "#" in text:
        text = _NOT_SAID.sub(_blank, text)
    lower = text.lower()
    if len(lower) != len(text):  # İ becomes two characters
        lower = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
    return Prose(text, lower)


def _blank(match: re.Match[str]) -> str:
    return "\n" * len(match[0])


def phrases(cue: re.Pattern[str], said: Prose) -> Iterator[Phrase]:
    """Every match of `cue`, a pattern in lower case, with its sentence, in order."""
    for match in islice(cue.finditer(said.lower), CANDIDATES_MAX):
        yield phrase_at(said.text, match.start(), match.end())


def phrase_at(text: str, start: int, end: int) -> Phrase:
    """The phrase text[start:end] in its sentence, followed for AROUND_CHARS to either side."""
    first = max(0, start - AROUND_CHARS)
    for boundary in _BOUNDARY.finditer(text, first, start):
        first = boundary.end()
    bullet = _BULLET.match(text, first, start)
    first = bullet.end() if bullet else first
    boundary_after = _BOUNDARY.search(text, end, end + AROUND_CHARS)
    last = boundary_after.end() if boundary_after else min(len(text), end + AROUND_CHARS)
    return Phrase(start, text[first:start], text[start:end], text[end:last])


def one_line(text: str, chars_max: int = QUOTE_CHARS_MAX) -> str:
    """`text` with its white space made single blanks; beyond `chars_max` cut at a word, and an ellipsis says so."""
    line = " ".join(text.split())
    if len(line) <= chars_max:
        return line
    cut = line[: chars_max - 1]
    return cut[: cut.rfind(" ") + 1 or None].rstrip() + "…"


def subjects(text: str) -> frozenset[str]:
    """The content terms of a short text."""
    return frozenset(terms(text)) - STOP_WORDS


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Dice's coefficient 2|A∩B| / (|A| + |B|), 0..1; 0 for two empty sets."""
    return 2 * len(one & other) / max(1, len(one) + len(other))
