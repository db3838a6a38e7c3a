"""Which triggers an input fires, and how salient that makes its turn."""

from collections.abc import Sequence

from memory_core.bias.kinds import Trigger
from memory_core.index import Floats
from memory_core.lexical import terms


def fired(text: str, vector: Floats, triggers: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """The triggers that an input fires, in their order; a weight of 0 never does.

    `vector` is the input's unit vector, float32 [d]. Linear in the text, whatever the keywords.
    """
    audible = [trigger for trigger in triggers if trigger.weight > 0]
    if not audible:
        return ()
    said = _spelled(text)
    return tuple(
        trigger
        for trigger in audible
        if any(_spelled(keyword) in said for keyword in trigger.keywords) or _is_near(vector, trigger)
    )


def salience(text: str, vector: Floats, triggers: Sequence[Trigger]) -> float:
    """How much more than itself a turn counts, 0..1: w / (1 + w) for the heaviest fired trigger, 0 if none.

    Saturating rather than cut at 1, so that weight 5 (.83) still stands above weight 1 (.5).
    """
    weight = max((trigger.weight for trigger in fired(text, vector, triggers)), default=0.0)
    return weight / (1.0 + weight)


def _spelled(text: str) -> str:
    """Terms between spaces: one is a phrase of another if and only if it is a substring, as terms have no spaces."""
    return f" {' '.join(terms(text))} "


def _is_near(vector: Floats, trigger: Trigger) -> bool:
    return trigger.vector is not None and round(float(vector @ trigger.vector), 6) >= trigger.threshold
