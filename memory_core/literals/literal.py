"""What a literal is: a value that must survive byte for byte, with what it is and what it is about."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

KINDS = (
    "date",
    "time",
    "datetime",
    "period",
    "duration",
    "recurrence",
    "age",
    "money",
    "quantity",
    "percentage",
    "number",
    "phone",
    "email",
    "url",
    "ip",
    "path",
    "version",
    "uuid",
    "iban",
    "vat",
    "identifier",
    "mention",
    "hashtag",
    "quoted",
    "statement",
)
"""Every kind, in the order in which equally long readings of the same characters are told apart in the log.

A `period` is a range of days or of hours ("Q1 2026", "before 5 pm"), a `recurrence` repeats ("every Monday"), an
`identifier` is a word of code or a reference ("snake_case", "LH1234"), a `statement` is the value of "key: value".
"""

WHOLES = frozenset({"quoted", "statement"})
"""Kinds that may contain literals of the other kinds: a quoted sentence may hold a date, which is found as well."""


class Reading(NamedTuple):
    """What one grammar makes of `text[start:end]`, before it is settled which of the overlapping ones stand."""

    kind: str
    start: int
    end: int
    value: str
    amount: Decimal | None = None
    unit: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """One value in a text: `text` is `source[start:end]`, verbatim.

    `value` is the normal form by which two spellings are the same ("1,247.38 USD" for "$1.247,38" too, ISO 8601 for
    a complete date), else the text folded in case. `amount` and `unit` are set for money (ISO 4217 code),
    quantities, ages, durations, percentages ("%") and numbers (""). `key` is what the text says the value of
    ("budget", "flight number"), "" if it does not say. `context` is a few words around, with "…" in place of the
    value, at most 62 characters.
    """

    kind: str
    text: str
    start: int
    end: int
    value: str
    amount: Decimal | None = None
    unit: str = ""
    key: str = ""
    context: str = ""
