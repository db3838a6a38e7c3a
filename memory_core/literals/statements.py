"""Quoted strings, and statements whose value is plain words: "name: Ada", "my cat is called Ira", "MODE=fast"."""

import re
from collections.abc import Iterator

from memory_core.literals.literal import Reading

_QUOTED = re.compile(
    r'"[^"\n]{1,200}"|“[^”\n]{1,200}”|„[^“”\n]{1,200}[“”]|«[^»\n]{1,200}»|»[^«\n]{1,200}«|「[^」\n]{1,200}」'
    r"|『[^』\n]{1,200}』|`[^`\n]{1,200}`"
)
_SINGLE_QUOTED = re.compile(r"(?<!\w)‘[^’\n]{1,120}’(?!\w)|(?<![\w'])'[^'\n]{1,120}'(?![\w'])")
"""Apart, since an apostrophe is no quotation mark where a letter stands at it."""

_LINE = re.compile(
    r"^[ \t]{0,8}(?:[-*•+][ \t]{1,3}|\d{1,3}[.)][ \t]{1,3})?[*_`\"]{0,3}"
    r"(?P<key>[^\W\d_][\w'’./ -]{0,38}?)[*_`\"]{0,3}[ \t]{0,2}"
    r"(?:(?<!\d)[:：]|(?<=\d)[:：](?=[ \t])|(?<=[ \t])=(?=[ \t]))"
    r"[*_]{0,2}[ \t]{0,3}(?P<value>[^\s].{0,78})$",
    re.MULTILINE,
)
_NAME = r"[^\W\d_][\w'’-]{0,30}"
_OWNED = re.compile(
    rf"\b(?:my|our|mein|meine|unser|unsere)[ ](?P<key>{_NAME}(?:[ ]{_NAME}){{0,3}}?)(?:'s|’s)?[ ]"
    r"(?:is|are|was|ist|sind|heißt|lautet)(?:[ ](?:called|named|now))?[ ]"
    r"(?P<value>[^\s.,;:!?()][^.,;:!?()\n]{0,58}?)(?=[.,;:!?()\n]|$|[ ](?:and|but|because|so|which|who|und|aber)[ ])",
    re.IGNORECASE,
)
_OWNER = re.compile(r"[Mm]y |[Oo]ur |mein|unser|Mein|Unser|MY |OUR ")
_ASSIGNED = re.compile(r"(?<![\w.?&/-])(?P<key>[A-Za-z_][\w.-]{1,40})=(?P<value>[^\s,;&\"'`(){}=]{1,200})(?!\w)")

_PROSE_KEYS = frozenset(
    "note notes example examples hi hello dear answer question tip tips warning step steps e.g i.e p.s ps summary here "
    "hint remember http https following for instance hinweis beispiel".split()
)
_KEY_WORDS_MAX = 4
_VALUE_WORDS_MAX = 8
_WEAK_VALUES = frozenset(
    "not a an the so very that to going being also too just really quite always never still in on at from about what "
    "trying looking getting having coming pretty kind sehr nicht so ein eine der die das auch".split()
)
"""A value that begins so describes ("my car is very old") and need not survive byte for byte."""

_SENTENCE = re.compile(
    r"(?:the|a|an|i|i'm|you|he|she|it|it's|we|they|this|that|there|if|when|please|let's|what|how|ich|du|wir|das|es)[ ]",
    re.IGNORECASE,
)
"""What begins so after a colon is a sentence, not a value."""


def quotations(text: str) -> Iterator[Reading]:
    """Every quoted string with its marks, but no keys of JSON; `value` is what stands between the marks."""
    single = _SINGLE_QUOTED.finditer(text) if "'" in text or "‘" in text else ()
    for match in (*_QUOTED.finditer(text), *single):
        found = match.group()
        if found[1:-1].strip() and text[match.end() : match.end() + 1] != ":":
            yield Reading("quoted", match.start(), match.end(), found[1:-1])


def statements(text: str) -> Iterator[Reading]:
    """Every key with a value of plain words: lines "key: value", "my key is value", KEY=value."""
    if ":" in text or "=" in text or "：" in text:
        for match in _LINE.finditer(text):
            if not _SENTENCE.match(match.group("value")):
                yield from _statement(match, match.group("key"), match.group("value"))
    for match in _OWNED.finditer(text) if _OWNER.search(text) else ():
        value = match.group("value")
        if value.split(maxsplit=1)[0].casefold() not in _WEAK_VALUES:
            yield from _statement(match, match.group("key"), value)
    if "=" in text:
        for match in _ASSIGNED.finditer(text):
            yield from _statement(match, match.group("key"), match.group("value"))


def _statement(match: re.Match[str], key: str, value: str) -> Iterator[Reading]:
    folded = " ".join(key.casefold().split())
    words = folded.split()
    value = value.rstrip(" \t\r*_")
    if not value or len(words) > _KEY_WORDS_MAX or words[0] in _PROSE_KEYS or len(value.split()) > _VALUE_WORDS_MAX:
        return
    start = match.start("value")
    yield Reading("statement", start, start + len(value), " ".join(value.casefold().split()), key=folded)
