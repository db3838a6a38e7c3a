from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from memory_core.index import quantise
from memory_core.state import Capacities, Kept, MemoryState, TopicSwitch
from tests.support.memories import Turn, folded, unit

D = 8
SMALL = Capacities(short=2, medium=2, long=3)
LOG = [Turn((f"word{n} and word{n % 3}",), quantise(unit(n, 1, D)), n % 2 == 0) for n in range(12)]
SOUND, _ = folded(LOG, D, capacities=SMALL)


def test_a_folded_state_and_an_empty_one_hold_their_invariants() -> None:
    SOUND.check()
    MemoryState.empty(D).check()


@pytest.mark.parametrize(
    ("sentence", "breaking"),
    [
        ("not finite", lambda s: replace(s, vector=np.full(D, np.nan, np.float32))),
        ("not finite", lambda s: replace(s, vector=np.full(D, np.inf, np.float32))),
        ("too long", lambda s: replace(s, vector=s.vector * 2)),
        ("more inputs", lambda s: replace(s, inputs=s.turns + 1)),
        ("more inputs", lambda s: replace(s, inputs=-1)),
        ("history is too long", lambda s: replace(s, similarities=(0.5,) * 51)),
        ("no cosine", lambda s: replace(s, similarities=(1.5,))),
        ("no cosine", lambda s: replace(s, similarities=(float("nan"),))),
        ("short tier", lambda s: replace(s, short=(*s.short, Kept(1, 1.0)))),
        ("medium tier", lambda s: replace(s, medium=(*s.medium, Kept(1, 1.0)))),
        ("long tier", lambda s: replace(s, long=(*s.long, Kept(1, 1.0)))),
        ("kept twice", lambda s: replace(s, short=(s.short[0], s.short[0]))),
        ("kept twice", lambda s: replace(s, short=(s.medium[0],))),
        ("not in the log", lambda s: replace(s, short=(Kept(0, 1.0),))),
        ("not in the log", lambda s: replace(s, short=(Kept(s.turns + 1, 1.0),))),
        ("below zero", lambda s: replace(s, short=(Kept(s.turns, -0.1),))),
        ("below zero", lambda s: replace(s, short=(Kept(s.turns, float("nan")),))),
        ("weight", lambda s: replace(s, short=(Kept(s.turns, 1.0, -0.1),))),
        ("weight", lambda s: replace(s, short=(Kept(s.turns, 1.0, float("inf")),))),
        ("accesses", lambda s: replace(s, short=(Kept(s.turns, 1.0, accesses=-1),))),
        ("an access", lambda s: replace(s, short=(Kept(s.turns, 1.0, touched=s.turns + 1),))),
        ("an access", lambda s: replace(s, short=(Kept(s.turns, 1.0, touched=s.turns),))),
        ("leader", lambda s: replace(s, short=(Kept(s.turns, 1.0, leader=s.turns),))),
        ("leader", lambda s: replace(s, short=(Kept(s.turns, 1.0, leader=-1),))),
        ("eviction", lambda s: replace(s, capacities=replace(s.capacities, eviction="whim"))),
        ("history of switches", lambda s: replace(s, topic_switches=(TopicSwitch(1, 0.7, "stability"),) * 51)),
        ("not in the log", lambda s: replace(s, topic_switches=(TopicSwitch(99, 0.7, "stability"),))),
        ("magnitude", lambda s: replace(s, topic_switches=(TopicSwitch(1, 1.7, "stability"),))),
        ("density", lambda s: replace(s, densities=(float("nan"), 0.0))),
        ("density", lambda s: replace(s, densities=(0.0, -1.0))),
    ],
)
def test_check_names_each_broken_invariant(sentence: str, breaking: Callable[[MemoryState], MemoryState]) -> None:
    with pytest.raises(ValueError, match=sentence):
        breaking(SOUND).check()


def test_kept_is_in_the_order_of_the_log() -> None:
    numbers = [kept.turn for kept in SOUND.kept]
    assert numbers == sorted(numbers)
    assert len(numbers) == 7
    assert numbers[-2:] == [11, 12]


@pytest.mark.parametrize(
    "changed",
    [
        replace(SOUND, turns=13),
        replace(SOUND, inputs=5),
        replace(SOUND, similarities=SOUND.similarities[1:]),
        replace(SOUND, long=SOUND.long[1:]),
        replace(SOUND, medium=SOUND.medium[1:]),
        replace(SOUND, short=SOUND.short[1:]),
        replace(SOUND, capacities=Capacities()),
        replace(SOUND, capacities=replace(SMALL, eviction="fifo")),
        replace(SOUND, topic_switches=(TopicSwitch(1, 0.7, "stability"),)),
        replace(SOUND, densities=(1.0, 1.0)),
        replace(SOUND, short=(structs.replace(SOUND.short[0], accesses=7), *SOUND.short[1:])),
        replace(SOUND, vector=np.nextafter(SOUND.vector, np.float32(9))),
        replace(SOUND, vector=SOUND.vector[:-1]),
    ],
    ids=[
        "turns",
        "inputs",
        "similarities",
        "long",
        "medium",
        "short",
        "capacities",
        "eviction",
        "switches",
        "densities",
        "accesses",
        "one bit",
        "dimension",
    ],
)
def test_same_sees_every_difference(changed: MemoryState) -> None:
    assert SOUND.same(replace(SOUND, vector=SOUND.vector.copy()))
    assert not SOUND.same(changed)


def test_a_state_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        SOUND.turns = 3  # type: ignore[misc]
