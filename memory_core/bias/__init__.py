"""Bias, five ways: tell recall what it should lean to, what it should avoid, and what it must not show.

| way | what it changes |
|---|---|
| anchors | of about equal memories, the one of a known domain comes first |
| triggers | a word or a meaning in the input makes the turn salient and lifts what it matches |
| negative attractors | what lies in a region loses a share of its score |
| `meta` and a filter | what a predicate refuses is not recalled, and the next one takes its place |
| deletion | what is deleted from the log is in no state and no index that is folded from it |

The first three control what is recalled and leave the log alone; `filtered` needs the `meta` of the log's records,
and deletion is the log's own. Boosts combine by max, pushes too: two reasons for one thing are not twice a reason.
"""

from memory_core.bias.anchors import ANCHORS_MAX, DRIFT_THRESHOLD, anchor_score, auto_anchored, drifted
from memory_core.bias.kinds import NO_BIAS, Anchor, Bias, NegativeAttractor, Trigger
from memory_core.bias.ranking import ANCHOR_REACH, adjusted, filtered
from memory_core.bias.triggers import fired, salience

__all__ = [
    "ANCHORS_MAX",
    "ANCHOR_REACH",
    "DRIFT_THRESHOLD",
    "NO_BIAS",
    "Anchor",
    "Bias",
    "NegativeAttractor",
    "Trigger",
    "adjusted",
    "anchor_score",
    "auto_anchored",
    "drifted",
    "filtered",
    "fired",
    "salience",
]
