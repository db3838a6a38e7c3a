"""Values that must survive byte for byte: found in a turn, ranked, corrected by later ones, rendered in a line.

extraction.py reads one text (start there), cache.py folds turns into entries (entry.py has what they weigh), plain.py
turns a cache into primitives. Below them: lexer.py and lexicon.py (words to classes), temporal.py with iso.py (dates,
times), quantities.py with numerals.py (amounts), codes.py, web.py and phones.py (what has a form), statements.py and
subjects.py (what a value is said of), segments.py (where reading is worth while). No model, no list of facts: grammars
over word classes, and patterns.
"""

from memory_core.literals.cache import CAPACITY, LiteralCache, add, best, line
from memory_core.literals.entry import Entry
from memory_core.literals.extraction import extract
from memory_core.literals.literal import KINDS, Literal
from memory_core.literals.plain import from_plain, to_plain

__all__ = [
    "CAPACITY",
    "KINDS",
    "Entry",
    "Literal",
    "LiteralCache",
    "add",
    "best",
    "extract",
    "from_plain",
    "line",
    "to_plain",
]
