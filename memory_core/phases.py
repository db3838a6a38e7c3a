"""Where a conversation is, read from the rolling history of similarities alone.

Formulas are ours; the names and their meaning are the field's: a phase says how much to lean on memory.
"""

import math
from collections.abc import Sequence

PHASES = ("initialization", "exploration", "convergence", "resonance", "stability", "instability")

WARM_UP_INPUTS = 3
RECENT = 5
FSM_WINDOW = 10
SCATTER_MAX = 0.3
"""Similarities of five inputs with a wider standard deviation than this are unstable, whatever their mean."""

SWITCH_THRESHOLD = 0.6
"""A similarity that has lost this share of the recent mean counts as a switch of topic."""

SWITCH_FALL_MIN = 0.15
"""... if the fall is also as deep as this: among questions that have nothing in common each one is no news."""

_DECIMALS = 6


def stability(similarities: Sequence[float]) -> float:
    """`fsm`, 0..1: 1 minus twice the standard deviation of the last ten similarities; 0 before there are two."""
    recent = similarities[-FSM_WINDOW:]
    return max(0.0, 1.0 - 2.0 * _deviation(recent, _mean(recent))) if len(recent) > 1 else 0.0


def switch_magnitude(before: Sequence[float], similarity: float) -> float:
    """`topic_switch`, 0..1: 1 - s / m, the share of the recent level m that an input loses; 0 under the thresholds.

    m is the mean of the five similarities before it. The share finds what a fixed fall does not: terse questions lie
    at .3 to their own topic and at .1 to another, prose at .57 and .05. Measured in `benchmarks/phases_plot.py`.
    """
    if len(before) < WARM_UP_INPUTS:
        return 0.0
    mean = _mean(before[-RECENT:])
    if mean - similarity < SWITCH_FALL_MIN or mean <= 0.0:
        return 0.0
    lost = round(min(1.0, 1.0 - similarity / mean), _DECIMALS)
    return lost if lost >= SWITCH_THRESHOLD else 0.0


def novelty(similarity: float) -> float:
    """`novelty_score`, 0..1: 1 for an input orthogonal or opposed to the state, 0 for a repeat of it."""
    return 1.0 - min(1.0, max(0.0, similarity))


def strength(similarities: Sequence[float]) -> float:
    """`pattern_strength`, 0..1.5: how strongly the last inputs confirm one direction, 1.5 · mean², signed to 0.

    Users of such memories know the name as the pull of recalled memories on the new state. Here nothing that was
    recalled moves the state (it would no longer follow from the transcript alone), so what pulls is the state itself.
    """
    mean = _mean(similarities[-RECENT:]) if similarities else 0.0
    return 1.5 * max(0.0, mean) ** 2


def phase(similarities: Sequence[float], topic_switch: float) -> str:
    """One of PHASES, from the similarities up to and with this input; `topic_switch` is this input's, else 0.

    The cuts lie at the quartiles of the mean of five over LoCoMo's dialogues with MiniLM: .50, .56, .61.
    """
    if len(similarities) < WARM_UP_INPUTS:
        return "initialization"
    recent = similarities[-RECENT:]
    mean = _mean(recent)
    if topic_switch > 0.0 or _deviation(recent, mean) > SCATTER_MAX:
        return "instability"
    if mean < 0.50:
        return "exploration"
    if mean < 0.56:
        return "convergence"
    return "stability" if mean < 0.61 else "resonance"


def _mean(values: Sequence[float]) -> float:
    """statistics.fmean of what has a length."""
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float], mean: float) -> float:
    """The population's standard deviation; statistics.pstdev does exact fractions, at thirty times the cost."""
    return math.sqrt(_mean([(value - mean) ** 2 for value in values]))
