"""Where sentences end, in any script: a run of terminators, what closes after it, and the space that follows.

A full stop is the only doubtful one. What is listed here are the abbreviations that are common in chats; an unlisted
one costs a sentence cut in two, never a lost word. Rules over a learned model (Punkt): same cut on any machine.
"""

import re
from collections.abc import Iterator

_CLOSERS = r"\"'”’»›)\]}」』）］】》〉*_"
_TERMINATOR = re.compile(
    rf"(?P<marks>[.!?…‽]++)(?P<close>[{_CLOSERS}]*+)(?P<space>\s*+)"
    rf"|[。！？｡؟۔।॥։።፧။។៕\u037e][。！？!?]*+[{_CLOSERS}]*+\s*+"
    r"|(?<=[\u0e00-\u0eff])\s++(?=[\u0e00-\u0eff])"
)
"""Latin, Greek and Cyrillic marks end a sentence before a space; those of other scripts always; Thai and Lao write no
mark, their spaces stand between clauses. Each branch takes whole runs and cannot fail half-way: linear on any text."""

_NEVER_LAST = frozenset(
    "dr mr mrs ms mx prof rev hon gen col sgt capt lt st mt messrs mme mlle sra srta dña ing dipl "
    "e.g eg i.e ie cf vs viz resp incl excl approx ca bzw vgl evtl ggf inkl z.b d.h u.a p.ej p.ex т.е т.к".split()
)
_LAST_BEFORE_CAPITAL = frozenset("etc inc ltd co corp jr sr usw ff al a.m p.m ph.d bros dept est т.д т.п".split())
_BEFORE_NUMBER = frozenset("no nr nos fig figs vol ch sec art p pp pg par eq ed núm pág bd s č".split())
_DOTTED_LETTERS = re.compile(r"(?:\w\.)+\w")
_MONTH = re.compile(r"Jan|Feb|März|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez")
"""German writes "am 3. Mai" with a capital; where months are small, the small letter tells."""

_WORD_CHARS_MAX = 16
_OPENERS = "([{\"'“‘«‹„*_"


def sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """Places inside text[start:end] where a sentence and the space after it end; the range's own end is not one."""
    for match in _TERMINATOR.finditer(text, start, end):
        if match.end() < end and (match["marks"] is None or _is_last(text, start, match)):
            yield match.end()


def _is_last(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether marks of a Latin kind end the sentence."""
    if not match["space"]:
        return False
    following = text[match.end()]
    if match["marks"] != ".":
        trailing_off = match["marks"].startswith(("..", "…"))
        return not (following.islower() and (trailing_off or match["close"]))
    window = text[max(start, match.start() - _WORD_CHARS_MAX) : match.start()]
    word = (window.split() or [""])[-1].lstrip(_OPENERS)
    if word.isdigit():
        opens_a_list = match.start() - start <= _WORD_CHARS_MAX and window.strip() == word
        is_date = len(word) <= 2 and _MONTH.match(text, match.end()) is not None
        return not (opens_a_list or is_date or following.islower())
    return _may_be_last(word, following)


def _may_be_last(word: str, following: str) -> bool:
    """Whether a full stop after `word` ends a sentence, before a text that begins with the character `following`."""
    known = word.lower()
    if known in _LAST_BEFORE_CAPITAL:
        return following.isupper()
    if known in _BEFORE_NUMBER:
        return not following.isdigit()
    is_initial = len(word) == 1 and word.upper() != word.lower() and word != "I"
    return not (is_initial or known in _NEVER_LAST or _DOTTED_LETTERS.fullmatch(word))
