"""Fold one turn into the state: pure, the same on every machine that replays the log.

    s      = cos(e, S)                                similarity, to the state before
    beta   = .05 + .30 · max(0, s)                    share of the old state that survives
    S'     = beta · S + (1 - beta) · e, norm ≤ 1.2    content-aware exponential moving average

An input that opens a direction (s ≈ 0) is absorbed whole, one that confirms the state moves it less: the rule is
ours, its range (.05 basis, .35 at most) the one users of semantic-state memories know. phases.py has the formulas of
the report, retention.py those of the tiers, reference.py all of them once more in plain Python.
"""

import math
from typing import NamedTuple

import msgspec
import numpy as np

from memory_core import phases
from memory_core.index import Floats, norm
from memory_core.retention import DECIMALS, density
from memory_core.state import HISTORY_TURNS, NORM_MAX, Kept, MemoryState, TopicSwitch
from memory_core.tiers import Tiers, accessed, entered

BETA_BASIS = 0.05
BETA_MAX = 0.35

ACCESS_COSINE = 0.6
"""An input this close to its nearest kept turn has come back to it; small talk, near to many, reaches only one."""

CLUSTER_COSINE = 0.75
"""A turn this close to its nearest kept turn joins that one's cluster."""


class Report(msgspec.Struct, frozen=True):
    """What one turn did to the state; phases.py has the formulas.

    similarity -1..1, beta .05...35, pattern_strength 0..1.5, norm 0..1.2, fsm 0..1, topic_switch 0..1,
    novelty_score 0..1, phase one of phases.PHASES.
    """

    similarity: float
    beta: float
    pattern_strength: float
    norm: float
    fsm: float
    phase: str
    topic_switch: float
    novelty_score: float


class Nearest(NamedTuple):
    """The kept turn whose vector is nearest to a new one's; (0, 0) where nothing is kept."""

    turn: int = 0
    cosine: float = 0.0


def update(
    state: MemoryState,
    embedding: Floats,
    information: float,
    *,
    is_input: bool,
    terms: int = 1,
    importance: float = 1.0,
    nearest: Nearest = Nearest(),  # noqa: B008 -- a tuple: nobody can change it
    repeats: int = 0,
    auto_anchor: bool = False,
) -> tuple[MemoryState, Report]:
    """The state after one more turn, and the report on it.

    `embedding` is the turn's unit vector, float32 [d] (ValueError for another shape); one that is not finite counts
    as zeros, and zeros move nothing and leave no similarity. `information` is the turn's IDF mass, ≥ 0, which `terms`
    terms carry; `importance` multiplies what it is worth (retention.py). Inputs (user turns) move the vector; the
    others only enter the tiers, so that a talkative model does not steer the memory of its user.

    `nearest` is the kept turn that this one is nearest to: an input comes back to it, either kind may join its
    cluster. `repeats` is the newest input's turn if this one says the same again (0: it does not): it then takes no
    place of its own and counts as an access of that one. `auto_anchor` says that the caller anchors at a switch.
    """
    step = _step(state, embedding, is_input)
    turn, worth = state.turns + 1, density(information, terms)
    densities = _densities(state, worth, is_input)
    weight = _weight(worth, densities[0 if is_input else 1], importance)
    newest = Kept(turn, density(information, 1), weight, leader=_leader(state, nearest))
    tiers = _kept(state, newest, nearest, repeats, is_input)
    switches = state.topic_switches
    if step.switch > 0.0:
        pivot = TopicSwitch(turn, step.switch, phases.phase(state.similarities, 0.0), auto_anchor)
        switches = (*switches, pivot)[-HISTORY_TURNS:]
    after = MemoryState(
        turn, state.inputs + is_input, step.vector, step.history, *tiers, state.capacities, switches, densities
    )
    return after, _report(step)


def reported(state: MemoryState, embedding: Floats, *, is_input: bool) -> Report:
    """What `update` would report of a turn; the state stays as it is."""
    return _report(_step(state, embedding, is_input))


class _Step(NamedTuple):
    """What a turn does to the vector."""

    similarity: float
    beta: float
    switch: float
    history: tuple[float, ...]
    vector: Floats
    norm: float


def _step(state: MemoryState, embedding: Floats, is_input: bool) -> _Step:
    embedding, length = _sound(embedding, state.vector.shape)
    before = norm(state.vector)
    moved = is_input and _is_any(embedding, length)
    similarity = _cosine(state.vector, embedding, before * length)
    beta = BETA_BASIS + (BETA_MAX - BETA_BASIS) * max(0.0, similarity)
    switch = phases.switch_magnitude(state.similarities, similarity) if moved else 0.0
    compared = moved and _is_any(state.vector, before)  # the first meets no state: its 0 would read as a pivot later
    history = (*state.similarities, similarity)[-HISTORY_TURNS:] if compared else state.similarities
    vector, after = _absorb(state.vector, embedding, beta) if moved else (state.vector, before)
    return _Step(similarity, beta, switch, history, vector, after)


def _report(step: _Step) -> Report:
    return Report(
        similarity=step.similarity,
        beta=step.beta,
        pattern_strength=phases.strength(step.history),
        norm=step.norm,
        fsm=phases.stability(step.history),
        phase=phases.phase(step.history, step.switch),
        topic_switch=step.switch,
        novelty_score=phases.novelty(step.similarity),
    )


def _sound(embedding: Floats, shape: tuple[int, ...]) -> tuple[Floats, float]:
    """The vector and its length, which is finite only if all of it is."""
    if embedding.shape != shape:
        raise ValueError(f"expected a vector of shape {shape}, got {embedding.shape}")
    length = norm(embedding)
    if math.isfinite(length) or np.isfinite(embedding).all():
        return embedding, length
    return np.zeros(shape, np.float32), 0.0


def _is_any(vector: Floats, length: float) -> bool:
    """It is not all zeros; of tiny numbers the length may be 0."""
    return length > 0.0 or bool(vector.any())


def _cosine(state: Floats, embedding: Floats, norms: float) -> float:
    return min(1.0, max(-1.0, round(float(state.dot(embedding)) / norms, 6))) if norms > 1e-12 else 0.0


def _absorb(state: Floats, embedding: Floats, beta: float) -> tuple[Floats, float]:
    """The new state vector and its length."""
    mixed = (beta * state + (1.0 - beta) * embedding).astype(np.float32, copy=False)
    length = norm(mixed)
    if length > NORM_MAX:
        mixed = (mixed * (NORM_MAX / length)).astype(np.float32, copy=False)
        length = norm(mixed)
    return mixed, length


def _densities(state: MemoryState, newest: float, is_input: bool) -> tuple[float, float]:
    """The mean densities of inputs and of the others, with the newest turn's."""
    inputs, others = state.densities
    if is_input:
        return inputs + (newest - inputs) / (state.inputs + 1), others
    return inputs, others + (newest - others) / (state.turns - state.inputs + 1)


def _weight(newest: float, mean: float, importance: float) -> float:
    return round(newest / mean * importance, DECIMALS) if mean > 0.0 else 0.0


def _leader(state: MemoryState, nearest: Nearest) -> int:
    """The leader of the cluster that a new turn joins; 0 if it begins one."""
    if nearest.cosine < CLUSTER_COSINE:
        return 0
    found = (
        kept.cluster for tier in (state.short, state.medium, state.long) for kept in tier if kept.turn == nearest.turn
    )
    return next(found, 0)


def _kept(state: MemoryState, newest: Kept, nearest: Nearest, repeats: int, is_input: bool) -> Tiers:
    """The tiers with the newest turn in them, once what it comes back to is touched."""
    tiers = Tiers(state.short, state.medium, state.long)
    found = repeats or (nearest.turn if is_input and nearest.cosine >= ACCESS_COSINE else 0)
    if found:
        tiers = accessed(tiers, found, newest.turn, state.capacities.eviction)
    return entered(tiers, () if repeats else (newest,), state.capacities, newest.turn)
