"""Anchors over time: how near the state is to the known domains, and a new anchor where the topic switches.

Pure functions of the transcript, so that any replica that replays it has the same anchors.
"""

import numpy as np

from memory_core.bias.kinds import Anchor
from memory_core.index import Floats

ANCHORS_MAX = 8
"""Automatic anchors fill up to this many; a user's own may be more, and are never dropped."""

AUTO_BOOST = 0.3
"""Half of what an anchor gets that somebody set: where a topic switched is a guess."""

SAME_DOMAIN = 0.85
"""An automatic anchor this near to a known one opens no new domain: the field's near-duplicate cosine."""

DRIFT_THRESHOLD = 0.25
"""Between the score of a dialogue's turns (MiniLM, LoCoMo: .26 at the first percentile, .50 in the middle) and of
foreign questions (MT-Bench: .19 at the 95th percentile) with eight anchors on that dialogue's sessions."""

Anchors = tuple[Anchor, ...]


def auto_anchored(anchors: Anchors, vector: Floats, turn: int, switch_magnitude: float) -> Anchors:
    """The anchors after an input: with one more on its vector, unit float32 [d], if it switched the topic.

    `switch_magnitude` is `topic_switch` of the turn's report; 0 (or an input without a direction) changes nothing.
    The oldest automatic anchor leaves first. A topic that comes back renews its automatic anchor and makes no second
    one; a user's own anchor covers its domain for good. Learning a turn twice is learning it once.
    """
    if switch_magnitude <= 0 or not vector.any():
        return anchors
    same = {id(anchor) for anchor in anchors if round(float(anchor.vector @ vector), 6) >= SAME_DOMAIN}
    own = [anchor for anchor in anchors if anchor.turn is None]
    if any(id(anchor) in same for anchor in own):
        return anchors
    automatic = [anchor for anchor in anchors if anchor.turn not in (None, turn) and id(anchor) not in same]
    automatic.append(Anchor(f"turn {turn}", vector, AUTO_BOOST, turn))
    room = max(0, ANCHORS_MAX - len(own))
    return (*own, *automatic[max(0, len(automatic) - room) :])


def anchor_score(state_vector: Floats, anchors: Anchors) -> float | None:
    """Mean cosine of the state with the anchors, -1..1; None without an anchor or before the first input."""
    norm = float(np.linalg.norm(state_vector))
    if not anchors or norm < 1e-12:
        return None
    cosines = np.stack([anchor.vector for anchor in anchors]) @ state_vector / norm
    return round(float(cosines.mean()), 6)


def drifted(before: float | None, after: float | None, threshold: float = DRIFT_THRESHOLD) -> bool:
    """Whether `anchor_score` fell below the threshold with this turn: once per fall, not on every turn below it."""
    return before is not None and after is not None and after < threshold <= before
