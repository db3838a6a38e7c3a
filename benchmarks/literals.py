"""How many literals are found, and how many finds are right: the English model cases of Recognizers-Text.

    python -m benchmarks.literals

A case is a text with every span that one recogniser of that project finds in it. Only the kinds that belong to a
case's recogniser are counted on it, since the others are not annotated there. A gold span is *exact* when a literal
of the same kind has its first and last character, and *touched* when one shares a character with it; every literal
and every span counts once. Precision is over our literals, recall over gold spans, F1 their harmonic mean.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory_core.literals.extraction import extract
from memory_core.literals.literal import Literal

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "literals_en.json"

KINDS = {
    "datetimeV2.date": "date",
    "datetimeV2.time": "time",
    "datetimeV2.datetime": "datetime",
    "datetimeV2.daterange": "period",
    "datetimeV2.timerange": "period",
    "datetimeV2.datetimerange": "period",
    "datetimeV2.duration": "duration",
    "datetimeV2.set": "recurrence",
    "age": "age",
    "currency": "money",
    "dimension": "quantity",
    "temperature": "quantity",
    "percentage": "percentage",
    "number": "number",
    "phonenumber": "phone",
    "email": "email",
    "url": "url",
    "ip": "ip",
    "guid": "uuid",
    "mention": "mention",
    "hashtag": "hashtag",
    "quotedText": "quoted",
}
"""Their kinds as ours. Kinds of ours without a row there: path, version, IBAN, VAT, identifier, statement."""

RECOGNISERS = {
    "DateTimeModel": ("date", "time", "datetime", "period", "duration", "recurrence"),
    "AgeModel": ("age",),
    "CurrencyModel": ("money",),
    "DimensionModel": ("quantity",),
    "TemperatureModel": ("quantity",),
    "PercentModel": ("percentage",),
    "NumberModel": ("number",),
    "PhoneNumberModel": ("phone",),
    "EmailModel": ("email",),
    "URLModel": ("url",),
    "IpAddressModel": ("ip",),
    "GUIDModel": ("uuid",),
    "MentionModel": ("mention",),
    "HashtagModel": ("hashtag",),
    "QuotedTextModel": ("quoted",),
}

Span = tuple[int, int]


@dataclass(slots=True)
class Count:
    """How many spans are gold, how many we found, and how many of each match the other exactly or by a character."""

    gold: int = 0
    found: int = 0
    exact: int = 0
    touched: int = 0

    def add(self, gold: Sequence[Span], found: Sequence[Span]) -> None:
        """Count one case."""
        self.gold += len(gold)
        self.found += len(found)
        self.exact += len(set(gold) & set(found))
        self.touched += _touching(gold, found)

    def row(self, name: str) -> str:
        """A line of the table."""
        columns = [name, str(self.gold), str(self.found)]
        for right in (self.exact, self.touched):
            precision, recall = right / max(self.found, 1), right / max(self.gold, 1)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            columns += [f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}"]
        return f"| {' | '.join(columns)} |"


def gold_spans(case: dict[str, object]) -> dict[str, list[Span]]:
    """The spans of a case by our kind; where an offset is missing, the first place where the words stand unclaimed."""
    text = str(case["input"])
    spans = defaultdict(list)
    taken: list[Span] = []
    results = case["results"]
    assert isinstance(results, list)
    for result in results:
        kind = KINDS.get(result["TypeName"])
        start, end = result["Start"], result["End"]
        if start is None or end is None:
            start, end = _find(text, result["Text"], taken)
        else:
            end += 1
        if kind is not None and start >= 0:
            taken.append((start, end))
            spans[kind].append((start, end))
    return spans


def measure(cases: Iterable[dict[str, object]]) -> dict[str, Count]:
    """Counts by kind; the recognisers of temperature and dimension share the kind quantity."""
    counts: dict[str, Count] = defaultdict(Count)
    for case in cases:
        kinds = RECOGNISERS.get(str(case["model"]), ())
        gold = gold_spans(case)
        literals = extract(str(case["input"]))
        for kind in kinds:
            found = [(literal.start, literal.end) for literal in literals if _counts(literal, kind, str(case["model"]))]
            counts[kind].add(gold.get(kind, []), found)
        if str(case["model"]) == "DateTimeModel":
            moments = [(literal.start, literal.end) for literal in literals if literal.kind in kinds]
            counts["any date or time"].add([span for spans in gold.values() for span in spans], moments)
    return counts


def render(counts: dict[str, Count]) -> str:
    """The table as Markdown."""
    head = "| kind | gold | found | exact P | R | F1 | touched P | R | F1 |"
    names = [*dict.fromkeys(KINDS.values()), "any date or time"]
    rows = [counts[name].row(name) for name in names if name in counts]
    total = Count()
    for name, count in counts.items():
        if name != "any date or time":
            for field in ("gold", "found", "exact", "touched"):
                setattr(total, field, getattr(total, field) + getattr(count, field))
    return "\n".join([head, "|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows, total.row("**all kinds**")])


def _counts(literal: Literal, kind: str, model: str) -> bool:
    warm = literal.unit.startswith("°") or literal.unit in ("C", "F", "K")
    return literal.kind == kind and not (kind == "quantity" and warm == (model == "DimensionModel"))


def _find(text: str, wanted: str, taken: Sequence[Span]) -> Span:
    place = text.lower().find(wanted.lower())
    while any(start < place + len(wanted) and place < end for start, end in taken):
        place = text.lower().find(wanted.lower(), place + 1)
    return place, place + len(wanted)


def _touching(gold: Sequence[Span], found: Sequence[Span]) -> int:
    """Pairs that share a character, each span in one pair at most, in the order of the text."""
    left, pairs = sorted(found), 0
    for start, end in sorted(gold):
        partner = next((span for span in left if span[0] < end and start < span[1]), None)
        if partner is not None:
            left.remove(partner)
            pairs += 1
    return pairs


def main() -> bool:
    """Print the table; nothing to fail, since the bar is in the tests. Without the data, a sentence."""
    if not DATA.exists():
        print(f"Literals: skipped, {DATA.name} (Recognizers-Text's English model cases) is not beside this checkout.\n")
        return True
    cases = json.loads(DATA.read_text(encoding="utf-8"))
    begun = time.perf_counter()
    counts = measure(cases)
    spent_s = time.perf_counter() - begun
    unattempted = sorted({r["TypeName"] for case in cases for r in case["results"]} - KINDS.keys())
    print(f"{len(cases)} texts of Recognizers-Text (English), {1e6 * spent_s / max(len(cases), 1):.0f} µs a text.")
    print(f"Not attempted: {', '.join(unattempted) or 'nothing'}. Not in the data: {', '.join(_UNMEASURED)}.\n")
    print(render(counts) + "\n")
    return True


_UNMEASURED = ("path", "version", "IBAN", "VAT", "identifier", "statement")

if __name__ == "__main__":
    sys.exit(0 if main() else 1)
