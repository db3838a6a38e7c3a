"""Which sentences of a long memory a question is about, so that more memories fit into a budget."""

import math
from collections.abc import Mapping
from functools import lru_cache

from memory_core import cues
from memory_core.chunking import sentences
from memory_core.index import MemoryIndex
from memory_core.lexical import query_terms, terms

WEIGHT_DECIMALS = 6


def sought(index: MemoryIndex, count: int, query: str) -> dict[str, float]:
    """The query's terms with their IDF over the first `count` memories: ln(1 + (n - df + .5) / (df + .5)), ≥ 0.

    Empty where the query asks for what the assistant said ("remind me which five you listed"): of a list that was
    answered, the line that is asked for shares no word with the question.
    """
    asked = cues.without_stamp(query)
    if cues.meant(asked) == "assistant":
        return {}
    wanted = query_terms(asked)
    held = index.held(wanted, count)
    return {term: _idf(count, held.get(term, 0)) for term in wanted}


def focused(text: str, weights: Mapping[str, float], chars_max: int) -> tuple[int, int]:
    """Start and end of the sentences in a row, at most `chars_max` characters of them, that say most of what is sought.

    That is the sum of the weights of each sentence's distinct terms; of equals the earliest, then the longest. One
    sentence at least, however long it is.
    """
    parts = _read(text)
    worth = [sum([weights.get(term, 0.0) for term in said]) for _, said in parts]
    most, begin, stop = -1.0, 0, 0
    start = 0
    for first, (chars, _) in enumerate(parts):
        end, total = start, 0.0
        for place in range(first, len(parts)):
            end += parts[place][0]
            if end - start > chars_max and place > first:
                break
            total += worth[place]
            value = round(total, WEIGHT_DECIMALS)
            if value > most or (value == most and start == begin):
                most, begin, stop = value, start, end
        start += chars
    return begin, stop


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The length of each sentence and its distinct terms, in order. Kept, 1 or 2 MB in all: what is recalled for one
    question is often recalled for the next."""
    return tuple([(len(part), tuple(sorted(set(terms(part))))) for part in sentences(text)])


def excerpt(text: str, start: int, end: int) -> str:
    """That part of the text, with an ellipsis where something was left out."""
    return ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")


def _idf(count: int, frequency: int) -> float:
    return math.log1p((count - frequency + 0.5) / (frequency + 0.5))
