"""What a turn is worth keeping for: information, importance, recency and access, and nothing that a clock could shift.

    density  = IDF mass / √terms                              how much it says, whatever its length
    standing = density / mean density of its role so far      against its own kind
    weight   = standing · importance                          fixed when the turn arrives
    score    = weight · (1 + .2 · 2^(-age / 200) + .05 · ln(1 + accesses))

The square root is the length norm of classic TF-IDF search (Lucene's 1/√terms): the sum alone keeps whoever talks
most, the mean alone whoever says one rare word. Standing is where the role counts: a model's answers are nine times as
long as its user's words, and against their mass the user would be forgotten. IDF is that of the moment the turn came
in, which grows with the log; so does the mean that it is divided by. Age is counted in turns since the turn came in or
was last accessed, never in seconds. EXPERIMENTS.md has what was measured, and what was not taken.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from memory_core.state import Kept

RECENCY_SHARE = 0.2
RECENCY_HALF_LIFE_TURNS = 200
ACCESS_SHARE = 0.05

ASKED_DISCOUNT = 0.5
"""What a question asks it does not state: of a turn that only asks half is left. All of it would lose its subject."""

IMPORTANCE_MAX = 5.0
DECIMALS = 9
"""Weights and scores are rounded before they are compared, so that another libm cannot reorder them."""

_READ_CHARS = 2_000
"""Enough of a chunk to see how much of it is literals."""

_SENTENCE = re.compile(r"[^.!?…。！？؟\n]*[.!?…。！？؟\n]*")
_ASKING = re.compile(r"[?？؟]")
_ENDS_SENTENCE = (".", "!", "?", ":", "…")


def density(information: float, terms: int) -> float:
    """IDF mass over the square root of how many terms carry it, ≥ 0; a mass that is no number counts as none."""
    return information / math.sqrt(max(1, terms)) if 0.0 < information < math.inf else 0.0


def importance(texts: Sequence[str], meta: Mapping[str, str] | None = None, salience: float = 0.0) -> float:
    """What multiplies a turn's standing, ≥ 0, about 1: (1 - ½ asked) · (1 + literals) · (1 + salience) · given.

    `asked` is the share of the text that asks, `literals` the share of its words that are names, numbers or
    identifiers (a count would favour the long), `salience` (0..5) what fired triggers add, `given` is
    `meta["importance"]` (0..5: 0 lets go, 5 outranks; anything else counts as 1).
    """
    written = sum(map(len, texts))
    asked = sum(map(_asked_chars, texts)) / written if written else 0.0
    salient = 1.0 + _within(salience, 0.0)
    given = _within((meta or {}).get("importance"), 1.0)
    return (1.0 - ASKED_DISCOUNT * asked) * (1.0 + _literals(texts)) * salient * given


def score(kept: Kept, turn: int) -> float:
    """What a kept turn is worth at `turn`, ≥ its weight; the least is evicted first, of two equals the older."""
    return round(unrounded_score(kept, turn), DECIMALS)


def unrounded_score(kept: Kept, turn: int) -> float:
    """The score within 1e-9, at a third of the cost: enough to see that a turn is not the least."""
    recent = recency(turn - (kept.touched or kept.turn))
    return kept.weight * (1.0 + recent + ACCESS_SHARE * math.log1p(kept.accesses))


def recency(age: int) -> float:
    """What an age in turns adds to a score, as a share of the weight."""
    share: float = RECENCY_SHARE * 0.5 ** (age / RECENCY_HALF_LIFE_TURNS)
    return share


def _asked_chars(text: str) -> int:
    if _ASKING.search(text) is None:
        return 0
    return sum(len(sentence) for sentence in _SENTENCE.findall(text) if _ASKING.search(sentence))


def _literals(texts: Sequence[str]) -> float:
    """The share of words with a digit or, within a sentence, a capital: a cheap stand-in for literals."""
    total = found = 0
    for text in texts:
        words = text[:_READ_CHARS].split()
        total += len(words)
        for before, word in pairwise((".", *words)):
            named = word[0].isupper() and len(word) > 1 and word[:2].isalpha() and not before.endswith(_ENDS_SENTENCE)
            found += named or (not word.isalpha() and any(map(str.isdigit, word)))
    return found / total if total else 0.0


def _within(given: object, default: float) -> float:
    """A number of 0..IMPORTANCE_MAX, cut to it; `default` for what is none. Meta may be anyone's."""
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return min(IMPORTANCE_MAX, max(0.0, value)) if math.isfinite(value) else default
