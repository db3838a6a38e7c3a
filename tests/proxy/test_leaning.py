"""What recall leans to: nothing by default, the configured bias, anchors at switches of topic, the tiers alone."""

import numpy as np
import pytest

from memory_core.bias import NO_BIAS, Anchor, Bias, NegativeAttractor, Trigger
from memory_core.fold import Fold
from memory_core.index import quantise
from memory_core.recall import Memory
from memory_core.state import Capacities
from memory_core.stores import open_store
from proxy.leaning import Leaning
from tests.support.embedders import HashedWordsEmbedder
from tests.support.messages import chat, traced
from tests.support.remembering import CODE_TURN, QUESTION, TALK, learn, recalled, recollect, remembering, same

DIMENSION = HashedWordsEmbedder().dimension


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def vector_of(text):
    return (await HashedWordsEmbedder().embed([text]))[0]


def unit(place):
    return np.eye(DIMENSION, dtype=np.float32)[place]


async def test_by_default_it_is_nothing(store):
    lineage = traced(chat(*TALK, QUESTION))
    plain = await recollect(remembering(store), lineage)
    assert same(await recollect(remembering(store, leaning=Leaning()), lineage), plain)
    fold = Fold(DIMENSION)
    assert Leaning().bias_at(fold.state_at(0), fold.index) is NO_BIAS
    assert Leaning().filter_at(fold, 0) is None
    assert Leaning().salience("anything", quantise(unit(0)[None])) == 0.0


async def test_a_negative_attractor_pushes_the_answer_back_and_a_trigger_lifts_another(store):
    lineage = traced(chat(*TALK, QUESTION))
    assert recalled(await recollect(remembering(store), lineage))[0].turn == CODE_TURN
    wrong = NegativeAttractor("code", await vector_of(TALK[CODE_TURN - 1]), 0.5, 1.0)
    pushed = await recollect(remembering(store, leaning=Leaning(Bias(negative_attractors=(wrong,)))), lineage)
    assert recalled(pushed)[0].turn != CODE_TURN
    lifting = Trigger("door", ("door",), await vector_of("Anna moved to Lisbon."), 0.9, 1.0, 5.0)
    lifted = await recollect(remembering(store, leaning=Leaning(Bias(triggers=(lifting,)))), lineage)
    assert {quote.turn for quote in recalled(lifted)[:2]} == {CODE_TURN, CODE_TURN + 2}


async def test_triggers_weigh_the_turns_that_fire_them_alike_fresh_and_from_the_log(store):
    lineage = traced(chat(*TALK, QUESTION))
    leaning = Leaning(Bias(triggers=(Trigger("door", ("door",)),)))
    assert leaning.salience("the door is open", quantise(unit(0)[None])) > 0
    assert leaning.salience("the window is open", quantise(unit(0)[None])) == 0
    hot = remembering(store, leaning=leaning)
    fresh = await recollect(hot, lineage)
    await learn(hot, lineage, "It is 7431.")
    assert same(await recollect(remembering(store, leaning=leaning), lineage), fresh)


def switched(auto_anchor):
    """Two subjects, and a pivot from the one to the other."""
    fold = Fold(DIMENSION, auto_anchor=auto_anchor)
    for turn in range(12):
        vector = unit(turn // 8) + 0.1 * unit(2 + turn)
        row = (vector / np.linalg.norm(vector)).astype(np.float32)
        fold.append(turn.to_bytes(8, "big"), quantise(row[None]), (f"turn {turn}",), is_input=True)
    return fold


def test_an_anchor_is_set_where_the_topic_switched():
    fold = switched(auto_anchor=True)
    state = fold.state_at(12)
    (switch,) = state.topic_switches
    assert switch.turn == 9
    own = Anchor("mine", unit(DIMENSION - 1))
    anchors = Leaning(Bias(anchors=(own,)), auto_anchor=True).bias_at(state, fold.index).anchors
    assert [anchor.turn for anchor in anchors] == [None, 9]
    assert np.allclose(anchors[1].vector, fold.index.turn_vector(9))
    assert Leaning(Bias(anchors=(own,))).bias_at(state, fold.index).anchors == (own,)


async def test_with_the_tiers_alone_only_what_they_keep_is_recalled(store):
    lineage = traced(chat(*TALK, QUESTION))
    leaning = Leaning(tiers_only=True)
    small = Capacities(2, 2, 4)
    found = await recollect(remembering(store, leaning=leaning, capacities=small), lineage)
    assert 0 < len({quote.turn for quote in recalled(found)}) <= 8
    everything = await recollect(remembering(store, capacities=small), lineage)
    assert len({quote.turn for quote in recalled(everything)}) > 8
    fold = switched(auto_anchor=False)
    keep = leaning.filter_at(fold, 12)
    assert keep is not None
    assert keep(Memory(12, 0, 1.0))
