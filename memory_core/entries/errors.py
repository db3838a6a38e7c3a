"""Error patterns: what failed, counted by turns however its paths and numbers differ, and what resolved it.

Only users and tools report errors. A model that names one repeats a report, explains, or warns of what might come.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from memory_core.entries.kinds import ERRORS_MAX, MENTION_WORTH_TURNS, ErrorPattern, bounded
from memory_core.entries.sentences import CANDIDATES_MAX, Prose, one_line, phrase_at, phrases, subjects
from memory_core.entries.signatures import signature

PER_TURN_MAX = 16

FIX_TURNS_MAX = 30
"""A fix speaks of an error seen at most this many turns before; later it is more likely about something else."""

_NAME = r"(?:[A-Za-z_$][\w$]{0,60}(?:\.|::)){0,8}[A-Z]\w{0,60}?(?:Error|Exception)\b(?![\w(.])"
_REST = r"[^\n]{0,300}"
_LINE = re.compile(
    r"^[ \t]{0,12}(?:E {1,7}|[|>] )?(?:"
    # an exception of Python, Java or JavaScript
    r"(?:Caused by: |Uncaught |Unhandled \w{1,20}:? |Exception in thread \"[^\"\n]{0,40}\" |\[?error\]?:? )?"
    rf"(?P<exception>{_NAME}(?:: {_REST}|[ \t]*$))"
    # a compiler: path:line:column: error
    r"|[^\s:(]{1,160}[:(]\d{1,6}(?:[:,]\d{1,6})?\)?:? (?P<compiler>(?:fatal )?error\b[^\n]{1,300})"
    rf"|(?P<vet>[^\s:]{{1,160}}\.go:\d{{1,6}}:\d{{1,6}}: {_REST})"
    # whatever says error or panics at the start of its line
    r"|(?P<plain>(?:[\w.+/-]{1,60}: ){0,2}(?:[Ff]atal |[Ii]nternal |[Cc]ompil\w{1,6} |[Ss]yntax |[Bb]uild )?"
    r"(?:[Ee]rror|ERROR|[Ff]atal|FATAL|Fehler(?:meldung)?)(?:\[\w{1,12}\]| [A-Z]{0,4}\d{1,6})?: "
    rf"(?!(?:none|null|false|no|0|undefined|nil)\b)\S{_REST})"
    rf"|(?P<panic>panic: {_REST}|thread '[^'\n]{{1,60}}' panicked at{_REST}|Segmentation fault\b{_REST}"
    rf"|npm (?:ERR!|error) code \w{{1,20}}|make(?:\[\d{{1,2}}\])?: \*\*\* {_REST}"
    r"|(?:[\w./-]{1,60}: ){1,2}(?:line \d{1,6}: )?(?:[^\s:]{1,100}: )?"
    r"(?:command not found|No such file or directory|Permission denied)\b)"
    # one test that failed; where pytest names the exception, that is the pattern
    rf"|FAILED \S{{1,160}} - (?P<why>{_REST})|(?P<failed>FAILED \S{{1,120}}::\S{{1,100}}|--- FAIL: \S{{1,100}}"
    r"|(?:FAIL|ERROR): test\w{1,80} \([^\n)]{1,120}\)|test \S{1,120} \.\.\. FAILED)"
    # a log line: time, level, message
    rf"|\[?\d{{4}}-\d\d-\d\d[T ][\d:.,]{{5,15}}\S{{0,6}} [^\n]{{0,60}}?(?P<log>\b(?:ERROR|FATAL|CRITICAL)\b{_REST})"
    r")",
    re.MULTILINE,
)
_INLINE = (
    (
        ("Error", "Exception"),
        re.compile(
            r"\b(?:gets?|got|getting|throw[sn]?|threw|throwing|raise[sd]?|raising|hits?|hitting|sees?"
            r"|saw|fail(?:s|ed|ing)?|crash(?:es|ed)?|die[sd]|bekomme|kommt|wirft|returns?|returned|gives?|gave)\b"
            rf"[^\n.!?]{{0,40}}?\b(?P<inline>{_NAME}(?:: [^\n]{{1,300}}?(?=[.!?]\s|[.!?]?$))?)",
            re.MULTILINE,
        ),
    ),
    (
        ("50", "51"),
        re.compile(
            r"\b(?P<http>(?:HTTP(?:/\d(?:\.\d)?)?|[Ss]tatus(?:[ _-]?[Cc]ode)?|[Ee]rror code)[\"']?[ :=]{1,3}[\"']?"
            r"5[01]\d\b|5[01]\d (?i:internal server error|bad gateway|service unavailable|gateway time-?out|errors?\b))"
        ),
    ),
    (('"error"',), re.compile(r"\"error\"\s{0,4}:\s{0,4}\"(?P<json>[^\"\n]{3,300})\"")),
)
"""Errors within a sentence or a line: what the text must hold for a pattern to be worth running, and the pattern."""

_FIX = re.compile(  # in lower case
    r"\b(?:i(?:['’]ve| have)? (?:just |finally )?(?:fixed|solved|resolved) (?:it|this|that|the|by)\b"
    r"|we(?:['’]ve| have)? (?:just |finally )?(?:fixed|solved|resolved) (?:it|this|that|the|by)\b"
    r"|fixed(?: it| this| that| the \w{2,30}(?: \w{2,30})?)? (?:by|with|via|after)\b"
    r"|solved(?:(?: it| this| that)? (?:by|with|via|after)\b|(?=[.!:,]))"
    r"|resolved(?:(?: it| this| that)? (?:by|with|via|after)\b|(?=[.!:,]))"
    r"|problem (?:was|turned out to be)\b(?! not\b)|issue (?:was|turned out to be)\b(?! not\b)"
    r"|cause (?:was|turned out to be)\b|culprit (?:is|was)\b|bug was\b|error was\b|mistake was\b|fix was\b"
    r"|solution was\b|fix:(?= )|cause:(?= )|turn(?:s|ed) out (?:that|to be|the|there was|it was|we|i|my|our)\b"
    r"|that (?:fixed|solved|resolved) (?:it|the)\b|this (?:fixed|solved|resolved) (?:it|the)\b|that did the trick\b"
    r"|(?:works|working|passes|fixed|solved) (?:now|since)\b"
    r"|das problem (?:war|lag an)\b|der fehler (?:war|lag an)\b|die ursache (?:war|lag an)\b|es lag an\b"
    r"|gel(?:ö|o\u0308|oe)st\b|behoben\b|funktioniert (?:es )?(?:jetzt|nun|wieder)\b"
    r"|l(?:ä|a\u0308|ae)uft (?:jetzt|nun|wieder)\b)"
)
_STATUS = re.compile(r"5[01]\d")
_GENERIC = subjects("error exception fatal failed fail path id n hex url failure panic the problem issue fix line")


@dataclass(frozen=True, slots=True)
class Sighting:
    """An error of this turn, or a statement that resolves one: then `signature` is ""."""

    place: int
    signature: str
    quote: str


def find(text: str, said: Prose, role: str) -> list[Sighting]:
    """The errors in a turn's text and the fixes in its prose, in order: each error once, at most PER_TURN_MAX of
    either."""
    errors = _errors(text) if role != "assistant" else []
    stated = (p for p in phrases(_FIX, said) if p.is_stated) if role in ("user", "assistant") else ()
    fixes = [Sighting(phrase.start, "", phrase.quote) for phrase in islice(stated, PER_TURN_MAX)]
    return sorted([*errors, *fixes], key=lambda sighting: sighting.place)


def _errors(text: str) -> list[Sighting]:
    found: dict[str, Sighting] = {}
    _look(_LINE, text, found)
    for needed, pattern in _INLINE:
        if any(literal in text for literal in needed):
            _look(pattern, text, found)
    return list(found.values())


def _look(pattern: re.Pattern[str], text: str, found: dict[str, Sighting]) -> None:
    for match in islice(pattern.finditer(text), CANDIDATES_MAX):
        if len(found) == PER_TURN_MAX:
            return
        kind = match.lastgroup or ""
        name = _signature(kind, match[kind])
        if name not in found:
            found[name] = Sighting(match.start(), name, _quote(kind, match))


def _quote(kind: str, match: re.Match[str]) -> str:
    """The line that reports an error, or the sentence around one that is named within it."""
    if kind in ("inline", "http"):
        sentence = phrase_at(match.string, match.start(), match.end()).quote
        if not sentence.endswith("…"):
            return sentence
    return one_line(match[0])


def _signature(kind: str, message: str) -> str:
    status = _STATUS.search(message) if kind == "http" else None
    return f"HTTP {status[0]}" if status else signature(message)


def merge(kept: Sequence[ErrorPattern], sightings: Sequence[Sighting], turn: int) -> tuple[ErrorPattern, ...]:
    """`kept` with the new errors counted and the fixes put to the open errors that they speak of."""
    patterns = {pattern.signature: pattern for pattern in kept}
    for sighting in sightings:
        if not sighting.signature:
            for pattern in _meant(list(patterns.values()), sighting.quote, turn):
                fix = f"{pattern.fix} {sighting.quote}" if pattern.fixed == turn else sighting.quote
                patterns[pattern.signature] = replace(pattern, fix=one_line(fix), fixed=turn)
        elif known := patterns.get(sighting.signature):
            patterns[known.signature] = replace(
                known, quote=sighting.quote, count=known.count + (known.last < turn), last=turn
            )
        else:
            patterns[sighting.signature] = ErrorPattern(sighting.signature, sighting.quote, 1, turn, turn)
    return bounded(list(patterns.values()), ERRORS_MAX, lambda p: (p.last + MENTION_WORTH_TURNS * p.count,))


def _meant(patterns: Sequence[ErrorPattern], fix: str, turn: int) -> list[ErrorPattern]:
    """The errors that a fix names; if it names none, those of the newest turn that has any.

    One that this turn has fixed counts as open: cause and remedy are often two sentences.
    """
    unfixed = (pattern for pattern in patterns if pattern.is_open or pattern.fixed == turn)
    recent = [pattern for pattern in unfixed if turn - pattern.last <= FIX_TURNS_MAX]
    said = subjects(fix) - _GENERIC
    named = [pattern for pattern in recent if said & (subjects(pattern.signature) - _GENERIC)]
    newest = max((pattern.last for pattern in recent), default=0)
    return named or [pattern for pattern in recent if pattern.last == newest]
