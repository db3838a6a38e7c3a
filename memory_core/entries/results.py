"""Test results: the summary line of a runner, or a sentence like "41 tests passed, 2 failed", per checkpoint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from memory_core.entries.kinds import NAME_CHARS_MAX, TESTS_MAX, TestResult, bounded
from memory_core.entries.sentences import CANDIDATES_MAX, Prose, one_line, phrase_at

_N = r"\d{1,7}"
_COUNTED = rf"{_N} (?:passed|failed|skipped|errors?|xfailed|xpassed|deselected|warnings?|rerun)"
_SUMMARY = re.compile(
    rf"^[ \t]{{0,8}}=*[ ]?(?P<pytest>{_COUNTED}(?:, {_COUNTED}){{0,8}} in \d)[^\n]{{0,120}}$"
    rf"|^[ \t]{{0,12}}(?P<jest>Tests:? {{1,12}}{_N} [a-z]{{4,8}}(?:(?:, | \| ){_N} [a-z]{{4,8}}){{0,5}})"
    rf"|^(?P<cargo>test result: [^\n]{{1,120}})"
    rf"|^[^\n]{{0,40}}?(?P<junit>Tests run: {_N}, Failures: {_N}, Errors: {_N}(?:, Skipped: {_N})?)"
    rf"|^(?P<rspec>{_N} examples?, {_N} failures?(?:, {_N} pending)?)"
    rf"|^(?P<ctest>\d{{1,3}}% tests passed, {_N} tests failed out of {_N})"
    rf"|^(?P<unittest>Ran {_N} tests? in [\d.]{{1,12}}s\s{{1,6}}(?:OK|FAILED)(?: \([^\n)]{{1,80}}\))?)"
    rf"|^[ \t]{{0,8}}(?P<mocha>{_N} passing\b(?:[^\n]{{0,20}}\n\s{{0,8}}{_N} (?:failing|pending)\b){{0,2}})"
    r"|^(?P<go>(?:ok|FAIL)[ ]{0,4}\t\S{1,120}[ \t][^\n]{0,80})",
    re.MULTILINE,
)
_SAID = re.compile(
    rf"(?<![\w.])(?<!of )(?<!of the )(?:{_N} (?:unit |integration )?tests? (?:(?:have |now )?(?:pass|fail)"
    rf"(?:ed|s|ing)?|(?:are )?green)|{_N} (?:tests? )?passed(?:,| and|, and) {_N} (?:tests? )?failed)\b"
    rf"(?:(?:,| and|, and) {_N} (?:tests? )?(?:passed|failed|skipped|fail|pass)\b){{0,3}}",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    rf"(?<!expected )(?P<before>passed|failures?|failed|errors?|skipped|ignored)[=:]\s{{0,8}}(?P<a>{_N})"
    rf"|(?P<b>{_N}) (?:(?:unit |integration )?tests? )?(?:have |now |are )?"
    r"(?P<after>pass\w{0,3}|green|fail\w{0,5}|errors?|xfailed|xpassed|skipped|ignored|pending|todo)\b",
    re.IGNORECASE,
)
_TOTAL = re.compile(rf"\bRan ({_N})|\bTests run: ({_N})|\bout of ({_N})|^({_N}) examples?")
_BUCKETS = {"p": 0, "g": 0, "xp": 0, "f": 1, "e": 1, "s": 2, "i": 2, "t": 2, "xf": 2, "pe": 2}
"""passed, green, xpassed · failed, errors · skipped, ignored, todo, xfailed, pending: by their first letters."""

_NOT_RUN = re.compile(
    r"\b(?:should|would|expect\w*|if|until|might|e\.g|for example|supposed|make sure)\b", re.IGNORECASE
)

_CHECKPOINT = re.compile(
    r"\b(?:commit|sha|revision|rev|HEAD is now at|HEAD at|checked out)[ :=]{1,3}[`'\"]?"
    r"(?P<commit>(?=[a-f]{0,40}\d)[\da-f]{7,40})\b"
    r"|^\[[\w./-]{1,60}(?: \(root-commit\))? (?P<made>[\da-f]{7,40})\]"
    r"|\b(?:checkpoint|milestone|tag|tagged|label|labelled|release|branch)(?: as)?[ :=#]{1,3}"
    r"(?:[`'\"](?P<quoted>[\w./+-]{1,64})[`'\"]|(?P<named>(?=[\w./+]{0,40}[\d-])[\w./+-]{0,63}\w))"
    r"|\b(?:at|on|for|in|after) (?P<version>v\d{1,4}(?:\.\d{1,6}){1,3}(?:-[\w.]{1,20})?)\b",
    re.MULTILINE | re.IGNORECASE,
)
_BY_PACKAGE = {"cargo", "go"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Numbers of tests (of packages for `go test`) that one turn reports, and where it says so."""

    checkpoint: str
    passed: int
    failed: int
    skipped: int
    quote: str


def find(text: str, said: Prose, role: str) -> Outcome | None:
    """What a turn reports: its last summary, the sum of them where a runner prints one a package; None if none.

    What an assistant puts in a fence is an example of what one might see, so only its prose counts.
    """
    counts, quote, runner = (0, 0, 0), "", ""
    for match in _SUMMARY.finditer(said.text if role == "assistant" else text):
        before = counts if match.lastgroup == runner and runner in _BY_PACKAGE else (0, 0, 0)
        runner = match.lastgroup or ""
        passed, failed, skipped = _counts(runner, match[runner])
        counts = (before[0] + passed, before[1] + failed, before[2] + skipped)
        quote = one_line(match[0].strip(" \t="))
    if not runner and role in ("user", "assistant") and (" test" in said.lower or " passed" in said.lower):
        counts, quote = _stated(said.text)
    return Outcome(_checkpoint(text), *counts, quote) if quote else None


def _stated(text: str) -> tuple[tuple[int, int, int], str]:
    """The last sentence that gives numbers of tests, and what they are."""
    counts, quote = (0, 0, 0), ""
    for match in islice(_SAID.finditer(text), CANDIDATES_MAX):
        phrase = phrase_at(text, match.start(), match.end())
        if phrase.is_asserted and not _NOT_RUN.search(phrase.before):
            counts, quote = _counts("said", match[0]), phrase.quote
    return counts, quote


def _counts(runner: str, summary: str) -> tuple[int, int, int]:
    """Passed, failed (errors with them) and skipped."""
    if runner == "go":
        return (1, 0, 0) if summary.startswith("ok") else (0, 1, 0)
    counts = [0, 0, 0]
    for match in _NUMBER.finditer(summary):
        word = (match["before"] or match["after"]).lower()
        bucket = _BUCKETS.get(word[:2], _BUCKETS.get(word[0]))
        counts[1 if bucket is None else bucket] += int(match["a"] or match["b"])
    total = _TOTAL.search(summary)
    if total:
        counts[0] = max(0, int(total[total.lastindex or 0]) - counts[1] - counts[2])
    return counts[0], counts[1], counts[2]


def _checkpoint(text: str) -> str:
    """The first commit, tag or label that the text names, "" if none."""
    found = _CHECKPOINT.search(text)
    return found[found.lastgroup or 0][:NAME_CHARS_MAX] if found else ""


def merge(kept: Sequence[TestResult], outcome: Outcome | None, turn: int) -> tuple[TestResult, ...]:
    """`kept` with the outcome, in place of an older one of the same checkpoint."""
    if outcome is None:
        return tuple(kept)
    checkpoint = outcome.checkpoint or f"turn {turn}"
    newest = TestResult(checkpoint, turn, outcome.passed, outcome.failed, outcome.skipped, outcome.quote)
    return bounded([*(t for t in kept if t.checkpoint != checkpoint), newest], TESTS_MAX, lambda test: (test.turn,))
