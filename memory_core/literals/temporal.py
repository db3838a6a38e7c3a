"""Dates, times, ranges and repetitions in a text, by a grammar over token classes (lexicon.py has the letters)."""

import re
from collections.abc import Callable, Iterator

from memory_core.literals.iso import iso_date, iso_time
from memory_core.literals.lexer import Tokens
from memory_core.literals.literal import Reading
from memory_core.literals.quantities import NUMBER
from memory_core.literals.segments import Readings
from memory_core.literals.subjects import is_change

_ORDINAL = r"(?:t_?)?[oS]"
_YEAR = r"(?:[,;]?[gI]?Y)"
_MONTH = r"[Mm](?:;(?=[nY,o]))?"
_MONTH_DAY = rf"{_MONTH}[_/]?d?(?:{_ORDINAL}|n)(?!H)(?:{_YEAR}|[_/]Y)?"
_DAY_MONTH = rf"(?<!1)(?:d?(?:{_ORDINAL}|n)(?:Ug)?|n;)[_/]?g?{_MONTH}(?:{_YEAR}|[_/]Y)?"
_PLAIN_DATE = rf"(?:D|{_DAY_MONTH}|{_MONTH_DAY}|Y[_/]Mn|Y[_/]M[_/]n|Ynn)"
_NEAR = r"(?:R|N{1,2}[Ww]|NUp?[Ww]|d?UNU|dUBR?|WNU|WgNU|NUW)"
_DATE = rf"(?:[Ww],?p?(?:{_PLAIN_DATE}|e|d?{_ORDINAL}(?!U)|n(?![n_:/AHUh1-9]))|{_PLAIN_DATE}|{_NEAR}|W)"
_CLOCK = r"(?:T[OAh]?|[nfs]A|[ns]O|nOn|(?:[Fq]|[nst]h?)N[sn]O?|(?:[Fq]|[nst]h)u[sn]O?|E?K)"
_TIME = rf"(?:{_CLOCK}(?:E?(?:Id)?P)?)"
_BARE_HOUR = r"(?<=c)[nsf](?![UhHn1-9])"
_DATETIME = rf"(?:X|{_DATE}[,;_]?E?P?c?(?:{_TIME}|{_BARE_HOUR})|{_TIME},?p?{_DATE}|{_TIME}N?P)"
_MOMENT = rf"(?:{_DATETIME}|{_DATE}|{_TIME})"
_SIDE = rf"(?:{_DATETIME}|{_DATE}|{_TIME}|d?{_ORDINAL}|e|[nfs](?:IdP)?)"
_DAY_PART = rf"(?:N[EP]?P|(?:{_DATE}|E)E?P|[EL]?NP|[EL]?I(?:d[EP]?|E)P)"
_SPAN = (
    r"(?:[dE]{0,2}g?(?:d?[NoS][Uq]|UE?)g(?:N?U|d[UM]|Y|NY|N?[Mm]Y?)|(?:Eg|[EL])?N(?:n|s)?[Uqh]|Egd?U|[EL]IdU|NYq|"
    r"d?N?[oS]qg(?:N?U|dU|Y))"
)
_WHEN = rf"(?:{_MOMENT}P?,?p?)"
_RANGE = rf"(?:v{_SIDE}[u_]{_SIDE}|b{_SIDE}[ju_]{_SIDE}|{_TIME}[_u](?:{_TIME}|[nf])|[nf][_u](?:{_TIME}))(?:IdP)?"
_GRAMMAR = (
    ("recurrence", "[zZVa]|[WP]P", rf"z(?:k|o|S|{NUMBER})?(?:[UWwPhq])P?(?:,?c?{_TIME})?|{_TIME}zU|[ns]aU|Z|"
     rf"V(?:c?{_TIME}|cf)?|WP"),
    ("period", "[u_b]", rf"(?:{_WHEN}|{_DAY_PART})?{_RANGE}(?:,?p?(?:{_DATE}P?|NP))?|{_DATE}[_u]{_DATE}|"
     rf"[ve]{{1,2}}[_u]e(?:,Y)?|(?:[Mm]n_n|n[_u]ng?M)(?:,?Y)?|M[_u][Mm],?Y?"),
    ("period", "[BuPNEUqQY]", rf"B(?:{_MOMENT}|{_SPAN}|Y|E?[Mm])|u{_MOMENT}|{_DAY_PART}|{_SPAN}|Qn(?:[_,]?Y)?|Y_?Qn|"
     r"E?[Mm][,_]?g?Y|Un"),
    ("period", "[Ivud][YEMm]", r"(?<=[Ivu])(?:Y(?![0-9stH])|E?M(?![nio]))|(?<=Id)M"),
    ("datetime", "[TAOKcXhS]", rf"{_DATETIME}|I(?:{NUMBER}|a)h|(?:{NUMBER}|a)_?[hS](?:L|vR)"),
    ("date", "[DMmWwRNUoSeY]", rf"{_DATE}|I(?:{NUMBER}|a)U|(?:{NUMBER}|a)U(?:L|vR)|(?<=[pBvu])e(?![6/])|"
     rf"(?<=p)d?{_ORDINAL}(?![0UM])|(?<=[BvI])d{_ORDINAL}(?=[;,!\n]|$)|d{_ORDINAL}Ug(?:NU|dU)"),
    ("time", "[TAOKNcu]", rf"{_TIME}|{_BARE_HOUR}"),
)  # fmt: skip
_RULES = tuple((kind, re.compile(needs).search, re.compile(pattern).finditer) for kind, needs, pattern in _GRAMMAR)
"""With each rule what a stretch must have for it: asked first, since most rules find nothing in most stretches."""

_HAS_TIME = re.compile(r"[MmWwVRUqQPKAOTDeXZYohS]|c[nsf]|FN")
_AFTER_HOUR = frozenset(
    "for with please sharp instead if because but so when then near outside on in and or to until every each as".split()
)
_ZONE = re.compile(r"\s?(?:UTC|GMT|CES?T|[ECMP][SD]T|Z)(?:[+-]\d{1,2})?\b")


def moments(tokens: Tokens, first: int, last: int, read: Readings) -> Iterator[Reading]:
    """The dates, times, ranges and repetitions among tokens `first` up to `last`; `read` as for `quantities`."""
    if not _HAS_TIME.search(tokens.letters, first, last):
        return
    for kind, needed, readings in _RULES:
        if not needed(tokens.letters, max(0, first - 1), last):
            continue
        for match in readings(tokens.letters, first, last):
            begin, end = match.span()
            if not read.holds(begin, end) and _plausible(kind, tokens, begin, end):
                read.enter(begin, end)
                yield _reading(kind, tokens, begin, end)


def _reading(kind: str, tokens: Tokens, first: int, last: int) -> Reading:
    start, end = tokens.starts[first], tokens.ends[last - 1]
    if kind in ("time", "datetime") and tokens.letters[last - 1] in "TA":
        zone = _ZONE.match(tokens.text, end)
        end = zone.end() if zone else end
    text = tokens.text[start:end]
    normal = _NORMAL[kind](tokens, first, last)
    zone_name = text[tokens.ends[last - 1] - start :].strip()
    return Reading(kind, start, end, f"{normal} {zone_name}".strip() if normal else " ".join(text.casefold().split()))


def _datetime(tokens: Tokens, first: int, last: int) -> str:
    if tokens.letters[first:last] == "X":
        return tokens.words[first].upper()
    day, hour = iso_date(tokens, first, last), iso_time(tokens, first, last)
    return f"{day}T{hour}" if day and hour else ""


def _as_said(_tokens: Tokens, _first: int, _last: int) -> str:
    return ""


_NORMAL: dict[str, Callable[[Tokens, int, int], str]] = {
    "date": iso_date,
    "time": iso_time,
    "datetime": _datetime,
    "period": _as_said,
    "recurrence": _as_said,
}
"""The ISO form where the words give one; what is relative ("next Monday") keeps its words, folded in case."""


def _plausible(kind: str, tokens: Tokens, first: int, last: int) -> bool:
    """What the classes cannot tell: "may" the verb, days and hours that do not exist, "to" where "until" is meant."""
    letters = tokens.letters[first:last]
    if not all(
        _exists(tokens, place, dated="Y" in letters) for place in range(first, last) if tokens.letters[place] in "mDe"
    ):
        return False
    if kind in ("time", "datetime") and "X" not in letters and not _is_hour(tokens, first, last):
        return False
    if letters[0] == "v" and is_change(tokens, first):
        return False
    if letters[0] == "u":
        return tokens.words[first] in ("until", "till", "bis")
    if letters == "WP":
        return kind != "recurrence" or tokens.words[last - 1].endswith("s")
    return letters != "Un" or tokens.words[first] in ("week", "woche")


def _exists(tokens: Tokens, place: int, *, dated: bool) -> bool:
    """Whether a doubtful month, a date in digits or a day/month is one."""
    letter = tokens.letters[place]
    if letter == "m":
        return dated or tokens.text[tokens.starts[place]].isupper()
    return bool(iso_date(tokens, place, place + 1)) if letter == "D" else _is_day(tokens.words[place])


def _is_day(word: str) -> bool:
    left, _, right = word.partition("/")
    low, high = sorted((int(left), int(right)))
    return 1 <= low <= 12 and high <= 31


def _ends_clause(tokens: Tokens, last: int) -> bool:
    """Whether "at 5" is over: at 5 locations is no time, at 5 for dinner is."""
    return last >= len(tokens.words) or not tokens.words[last].isalpha() or tokens.words[last] in _AFTER_HOUR


def _is_hour(tokens: Tokens, first: int, last: int) -> bool:
    """A clock face knows no 25:00; where no hour can be read ("half past seven") nothing contradicts."""
    clocks = [
        word for word, letter in zip(tokens.words[first:last], tokens.letters[first:last], strict=True) if letter == "T"
    ]
    for word in clocks:
        hour, minute = (int(part) for part in word.split(":")[:2])
        if hour > 24 or minute > 59:
            return False
    letters = tokens.letters[first:last]
    if letters in ("n", "s", "f"):
        return bool(iso_time(tokens, first, last) or letters == "s") and _ends_clause(tokens, last)
    if "N" in letters and letters[-1:] in "sn" and letters[:1] in "Fqnst" and "past" not in tokens.words[first:last]:
        return False
    return letters not in ("fA", "nA") or bool(iso_time(tokens, first, last))
