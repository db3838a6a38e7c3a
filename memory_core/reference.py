"""The oracle: update and recall once more, slow and obvious, in plain Python from the whole transcript.

It ships because it documents the maths: the fast code must agree with it (tests/memory_core).
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from memory_core import cues
from memory_core.dates import Days, stamp_day
from memory_core.lexical import query_terms, terms
from memory_core.recall import (
    AROUND_REACH,
    BM25_B,
    BM25_K1,
    DATE_SLACK_DAYS,
    NEAR_REACH,
    PASSAGE_REACH,
    SPEAKS_MIN,
    SPREAD_MIN,
    WEIGHTS,
)
from memory_core.state import NORM_MAX
from memory_core.update import BETA_BASIS, BETA_MAX

Vector = Sequence[float]


def cosine(left: Vector, right: Vector) -> float:
    """The cosine of two vectors; 0 if one of them is zero."""
    norms = math.sqrt(sum(x * x for x in left)) * math.sqrt(sum(x * x for x in right))
    return sum(x * y for x, y in zip(left, right, strict=True)) / norms if norms > 1e-12 else 0.0


def state_vector(inputs: Sequence[Vector], dimension: int) -> list[float]:
    """The state vector after these inputs, from the first on."""
    state = [0.0] * dimension
    for embedding in inputs:
        beta = BETA_BASIS + (BETA_MAX - BETA_BASIS) * max(0.0, cosine(state, embedding))
        state = [beta * old + (1 - beta) * new for old, new in zip(state, embedding, strict=True)]
        norm = math.sqrt(sum(x * x for x in state))
        if norm > NORM_MAX:
            state = [x * NORM_MAX / norm for x in state]
    return state


@dataclass(frozen=True)
class Heard:
    """One turn: its chunks with the vector of each, whether the user said it, and its importance."""

    texts: Sequence[str]
    vectors: Sequence[Vector]
    is_input: bool = True
    importance: float = 1.0

    @property
    def vector(self) -> list[float]:
        """The direction of its chunks together."""
        return [sum(column) for column in zip(*self.vectors, strict=True)]

    @property
    def words(self) -> list[str]:
        """What it says, whatever its case and spacing."""
        return unicodedata.normalize("NFKC", "".join(self.texts)).casefold().split()


@dataclass
class Slot:
    """A kept turn: its place is 0 in short, 1 in medium, 2 in long term."""

    turn: int
    weight: float
    place: int = 0
    accesses: int = 0
    touched: int = 0
    leader: int = 0

    def worth(self, now: int) -> tuple[float, int]:
        """Its score, then its turn: the least goes first, of two equals the older."""
        recency = 0.2 * 0.5 ** ((now - max(self.turn, self.touched)) / 200)
        return round(self.weight * (1 + recency + 0.05 * math.log(1 + self.accesses)), 9), self.turn


def kept(turns: Sequence[Heard], sizes: Sequence[int], *, fifo: bool = False) -> list[Slot]:
    """What the tiers of these sizes hold after these turns, in the order of the log."""
    slots: dict[int, Slot] = {}
    for now, heard in enumerate(turns, start=1):
        found = [(round(cosine(turns[turn - 1].vectors[0], heard.vector), 6), -turn) for turn in sorted(slots)]
        nearness, nearest = max(found, default=(0.0, 0))
        again = _repeated(turns, slots, now)
        leader = (slots[-nearest].leader or -nearest) if nearness >= 0.75 else 0
        touched = slots.get(again or (-nearest if heard.is_input and nearness >= 0.6 else 0))
        if touched:
            touched.accesses, touched.touched = touched.accesses + 1, now
            touched.place = 1 if touched.place == 2 and not fifo else touched.place
        if not again:
            slots[now] = Slot(now, weight(turns[:now]), leader=leader)
        _settle(slots, sizes, now, fifo)
    return [slots[turn] for turn in sorted(slots)]


def weight(turns: Sequence[Heard]) -> float:
    """What the last turn weighs: its density against the mean of its role so far, times its importance."""
    own = [_density(turns[: n + 1]) for n, heard in enumerate(turns) if heard.is_input == turns[-1].is_input]
    mean = sum(own) / len(own)
    return round(own[-1] / mean * turns[-1].importance, 9) if mean > 0 else 0.0


def _density(turns: Sequence[Heard]) -> float:
    count = sum(len(terms(text)) for text in turns[-1].texts)
    return information([heard.texts for heard in turns]) / math.sqrt(max(1, count))


def _repeated(turns: Sequence[Heard], slots: Mapping[int, Slot], now: int) -> int:
    """The newest input in short term if the input `now` says the same again, else 0."""
    heard = turns[now - 1]
    inputs = [turn for turn, slot in slots.items() if slot.place == 0 and turns[turn - 1].is_input]
    if not heard.is_input or not inputs:
        return 0
    before = turns[max(inputs) - 1]
    same = before.words == heard.words and cosine(before.vector, heard.vector) >= 0.85
    return max(inputs) if same else 0


def _settle(slots: dict[int, Slot], sizes: Sequence[int], now: int, fifo: bool) -> None:
    """Down, or out, until every tier is within its size: short by age, the others by worth, a crowd before all."""
    for place, size in enumerate(sizes):
        while len(held := [slot for slot in slots.values() if slot.place == place]) > size:
            followers = Counter(slot.leader for slot in held if slot.leader) if place == 2 else Counter()
            crowd, most = max(
                ((-leader, n) for leader, n in followers.items()), key=lambda each: each[::-1], default=(0, 0)
            )
            pool = [slot for slot in held if slot.leader == -crowd] if most > 8 else held
            gone = min(held, key=lambda s: s.turn) if fifo or place == 0 else min(pool, key=lambda s: s.worth(now))
            gone.place += 1
            if gone.place > 2:
                del slots[gone.turn]


def similarities(inputs: Sequence[Vector], dimension: int) -> list[float]:
    """The cosine of each input but the first to the state before it."""
    return [cosine(state_vector(inputs[:n], dimension), inputs[n]) for n in range(1, len(inputs))]


def topic_switch(before: Sequence[float], similarity: float) -> float:
    """The share of the mean of the last five that is lost, if it is .6 of it and .15 in all; after three inputs."""
    if len(before) < 3:
        return 0.0
    level = sum(before[-5:]) / len(before[-5:])
    lost = 1 - similarity / level if level > 0 else 0.0
    return min(1.0, lost) if lost >= 0.6 and level - similarity >= 0.15 else 0.0


def information(texts: Sequence[Sequence[str]]) -> float:
    """IDF mass of the last turn, each turn given as the texts of its chunks."""
    memories = [set(terms(text)) for turn in texts for text in turn]
    last = {term for text in texts[-1] for term in terms(text)}
    return sum(math.log1p(len(memories) / sum(term in memory for memory in memories)) for term in last)


def scores(
    turns: Sequence[tuple[bool, Sequence[str]]],
    vectors: Sequence[Vector],
    query: str,
    vector: Vector,
    *,
    borrowed_terms: Mapping[str, float] | None = None,
    days: Days | None = None,
) -> list[float]:
    """The score of each memory for the query, as recall.py defines it; a turn is (is it the user's, its chunks)."""
    texts = [text for _, chunks in turns for text in chunks]
    said_by = [(is_input, cues.speaker(chunks[0])) for is_input, chunks in turns for _ in chunks]
    own, weight = query_terms(query), WEIGHTS
    wanted = dict(borrowed_terms or {}) | dict.fromkeys(own, 1.0)
    documents = [terms(text) for text in texts]
    alone = [cosine(v, vector) for v in vectors]
    sums = [[x + y for x, y in zip(a, b, strict=True)] for a, b in pairwise(vectors)]
    holding = {
        t: share * _idf(documents, t) for t, share in wanted.items() if any(t in document for document in documents)
    }
    mass = sum(holding.values())
    parts = [
        (weight.cosine, _scaled(alone)),
        (weight.pair, _scaled([cosine(v, vector) for v in [*vectors[:1], *sums]])),
        (weight.passage, _scaled([max(part) for part in _windows(alone, PASSAGE_REACH)])),
        (weight.near, _scaled(_bm25(_joined(documents, NEAR_REACH), wanted))),
        (weight.around, _scaled(_bm25(_joined(documents, AROUND_REACH), wanted))),
        (weight.coverage, [sum(i for t, i in holding.items() if t in d) / mass if mass else 0 for d in documents]),
        (weight.voice, _voice(said_by, query)),
        (weight.when, [float(cues.tells_when(text)) for text in texts]),
        (weight.states, [float(not cues.asks(text)) for text in texts]),
    ]
    if days:
        parts.append((weight.date, _dated(turns, days)))
    total = sum(share for share, _ in parts)
    return [sum(share * values[i] for share, values in parts) / total for i in range(len(texts))]


def _dated(turns: Sequence[tuple[bool, Sequence[str]]], days: Days) -> list[float]:
    found, last = [], 0
    for _, chunks in turns:
        last = stamp_day(chunks[0]) or last
        away = max(days.first - last, last - days.last, 0)
        found += [max(0.0, 1 - away / DATE_SLACK_DAYS) if last else 0.0] * len(chunks)
    return found


_Item = TypeVar("_Item")


def _windows(items: Sequence[_Item], reach: int) -> list[Sequence[_Item]]:
    return [items[max(0, i - reach) : i + reach + 1] for i in range(len(items))]


def _joined(documents: Sequence[Sequence[str]], reach: int) -> list[list[str]]:
    return [[term for document in part for term in document] for part in _windows(documents, reach)]


def _voice(said_by: Sequence[tuple[bool, str]], query: str) -> list[float]:
    names = [name for _, name in said_by]
    heard = {name for name in cues.named(query, dict.fromkeys(names)) if name and names.count(name) >= SPEAKS_MIN}
    if heard:
        return [float(name in heard and len(heard) == 1) for name in names]
    side = cues.meant(query)
    return [float(bool(side) and is_input == (side == "user")) for is_input, _ in said_by]


def _idf(documents: Sequence[Sequence[str]], term: str) -> float:
    holding = sum(term in document for document in documents)
    return math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))


def _bm25(documents: Sequence[Sequence[str]], wanted: Mapping[str, float]) -> list[float]:
    mean_length = max(sum(len(document) for document in documents) / len(documents), 1e-12)
    totals = []
    for document in documents:
        total = 0.0
        for term, share in wanted.items():
            frequency, idf = document.count(term), share * _idf(documents, term)
            damping = BM25_K1 * (1 - BM25_B + BM25_B * len(document) / mean_length)
            total += idf * frequency * (BM25_K1 + 1) / (frequency + damping)
        totals.append(total)
    return totals


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values] if high - low >= SPREAD_MIN else [0.0] * len(values)
