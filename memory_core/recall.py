"""Rank the past for a query: a weighted sum of what is known of each memory and of its surroundings.

    cosine    cos(v_i, q)                               pair      cos(v_{i-1} + v_i, q)
    passage   the best cosine within ± 6 memories       near      BM25 of (i-1, i, i+1)
    around    BM25 of i-4 .. i+4                        coverage  IDF share of the query's terms that i holds
    voice     i is said by whom the query means         when      i speaks of a time
    states    i is no question                        date      i is from the days that the query means

The first five are min-max scaled over the log, the others are 0..1 by themselves; the sum is divided by the
weights', so a score is in 0..1. The date counts only where the query means one (dates.py). A query that does not name
its subject borrows direction and terms from the turns before it (ellipsis.py); a borrowed term counts by its share.

Evidence lies where its subject is talked of, often not in the sentence that shares the words: the wide windows are
what found it on LoCoMo. Weighted sums, not rank fusion: RRF was worse than BM25 alone there. The weights are a
listwise fit on LoCoMo and LongMemEval, rounded; a fit without the dialogue that is asked about does as well
(EXPERIMENTS.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from itertools import chain, islice
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core import cues, windows
from memory_core.bias import NO_BIAS, Bias, adjusted, filtered
from memory_core.dates import Days, asked_days
from memory_core.ellipsis import Said, borrowed, names
from memory_core.index import ASKS, INPUT, WHEN, Floats, MemoryIndex, norm
from memory_core.lexical import query_terms
from memory_core.state import MemoryState


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part counts; any scale."""

    cosine: float = 2.0
    pair: float = 2.0
    passage: float = 2.0
    near: float = 2.0
    around: float = 3.0
    coverage: float = 2.0
    voice: float = 2.5
    when: float = 1.0
    states: float = 0.4
    date: float = 2.0


WEIGHTS = Weights()

PASSAGE_REACH = 6
NEAR_REACH = 1
AROUND_REACH = 4
"""In memories to either side."""

SPEAKS_MIN = 3
"""A name before fewer memories than this may be any word with a colon."""

BM25_K1 = 1.2
BM25_B = 0.75
"""Robertson's usual values; .9/.4 and 1.5/.75 came within ±.007 of them on LoCoMo (EXPERIMENTS.md)."""

DATE_SLACK_DAYS = 7
"""What happened is told a few days later: a memory this far from the days that are meant has lost all of its date."""

KNOWN_TERMS_MIN = 2
"""A question whose terms a memory holds together has a subject there: right after another topic that gives short ones
back half of what borrowing takes from them, and costs questions that go on .004 (EXPERIMENTS.md)."""

SPREAD_MIN = 1e-6
"""Values closer together than this are equal: min-max scaling must not blow float noise up to evidence."""

REPEAT_DECAY = 0.9
"""What the next chunk of the same turn is worth: of LongMemEval's evidence turns it finds +.09 at 1,024 tokens."""

CANDIDATES = 4
"""So many times the limit are looked at before chunks of one turn make room for others."""

SCORE_DECIMALS = 6
"""Scores are rounded before they are compared, so that the last bits of another BLAS cannot reorder them."""

NO_TERMS: Mapping[str, float] = MappingProxyType({})

HALF = 0.5 - 1e-6
"""This near to the middle of two millionths numpy may round to one and Python to the other."""

Scores = NDArray[np.float64]

_Candidate = tuple[int, int, float, float]
"""The turn and chunk of a memory, its score, and that rounded."""


class Memory(NamedTuple):
    """One recalled chunk: the turn it is from (1-based), which chunk of it (0-based), and its score."""

    turn: int
    chunk: int
    score: float


def rank(
    index: MemoryIndex,
    state: MemoryState,
    query: str,
    vector: Floats,
    *,
    turns: int,
    limit: int,
    bias: Bias = NO_BIAS,
    keep: Callable[[Memory], bool] | None = None,
    context: Sequence[Said] = (),
) -> list[Memory]:
    """The best `limit` memories of the first `turns` turns, best first; equal scores keep the order of the log.

    `vector` is the query's unit vector, float32 [d]. `context` are the turns right before the query, oldest first,
    whether or not they are among those that are ranked: the last four tell a query without a subject what it is
    about; without them the state does, a little. `bias` pulls and pushes scores before they are sorted; `keep`
    filters after ranking and before truncation, so that `limit` are delivered as long as there are so many.
    """
    count = index.memories(turns)
    if count == 0:
        return []
    asked = cues.without_stamp(query)
    is_known = names(asked) or _is_known(index, count, asked)  # what is named need not be looked up
    loan = borrowed(asked, vector, context, state.vector, is_known=is_known)
    pulled = _unit(vector + loan.direction) if np.count_nonzero(loan.direction) else vector
    meant = asked_days(query, int(index.days(count)[-1]))
    scored = scores(index, count, asked, pulled, borrowed_terms=loan.terms, days=meant)
    scored = adjusted(scored, index, count, asked, pulled, bias)
    best = chain.from_iterable(_best(index, scored, max(1, limit)))
    if keep is None:  # then nothing behind the candidates is looked at
        return _diverse(islice(best, CANDIDATES * limit), limit)
    return _diverse(filtered(best, lambda each: keep(Memory(*each[:3])), CANDIDATES * limit), limit)


def _best(index: MemoryIndex, scored: Scores, step: int) -> Iterator[Iterable[_Candidate]]:
    """All memories, best first, equal ones in the order of the log: `step` at a time, since few are looked at."""
    millionths = scored * 10.0**SCORE_DECIMALS
    rounded = np.rint(millionths)
    order = (-rounded).argsort(kind="stable")
    millionths -= rounded
    is_doubtful = np.maximum.reduce(np.abs(millionths, out=millionths)) > HALF
    rounded /= 10.0**SCORE_DECIMALS
    for start in range(0, len(order), step):
        memories = order[start : start + step]
        found = scored[memories].tolist()
        near = [round(score, SCORE_DECIMALS) for score in found] if is_doubtful else rounded[memories].tolist()
        yield zip(*index.places(memories), found, near, strict=True)


def _diverse(best: Iterable[_Candidate], limit: int) -> list[Memory]:
    """The best of these, each scored down by the better chunks of its turn: a long one must not fill a budget.

    They come best first. None is looked at behind so many turns as there are places: no later one can be above any of
    their best chunks, unless these are pushed below 0.
    """
    before: dict[int, int] = {}
    found = []
    for turn, chunk, score, rounded in best:
        repeats = before.get(turn, 0)
        before[turn] = repeats + 1
        worth = round(score * REPEAT_DECAY**repeats, SCORE_DECIMALS) if repeats else rounded
        found.append((-worth, turn, chunk))
        if len(before) >= limit and score >= 0.0:
            break
    found.sort()
    new = tuple.__new__  # what the class itself calls, from a function in Python
    return [new(Memory, (turn, chunk, -below)) for below, turn, chunk in found[:limit]]


def _is_known(index: MemoryIndex, count: int, query: str) -> bool:
    """All of at least KNOWN_TERMS_MIN content terms stand in one memory: the query has been talked of in its words."""
    wanted = query_terms(query)
    return len(wanted) >= KNOWN_TERMS_MIN and index.is_held_together(wanted, count)


def _unit(vector: Floats) -> Floats:
    unit: Floats = (vector / max(norm(vector), 1e-12)).astype(np.float32, copy=False)
    return unit


def scores(
    index: MemoryIndex,
    count: int,
    query: str,
    vector: Floats,
    *,
    borrowed_terms: Mapping[str, float] = NO_TERMS,
    days: Days | None = None,
) -> Scores:
    """The score of each of the first `count` memories, float64 [count], in 0..1.

    `borrowed_terms` are terms that the query does not say itself, each with what it counts, 0..1; `days` those that
    the query means, if it means any.
    """
    fixed = index.derived(count, _fixed, (NEAR_REACH, AROUND_REACH), BM25_K1, BM25_B)
    parts = np.empty((6, count))
    _dense(index, count, vector, parts[:3])
    _lexical(index, count, {**borrowed_terms, **dict.fromkeys(query_terms(query), 1.0)}, fixed.damping, parts[3:])
    _scale(parts[:5])
    column, (voice, when, states, date) = _shared_out(WEIGHTS, has_date=days is not None)
    parts *= column
    total: Scores = np.add.reduce(parts, 0)  # of eight or more numpy would not sum a single memory's in their order
    said = _voice(index, count, query)
    if said is not None:
        total += said * voice
    total += fixed.tells_when * when
    total += fixed.states * states
    if days:
        total += _dated(index, count, days) * date
    return total


class _Fixed(NamedTuple):
    """What no question changes: BM25's damping near and around, float64 [2, n], and two of the cues, bool [n]."""

    damping: Scores
    tells_when: NDArray[np.bool_]
    states: NDArray[np.bool_]


def _fixed(index: MemoryIndex, count: int, reaches: Sequence[int], k1: float, b: float) -> _Fixed:
    rows = np.zeros((1, max(reaches) + 1 + count + max(reaches)), np.int32)
    rows[0, max(reaches) + 1 :][:count] = index.lengths(count)
    lengths = np.empty((len(reaches), 1, count))
    windows.sums_within(rows, reaches, lengths)
    damping = windows.damping(lengths[:, 0], k1, b)
    return _Fixed(damping, index.flagged(WHEN, count), ~index.flagged(ASKS, count))


@cache
def _shared_out(weights: Weights, *, has_date: bool) -> tuple[Scores, tuple[float, ...]]:
    """The weights as parts of their sum, with the date's or without: the first six as a column, then the others."""
    first = np.array(astuple(weights)[: 10 if has_date else 9])
    shares = first / first.sum()
    return shares[:6, np.newaxis], (*shares[6:].tolist(), *[0.0] * (not has_date))


def _dense(index: MemoryIndex, count: int, vector: Floats, out: Scores) -> None:
    """Cosine, pair and passage; [3, n]."""
    alone, paired, passage = out
    alone[:] = paired[:] = index.vectors(count) @ vector
    paired[1:] += alone[:-1]
    paired /= index.pair_norms(count)
    windows.best_within(alone, PASSAGE_REACH, passage)


def _lexical(index: MemoryIndex, count: int, shares: Mapping[str, float], damping: Scores, out: Scores) -> None:
    """Near, around and coverage, [3, n], for terms with what each counts."""
    reaches = (NEAR_REACH, AROUND_REACH)
    found, rows = index.frequencies_of(shares, count, max(reaches) + 1, max(reaches))
    if not found:
        out[:] = 0.0
        return
    said = np.empty((3, len(found), count))
    said[2] = rows[:, max(reaches) + 1 : max(reaches) + 1 + count] > 0
    windows.sums_within(rows, reaches, said[:2])
    idf = np.array([shares[term] for term in found]) * windows.idf(said > 0)
    windows.bm25(said[:2], damping, BM25_K1)
    np.matmul(idf[:, np.newaxis], said, out=out[:, np.newaxis])
    out[2] /= max(float(np.add.reduce(idf[2])), 1e-12)


def _voice(index: MemoryIndex, count: int, query: str) -> NDArray[np.bool_] | None:
    """Who says it: the one speaker that the query names, else the side of the talk that it means, else nobody."""
    by_name = [index.spoken_by(name, count) for name in cues.named(query, index.speakers)]
    heard = [row for row in by_name if np.count_nonzero(row) >= SPEAKS_MIN]
    if heard:
        return heard[0] if len(heard) == 1 else None
    side = cues.meant(query)
    if not side:
        return None
    return index.flagged(INPUT, count) if side == "user" else ~index.flagged(INPUT, count)


def _dated(index: MemoryIndex, count: int, days: Days) -> Scores:
    """1 for a memory of these days, less the further it is from them; 0 where no day is known."""
    known = index.days(count).astype(np.float64)
    away = np.maximum(np.maximum(days.first - known, known - days.last), 0.0)
    return np.where(known > 0, np.maximum(0.0, 1.0 - away / DATE_SLACK_DAYS), 0.0)


def _scale(rows: Scores) -> None:
    """Each row min-max scaled to 0..1, in place; all zeros if all in it are equal."""
    low = np.minimum.reduce(rows, axis=1, keepdims=True)
    spread = np.maximum.reduce(rows, axis=1, keepdims=True) - low
    spread[spread < SPREAD_MIN] = np.inf
    rows -= low
    rows /= spread
