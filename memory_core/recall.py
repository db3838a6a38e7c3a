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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core import cues
from memory_core.bias import NO_BIAS, Bias, adjusted, filtered
from memory_core.dates import Days, asked_days
from memory_core.ellipsis import Said, borrowed, names
from memory_core.index import Counts, Floats, MemoryIndex, norm
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

Scores = NDArray[np.float64]


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
    pulled = _unit(vector + loan.direction) if loan.direction.any() else vector
    meant = asked_days(query, int(index.days(count)[-1]))
    scored = scores(index, count, asked, pulled, borrowed_terms=loan.terms, days=meant)
    scored = adjusted(scored, index, count, asked, pulled, bias)
    order = (-scored.round(SCORE_DECIMALS)).argsort(kind="stable")
    if keep is None:  # then nothing behind the candidates is looked at
        order = order[: CANDIDATES * limit]
    ranked: Iterable[tuple[int, float]] = zip(order.tolist(), scored[order].tolist(), strict=True)
    if keep is not None:
        ranked = filtered(ranked, lambda each: keep(Memory(*index.place(each[0]), each[1])), CANDIDATES * limit)
    return _diverse(index, ranked, limit)


def _diverse(index: MemoryIndex, best: Iterable[tuple[int, float]], limit: int) -> list[Memory]:
    """The best of these, each scored down by the better chunks of its turn: a long one must not fill a budget.

    They come best first. None is looked at behind so many turns as there are places: no later one can be above any of
    their best chunks, unless these are pushed below 0.
    """
    before: dict[int, int] = {}
    found = []
    last = 0.0
    for memory, score in best:
        if len(before) >= limit and last >= 0.0:
            break
        last = score
        turn, chunk = index.place(memory)
        repeats = before.get(turn, 0)
        before[turn] = repeats + 1
        worth = score * REPEAT_DECAY**repeats if repeats else score
        found.append((-round(worth, SCORE_DECIMALS), turn, chunk))
    found.sort()
    return [Memory(turn, chunk, -below) for below, turn, chunk in found[:limit]]


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
    shares = {**borrowed_terms, **dict.fromkeys(query_terms(query), 1.0)}
    windows, coverage = _lexical(index, count, shares)
    parts = (
        *_scaled(np.concatenate((_dense(index, count, vector), windows))),
        coverage,
        _voice(index, count, query),
        index.telling_when(count),
        ~index.asking(count),
        *([_dated(index, count, days)] if days else []),
    )
    total: Scores = np.zeros(count)
    for weight, part in zip(_shared_out(WEIGHTS, len(parts)), parts, strict=True):
        total += part * weight
    return total


@cache
def _shared_out(weights: Weights, parts: int) -> tuple[float, ...]:
    """The first so many weights, as parts of their sum."""
    first = np.array(astuple(weights)[:parts])
    return tuple((first / first.sum()).tolist())


def _dense(index: MemoryIndex, count: int, vector: Floats) -> Scores:
    """Cosine, pair and passage; [3, n]."""
    rows = np.empty((3, count))
    alone, paired, passage = rows
    alone[:] = paired[:] = index.vectors(count) @ vector
    paired[1:] += alone[:-1]
    paired /= index.pair_norms(count)
    passage[:] = _best_within(alone, PASSAGE_REACH)
    return rows


def _best_within(values: Scores, reach: int) -> Scores:
    """The best of each and of `reach` to either side: of two, of four and so on, at last of two runs that overlap."""
    best = np.full(len(values) + 2 * reach, -np.inf)
    best[reach : reach + len(values)] = values
    width, wanted = 1, 2 * reach + 1
    while width < wanted:
        step = min(width, wanted - width)
        best = np.maximum(best[:-step], best[step:])
        width += step
    return best


def _lexical(index: MemoryIndex, count: int, shares: Mapping[str, float]) -> tuple[Scores, Scores]:
    """Near and around, [2, n], and coverage, [n], for terms with what each counts."""
    found, frequencies = index.frequencies_of(shares, count)
    if not found:
        nothing = np.zeros((2, count))
        return nothing, nothing[0]
    windows = _windows(frequencies, index.lengths(count), (0, NEAR_REACH, AROUND_REACH))
    said, long = windows[:, :-1], windows[:, -1]
    holds = said > 0
    idf = np.array([shares[term] for term in found]) * _idf(holds)
    return _bm25(said[1:], long[1:], idf[1:]), idf[0] @ holds[0] / max(float(idf[0].sum()), 1e-12)


def _windows(frequencies: Counts, lengths: Floats, reaches: Sequence[int]) -> Scores:
    """Each column summed with so many to either side, the lengths as one more row; [reaches, terms + 1, n].

    A window is the difference of two running sums: of integers, which are exact, and summed in half the time.
    """
    count, widest = len(lengths), max(reaches)
    rows = np.zeros((len(frequencies) + 1, widest + 1 + count + widest), np.int64)
    middle = rows[:, widest + 1 : widest + 1 + count]
    middle[:-1], middle[-1] = frequencies, lengths
    sums = np.add.accumulate(rows, axis=1).astype(np.float64)
    windows = np.empty((len(reaches), len(rows), count))
    for window, reach in zip(windows, reaches, strict=True):
        above, below = widest + 1 + reach, widest - reach
        np.subtract(sums[:, above : above + count], sums[:, below : below + count], out=window)
    return windows


def _voice(index: MemoryIndex, count: int, query: str) -> NDArray[np.bool_]:
    """Who says it: the one speaker that the query names, else the side of the talk that it means, else nobody."""
    by_name = [index.spoken_by(name, count) for name in cues.named(query, index.speakers)]
    heard = [row for row in by_name if row.sum() >= SPEAKS_MIN]
    if heard:
        return heard[0] if len(heard) == 1 else np.zeros(count, np.bool_)
    side = cues.meant(query)
    if not side:
        return np.zeros(count, np.bool_)
    return index.inputs(count) if side == "user" else ~index.inputs(count)


def _dated(index: MemoryIndex, count: int, days: Days) -> Scores:
    """1 for a memory of these days, less the further it is from them; 0 where no day is known."""
    known = index.days(count).astype(np.float64)
    away = np.maximum(np.maximum(days.first - known, known - days.last), 0.0)
    return np.where(known > 0, np.maximum(0.0, 1.0 - away / DATE_SLACK_DAYS), 0.0)


def _idf(holds: NDArray[np.bool_]) -> Scores:
    """ln(1 + (n - df + .5) / (df + .5)) of each row; [..., n] -> [...]; never negative."""
    frequency = holds.sum(axis=-1)
    idf: Scores = np.log1p((holds.shape[-1] - frequency + 0.5) / (frequency + 0.5))
    return idf


def _bm25(frequencies: Scores, lengths: Scores, idf: Scores) -> Scores:
    """Okapi BM25 over each kind of window; [kinds, terms, n], [kinds, n], [kinds, terms] -> [kinds, n]."""
    mean = np.maximum(np.add.reduce(lengths, axis=1, keepdims=True) / lengths.shape[1], 1e-12)
    damping = BM25_K1 * (1 - BM25_B + BM25_B * lengths / mean)
    weighted: Scores = (BM25_K1 + 1) * frequencies
    weighted /= frequencies + damping[:, np.newaxis]
    return np.array([each @ rows for each, rows in zip(idf, weighted, strict=True)])


def _scaled(rows: Scores) -> Scores:
    """Each row min-max scaled to 0..1; all zeros if all in it are equal."""
    low = np.minimum.reduce(rows, axis=1, keepdims=True)
    spread = np.maximum.reduce(rows, axis=1, keepdims=True) - low
    scaled: Scores = (rows - low) / np.where(spread < SPREAD_MIN, np.inf, spread)
    return scaled
