"""What a conversation stated in so many words: its exact values and its settled entries, folded turn by turn.

A fold of the log like the state, but of its texts: so it is made only where somebody wants it, and `Checkpoints`
keeps a few of them. Pure; the same turns give the same facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from memory_core import entries, literals
from memory_core.cues import without_stamp
from memory_core.entries import Entries
from memory_core.handoff import Section, sections
from memory_core.literals import LiteralCache

CHECKPOINTS_MAX = 8
"""A prompt cuts the transcript where an epoch begins: these are the last few epochs, for retries and forks."""

FACTS_BYTES = 160_000
"""About what full facts take in CPython; checkpoints share what they have in common."""

STANDING_PRIORITY = 60
"""Sections of at least this priority (handoff.py) matter whatever is asked: rules, decisions, open errors, values."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Never changed in place. `turns` counts those that were read, from 1 on."""

    turns: int = 0
    literals: LiteralCache = field(default_factory=LiteralCache)
    entries: Entries = field(default_factory=Entries)

    def after(self, role: str, text: str) -> "Facts":
        """The facts after one more turn. A date that a client put in front of it is no statement of it."""
        turn, said = self.turns + 1, without_stamp(text)
        return Facts(turn, literals.add(self.literals, turn, role, said), entries.add(self.entries, turn, role, said))


def settled(facts: Facts) -> tuple[Section, ...]:
    """All sections of a hand-off, highest priority first."""
    exact = [literals.line(entry) for entry in literals.best(facts.literals, literals.CAPACITY) if entry.is_exact]
    return sections(facts.entries, exact)


def standing(facts: Facts) -> tuple[Section, ...]:
    """What a prompt should hold whatever is asked, highest priority first: few lines, none that recall finds better."""
    return tuple(part for part in settled(facts) if part.priority >= STANDING_PRIORITY)


class Checkpoints:
    """The facts of one conversation at a few of its turns. Not safe for concurrent writers."""

    def __init__(self) -> None:
        self._kept: dict[int, Facts] = {}

    @property
    def nbytes(self) -> int:
        """About how much memory they take."""
        return FACTS_BYTES * min(2, len(self._kept))

    def nearest(self, turns: int) -> Facts:
        """The newest kept facts of at most the first `turns` turns."""
        return max((kept for kept in self._kept.values() if kept.turns <= turns), key=_turns, default=Facts())

    def keep(self, facts: Facts) -> None:
        """Keep these; of too many the oldest are let go."""
        self._kept[facts.turns] = facts
        if len(self._kept) > CHECKPOINTS_MAX:
            del self._kept[min(self._kept)]

    def truncate(self, turns: int) -> None:
        """Forget all that read more than the first `turns` turns."""
        self._kept = {place: facts for place, facts in self._kept.items() if place <= turns}


def folded(facts: Facts, until: int, said: Mapping[int, tuple[str, str]]) -> Facts:
    """The facts after the turns up to `until`; `said` has role and text of each that was not read."""
    while facts.turns < until:
        facts = facts.after(*said[facts.turns + 1])
    return facts


def _turns(facts: Facts) -> int:
    return facts.turns
