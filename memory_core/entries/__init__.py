"""What a conversation settled, in structured form: decisions, errors and fixes, standing rules, test results, names.

Rules find them, no model: a rule that misses costs little, since the log still holds the turn, and one that invents
costs trust, so precision goes before recall. `add` folds one turn into `Entries`; kinds.py says what each entry holds,
the other files how each kind is found and which older entry a later statement replaces.
"""

from memory_core.entries.folding import add
from memory_core.entries.kinds import Decision, Entity, Entries, ErrorPattern, Invariant, TestResult
from memory_core.entries.plain import from_plain, to_plain

__all__ = [
    "Decision",
    "Entity",
    "Entries",
    "ErrorPattern",
    "Invariant",
    "TestResult",
    "add",
    "from_plain",
    "to_plain",
]
