"""What memory has for one request: sections for the block, memories for the recall, and these as quotations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from memory_core.cues import without_stamp
from memory_core.focus import focused
from memory_core.handoff import Section
from memory_core.recall import Memory
from memory_core.update import Report
from proxy.assemble import Quote

LONG_CHARS = 400
"""A longer memory is quoted by the sentences that the question is about: at 512 tokens LongMemEval gains .09 of its
evidence by it. Nearly every message of a chat between two people is shorter, and is quoted whole."""

EXCERPT_CHARS = 200

WHOLE_BEST = 1
"""The best of all is quoted whole, however long: it is the likeliest answer."""


@dataclass(frozen=True, slots=True)
class Recollection:
    """`memories` are ranked, best first, each with its span in the text of its turn, as it was cut when it was learned.

    `said` has role and text of these turns, `sought` what of them the question is about (focus.py).
    Quotations are made when they are read, since a budget ends most of them unread.
    """

    block: tuple[Section, ...]
    memories: tuple[tuple[Memory, tuple[int, int]], ...]
    said: Mapping[int, tuple[str, str]]
    sought: Mapping[str, float]
    report: Report

    @property
    def recall(self) -> tuple[Quote, ...]:
        """All quotations, best first."""
        return tuple(self.quotes())

    def quotes(self) -> Iterator[Quote]:
        """The quotations one by one, best first."""
        for place, (memory, (begin, finish)) in enumerate(self.memories):
            role, text = self.said[memory.turn]
            piece = text[begin:finish]
            is_long = place >= WHOLE_BEST and bool(self.sought) and len(piece) > LONG_CHARS
            start, end = focused(piece, self.sought, EXCERPT_CHARS) if is_long else (0, len(piece))
            stamp = text[: len(text) - len(without_stamp(text))].strip(" []") if begin + start else ""
            words = ("… " if start else "") + piece[start:end].strip() + (" …" if end < len(piece) else "")
            is_excerpt = end - start < len(piece)
            yield Quote(memory.turn, memory.chunk, role, words if is_excerpt else piece, stamp, is_excerpt)
