"""Long texts in pieces that fit the embedder, cut where a reader would cut; nothing is lost or doubled."""

import re
from collections.abc import Iterator

CHUNK_CHARS_MAX = 1_000
"""About 220 word pieces of English prose, under the 256 that MiniLM reads; denser text is split again there."""

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+|[。！？]\s*")


def chunks(text: str, chars_max: int = CHUNK_CHARS_MAX) -> tuple[str, ...]:
    """Pieces of at most `chars_max` characters with `"".join(pieces) == text`; one piece for an empty text."""
    if len(text) <= chars_max:
        return (text,)
    return tuple(_pieces(text, chars_max))


def _pieces(text: str, chars_max: int) -> Iterator[str]:
    start = 0
    while len(text) - start > chars_max:
        end = _cut(text, start, start + chars_max)
        yield text[start:end]
        start = end
    yield text[start:]


def _cut(text: str, start: int, limit: int) -> int:
    """The best place to cut in the second half of text[start:limit]: paragraph, line, sentence, word, anywhere."""
    half = (start + limit) // 2
    for boundary in ("\n\n", "\n"):
        found = text.rfind(boundary, half, limit)
        if found >= 0:
            return found + len(boundary)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, half, limit)]
    if ends:
        return ends[-1]
    space = text.rfind(" ", half, limit)
    return space + 1 if space >= 0 else limit
