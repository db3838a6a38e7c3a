"""What bias does to the scores of recall: a nudge, a lift, a push; and a filter on what was ranked.

    nudge_i  = .25 · boost · [cos(q, a)]+ · [cos(m_i, a) - mean]+ / (1 - mean)      an anchor a
    lift_i   = weight · boost                     if a fired trigger's keyword or region matches m_i, else 0
    push_i   = penalty · ([cos(m_i, n) - threshold]+ / (1 - threshold))²             a negative attractor n
    biased_i = (score_i + max(nudges and lifts)) · (1 - max push)

**Anchor.** A tie-break and no second query: bounded by .25 · boost (.15 at .6, where recall's scores reach 1 and a
trigger lifts by .3), so a memory that is better by more than that stays first. Scaled by the query's own alignment,
so that a domain does not reach into questions about something else. A memory must be nearer to the anchor than the
average one: the cosine itself lifts everything alike (on LoCoMo .67 inside a session, .57 outside), and has to be made
large to tell them apart. Not chosen: score + boost · cosine, which at .6 costs other questions .074 of their evidence
where this costs .000; min-max scaling of the alignment, which makes evidence of noise when nothing is near.

**Trigger.** What it says is not guessed, so it lifts by the whole boost. Scores are in 0..1, so weight 5 (1.5) puts
what matches before everything else.

**Negative attractor.** A share of the score, so that it means the same at any height and never raises or goes below
zero. Squared, since the rim of a region of cosine .3 is the whole subject: what pushes out the wrong passage must not
take the right one, which speaks of the same things. Linear and subtracted, .5 took .068 of the evidence from the
question whose wrong passage it pushed out and .017 from the others; this takes .001 and nothing, and pushes out as
many. It comes last: what is known to be wrong stays pushed back even where a trigger matches it.

`python -m benchmarks.bias` prints what each does; EXPERIMENTS.md has what was not chosen.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_core.bias.kinds import Bias, NegativeAttractor, Trigger
from memory_core.bias.triggers import fired
from memory_core.index import Floats, MemoryIndex
from memory_core.lexical import terms

ANCHOR_REACH = 0.25
"""An anchor with boost 1 moves a score by at most this much."""

COSINE_SCALE = 1e6
"""Cosines are rounded to six decimals before they are compared with a threshold or with their mean."""

SPREAD_MIN = 1e-3
"""If the average memory is this near to an anchor, all are: it cannot tell them apart."""

BLOCK_ROWS = 1024
"""Memories in one product: a block and its result stay in the cache; a whole log at once takes twice as long."""

Scores = NDArray[np.float64]
Matches = NDArray[np.bool_]
Candidate = TypeVar("Candidate")


def adjusted(scores: Scores, index: MemoryIndex, count: int, text: str, vector: Floats, bias: Bias) -> Scores:
    """The scores of the first `count` memories, float64 [count], for a query under a bias.

    `scores` are ≥ 0 and stay as they are; an empty bias gives them back themselves. `vector` is the query's unit
    vector, float32 [d]. Raises ValueError if the bias has vectors of another dimension than the index.
    """
    if not bias or not count:
        return scores
    if bias.dimension not in (None, index.dimension):
        raise ValueError(f"the bias has vectors of dimension {bias.dimension}, the index of {index.dimension}")
    heard = fired(text, vector, bias.triggers)
    reached = [(float(vector @ anchor.vector), anchor) for anchor in bias.anchors]
    reaches = [ANCHOR_REACH * anchor.boost * alignment for alignment, anchor in reached if alignment > 0]
    parts = (
        [anchor.vector for alignment, anchor in reached if alignment > 0],
        [trigger.vector for trigger in heard if trigger.vector is not None],
        [attractor.vector for attractor in bias.negative_attractors],
    )
    cosines = _cosines(index, count, list(chain(*parts)))
    to_anchors, to_triggers, to_wrong = np.split(cosines, np.cumsum([len(part) for part in parts[:2]]))
    boosts = np.maximum(_nudges(reaches, to_anchors), _lifts(index, count, heard, to_triggers))
    return (scores + boosts) * (1.0 - _pushes(bias.negative_attractors, to_wrong))


def filtered(ranked: Iterable[Candidate], keep: Callable[[Candidate], bool] | None, limit: int) -> Iterator[Candidate]:
    """The first `limit` of the ranked that `keep` accepts (all, if None): after ranking, before truncation.

    Lazy: nothing behind the last one taken is looked at, so a predicate may read its memory's record.
    """
    return islice(ranked if keep is None else filter(keep, ranked), limit)


def _cosines(index: MemoryIndex, count: int, vectors: Sequence[Floats]) -> Floats:
    """float32 [vectors, count], rounded; all vectors in one pass, as reading the index is what takes the time."""
    if not vectors:
        return np.zeros((len(vectors), count), np.float32)
    rows, columns = index.vectors(count), np.stack(vectors).astype(np.float32).T
    blocks = [rows[start : start + BLOCK_ROWS] @ columns for start in range(0, count, BLOCK_ROWS)]
    cosines: Floats = np.ascontiguousarray(np.concatenate(blocks).T)
    np.rint(np.multiply(cosines, COSINE_SCALE, out=cosines), out=cosines)
    return np.divide(cosines, COSINE_SCALE, out=cosines)


def _nudges(reaches: Sequence[float], cosines: Floats) -> Scores:
    """By the anchors; `cosines` are float32 [anchors, count]. An average below 0 counts as 0."""
    nudges = np.zeros(cosines.shape[1])
    for reach, row in zip(reaches, cosines, strict=True):
        mean = max(0.0, float(row.mean(dtype=np.float64)))
        if 1.0 - mean > SPREAD_MIN:
            np.maximum(nudges, reach / (1.0 - mean) * np.minimum(row - mean, 1.0 - mean), out=nudges)
    return nudges


def _lifts(index: MemoryIndex, count: int, heard: Sequence[Trigger], cosines: Floats) -> Scores:
    """By the fired triggers; `cosines` are float32 [those of them that have a vector, count]."""
    lifts = np.zeros(count)
    rows = iter(cosines)
    for trigger in heard:
        near = None if trigger.vector is None else next(rows) >= trigger.threshold
        np.maximum(lifts, trigger.weight * trigger.boost * _matches(index, count, trigger.keywords, near), out=lifts)
    return lifts


def _pushes(attractors: Sequence[NegativeAttractor], cosines: Floats) -> Scores:
    """By the negative attractors, 0..1; `cosines` are float32 [attractors, count]."""
    pushes = np.zeros(cosines.shape[1])
    for attractor, row in zip(attractors, cosines, strict=True):
        depth = np.clip((row - attractor.threshold) / (1.0 - attractor.threshold), 0.0, 1.0)
        np.maximum(pushes, attractor.penalty * depth**2, out=pushes)
    return pushes


def _matches(index: MemoryIndex, count: int, keywords: Sequence[str], near: Matches | None) -> Matches:
    """Which memories hold all words of one of the keywords, or are near; bool [count].

    The postings know no order of words: "red car" matches a memory with a car that turned red.
    """
    matches: Matches = np.zeros(count, np.bool_) if near is None else near
    for keyword in keywords:
        rows = [index.frequencies(term, count) for term in dict.fromkeys(terms(keyword))]
        found = [row > 0 for row in rows if row is not None]
        if len(found) == len(rows):
            matches = matches | np.logical_and.reduce(found)
    return matches
