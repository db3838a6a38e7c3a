"""What memory has for one request: sections for the block, memories for the recall, and these as quotations."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from embedders import Vectors
from memory_core.cues import stamp
from memory_core.focus import excerpt, focused
from memory_core.handoff import Section
from memory_core.recall import Memory
from memory_core.update import Report
from proxy.assemble import Quote

_NOUNS = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "file": "file",
}
"""What stands for a part of a message that holds no text (wire.py), and what it is."""

_NAMED = re.compile(rf"^\[({'|'.join(_NOUNS)})\]$", re.MULTILINE)

EXCERPT_SHARE = 1 / 16
"""Of the budget: of a message too long for one memory no part takes more, but for the sentences that the question is
about. Else a few long answers fill a small budget: at 512 tokens LongMemEval gains .04 of its evidence by it."""

CHARS_PER_TOKEN = 4
"""About, in English prose."""

WHOLE_BEST = 1
"""The best of all is quoted whole, however long: it is the likeliest answer."""


class Asked(NamedTuple):
    """The text of the turn at `place` (from 0) and its vector [d], of length 1 unless it says nothing."""

    place: int
    text: str
    vector: Vectors


class Question(msgspec.Struct, frozen=True):
    """The turn at `asked` (from 0): its text and vector [d], and what it would do to the state before it."""

    asked: int
    text: str
    vector: Vectors
    report: Report


class Recollection(msgspec.Struct, frozen=True):
    """`memories` are ranked, best first, each with its span in the text of its turn, as it was cut when it was learned.

    `said` has role and text of these turns, `sought` what of them the question is about (focus.py).
    Quotations are made when they are read, since a budget ends most of them unread.
    """

    block: tuple[Section, ...]
    memories: tuple[tuple[Memory, tuple[int, int]], ...]
    said: Mapping[int, tuple[str, str]]
    sought: Mapping[str, float]
    report: Report

    def quotes(self, tokens_max: int) -> Iterator[Quote]:
        """The quotations one by one, best first, for a budget of so many tokens."""
        excerpt_chars = int(tokens_max * EXCERPT_SHARE * CHARS_PER_TOKEN)
        for place, (memory, (begin, finish)) in enumerate(self.memories):
            role, text = self.said[memory.turn]
            piece = text[begin:finish]
            is_part = place >= WHOLE_BEST and bool(self.sought) and len(piece) < len(text)
            start, end = focused(piece, self.sought, excerpt_chars) if is_part else (0, len(piece))
            date = stamp(text).strip(" []") if begin + start else ""
            is_excerpt = end - start < len(piece)
            words = excerpt(piece, start, end) if is_excerpt else piece
            yield Quote(memory.turn, memory.chunk, role, quotable(words), date, is_excerpt)


def quotable(text: str) -> str:
    """A text as it is quoted: what it only names is said not to be there.

    Not part of a message's text itself, since memories are spans of that in logs that are stored.
    """
    return _NAMED.sub(lambda found: f"[{_NOUNS[found[1]]}, not sent again]", text) if "[" in text else text
