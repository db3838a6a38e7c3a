"""A text as tokens, and the tokens as one string of class letters, which the grammars read."""

import re
from dataclasses import dataclass
from unicodedata import category

from memory_core.literals.lexicon import CURRENCY_CODES, LETTERS

_TOKEN = re.compile(
    r"""
    [ ]?(?:
    (?P<word> [^\W\d_]{2,}+(?:['’][^\W\d_]++)*+(?!\$) )
  | (?P<meridiem> [AaPp]\.\s?[Mm]\.? )
  | (?P<short> (?:U\.?S\.?|NZ|HK|Mex|[ACRS])\$ | U\.S\.? | [^\W\d_]++(?:['’][^\W\d_]++)*+ )
  | (?=\d) (?:
      (?P<stamp> \d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w:]) )
    | (?P<date>  (?<![A-Za-z0-9_/])(?: \d{4}(?P<s1>[-/.])\d{1,2}(?P=s1)\d{1,2}
                 | \d{1,2}(?P<s2>[-/.])\d{1,2}(?P=s2)(?:\d{4}|\d{2}) | \d{4}年\d{1,2}月\d{1,2}日 )
                 (?![\d/]|-[A-Za-z]|\.\d) )
    | (?P<clock> (?<![\d:.])\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?![\d:]) )
    | (?P<partial> (?<![\d/.,])\d{1,3}/\d{1,3}(?![\d/]) )
    | (?P<ordinal> \d{1,3}(?:st|nd|rd|th)(?!\w) )
    | (?P<number> \d{1,3}(?:,\d{2,3}){0,6},\d{3}(?:\.\d{1,20})?(?![\d,]) | \d{1,3}(?:\.\d{3}){1,6},\d{1,20}(?![\d,])
                  | \d{1,3}(?:\.\d{3}){2,6}(?!\d|\.\d)
                  | \d{1,3}(?:['’\u00a0\u202f\u2009]\d{3}){1,6}(?:[.,]\d{1,20})?(?!\d)
                  | \d{1,3}(?:[ ]\d{3}){1,6},\d{1,2}(?!\d) | \d{1,3}(?:[ ]000){1,4}(?![\d.,])
                  | (?<!\d[.,])\d{1,40}[.,٫]\d{1,40}(?![\d]|[.,]\d) | \d++ ) )
  | (?P<part> (?<![\w.])\.\d{1,20}(?![\d.]) | [¼½¾⅓⅔⅛] )
  | (?P<mark> \n | [^\s\w] | _ ) )
    """,
    re.VERBOSE,
)

_LOWER_CODES = frozenset({"usd", "eur", "gbp", "chf", "jpy", "cny", "inr", "nzd", "btc"})
"""Currency codes that are no words of any language when written small; "try", "pen" and "cad" need capitals."""

_ATTACHED = frozenset("sdtckfvy")
"""Units of one letter that count only when they touch their number: "30s", but not "plan 5 s"."""

_NUMBER_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class Tokens:
    """Parallel lists, one item a token: where it starts and ends, its word folded in case; and all class letters."""

    text: str
    starts: list[int]
    ends: list[int]
    words: list[str]
    letters: str

    def span(self, first: int, last: int) -> str:
        """The text from token `first` up to, not with, token `last`."""
        return self.text[self.starts[first] : self.ends[last - 1]]


def lex(text: str) -> Tokens:
    """The tokens of a text, in order; white space but the new line is left out. The loop is hot: a pass a token."""
    starts: list[int] = []
    ends: list[int] = []
    words: list[str] = []
    letters: list[str] = []
    end, letter = -1, "\n"
    for match in _TOKEN.finditer(text):
        group = match.lastgroup or ""
        word = match[group]
        start = match.end() - len(word)
        if group in ("word", "short"):
            folded = word.casefold()
            known = LETTERS.get(folded, "0")
            if known != "0" or group == "short":
                known = _settled(word, folded, known, letter, attached=end == start)
            word, letter = folded, known
        else:
            letter = _letter(group, word)
        end = match.end()
        starts.append(start)
        ends.append(end)
        words.append(word)
        letters.append(letter)
    return Tokens(text, starts, ends, words, "".join(letters))


def _settled(written: str, word: str, letter: str, before: str, *, attached: bool) -> str:
    """The class of a word that is in the tables, or too short to be trusted, from what stands before it."""
    after_number = attached and before in "niYfTe"
    if len(word) == 1:
        if after_number and word in "ap":
            return "A"
        if word in "cf" and before == "x":
            return "C"
        if word in _ATTACHED and not after_number:
            return "0"
    if written[-1] == "$":
        return "1"
    if word in CURRENCY_CODES and word not in _LOWER_CODES and not written.isupper():
        return "0"
    return letter


def _letter(group: str, word: str) -> str:
    if group == "number":
        return _number(word)
    if group == "mark":
        return "\n" if word == "\n" else LETTERS.get(word) or ("1" if category(word) == "Sc" else "!")
    return {"stamp": "X", "date": "D", "clock": "T", "partial": "e", "ordinal": "o", "meridiem": "A", "part": "f"}[
        group
    ]


def _number(word: str) -> str:
    if len(word) > _NUMBER_CHARS_MAX:
        return "0"
    if not word.isdecimal():
        return "f"
    value = int(word)
    if 1 <= value <= 31:
        return "n"
    return "Y" if len(word) == 4 and 1500 <= value < 2200 else "i"
