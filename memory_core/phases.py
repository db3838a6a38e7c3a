"""Where a conversation is, read from the rolling history of similarities alone.

Formulas are ours; the names and their meaning are the field's: a phase says how much to lean on memory.
"""

import math
from collections.abc import Sequence
from statistics import fmean

PHASES = ("initialization", "exploration", "convergence", "resonance", "stability", "instability")

WARM_UP_INPUTS = 3
RECENT = 5
FSM_WINDOW = 10
SWITCH_THRESHOLD = 0.3
"""A fall of the similarity by this much below the recent mean counts as a switch of topic."""


def stability(similarities: Sequence[float]) -> float:
    """`fsm`, 0..1: 1 minus twice the standard deviation of the last ten similarities; 0 before there are two."""
    recent = similarities[-FSM_WINDOW:]
    return max(0.0, 1.0 - 2.0 * _deviation(recent)) if len(recent) > 1 else 0.0


def switch_magnitude(before: Sequence[float], similarity: float) -> float:
    """`topic_switch`, 0..1: how far an input falls below the mean of the five before; 0 under the threshold."""
    if len(before) < WARM_UP_INPUTS:
        return 0.0
    fall = fmean(before[-RECENT:]) - similarity
    return min(1.0, fall) if fall >= SWITCH_THRESHOLD else 0.0


def novelty(similarity: float) -> float:
    """`novelty_score`, 0..1: 1 for an input orthogonal or opposed to the state, 0 for a repeat of it."""
    return 1.0 - min(1.0, max(0.0, similarity))


def strength(similarities: Sequence[float]) -> float:
    """`pattern_strength`, 0..1.5: how strongly the last inputs confirm one direction, 1.5 · mean², signed to 0."""
    mean = fmean(similarities[-RECENT:]) if similarities else 0.0
    return 1.5 * max(0.0, mean) ** 2


def phase(similarities: Sequence[float], topic_switch: float) -> str:
    """One of PHASES, from the similarities up to and with this input.

    The cuts lie at the quartiles of the mean of five over LoCoMo's dialogues with MiniLM: .50, .56, .61.
    """
    if len(similarities) < WARM_UP_INPUTS:
        return "initialization"
    recent = similarities[-RECENT:]
    mean = fmean(recent)
    if topic_switch > 0.0 or _deviation(recent) > SWITCH_THRESHOLD:
        return "instability"
    if mean < 0.50:
        return "exploration"
    if mean < 0.56:
        return "convergence"
    return "stability" if mean < 0.61 else "resonance"


def _deviation(values: Sequence[float]) -> float:
    """The population's standard deviation; statistics.pstdev does exact fractions, at thirty times the cost."""
    mean = fmean(values)
    return math.sqrt(fmean((value - mean) ** 2 for value in values))
