"""What recall leans to in this deployment: the configured bias, anchors set by switches of topic, the tiers alone.

All of it follows from the configuration and the transcript, so replicas that share both recall the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from memory_core.bias import NO_BIAS, Bias, auto_anchored, salience
from memory_core.fold import Fold
from memory_core.index import Bytes8, MemoryIndex, unit_rows
from memory_core.recall import Memory
from memory_core.state import MemoryState


@dataclass(frozen=True, slots=True)
class Leaning:
    """Off by default. `tiers_only` searches the 265 kept turns and not the log: for those who must forget."""

    bias: Bias = NO_BIAS
    auto_anchor: bool = False
    tiers_only: bool = False

    def bias_at(self, state: MemoryState, index: MemoryIndex) -> Bias:
        """The bias once each switch of topic that the state remembers has set its anchor."""
        if not self.auto_anchor or not state.topic_switches:
            return self.bias
        anchors = self.bias.anchors
        for switch in state.topic_switches:
            anchors = auto_anchored(anchors, index.turn_vector(switch.turn), switch.turn, switch.magnitude)
        return replace(self.bias, anchors=anchors)

    def filter_at(self, fold: Fold, turns: int) -> Callable[[Memory], bool] | None:
        """What may be recalled of the first `turns` turns; None for all."""
        if not self.tiers_only:
            return None
        kept = {each.turn for each in fold.state_at(turns).kept}
        return lambda memory: memory.turn in kept

    def salience(self, text: str, rows: Bytes8) -> float:
        """How salient the configured triggers make an input with these int8 chunk vectors, 0..1."""
        if not self.bias.triggers:
            return 0.0
        total = unit_rows(rows).sum(axis=0)
        vector = np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)
        return salience(text, vector, self.bias.triggers)
