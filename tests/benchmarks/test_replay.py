"""The replay and the cost of planning, on small conversations: that they run, and what must hold of any."""

from pathlib import Path

import pytest

from benchmarks.embedding import SilentEmbedder
from benchmarks.planning import CASES, measure
from benchmarks.replay import play, priced
from benchmarks.replay_data import Conversation, endless


def talk(exchanges: int) -> Conversation:
    """Some 100 tokens a message."""
    turns = [
        {"role": role, "content": f"{number}: " + f"word{number} and another one, " * 14}
        for number in range(exchanges)
        for role in ("user", "assistant")
    ]
    return Conversation("made up", ({"role": "system", "content": "Be brief."}, *turns))


@pytest.mark.slow
async def test_a_conversation_is_played_to_its_end_and_never_costs_more():
    played = await play(SilentEmbedder(), talk(120), priced(0.25, 1.0))
    assert len(played.turns) == 120
    assert all(turn.fault == "" for turn in played.turns)
    assert played.turns[-1].epoch > 1
    assert sum(turn.paid for turn in played.turns) < sum(turn.rival for turn in played.turns)
    assert sum(turn.estimated for turn in played.turns) == pytest.approx(
        sum(turn.cached for turn in played.turns), rel=0.05
    )


@pytest.mark.slow
async def test_the_end_of_a_long_one_is_played_by_itself():
    far = endless(talk(20), 300)
    played = await play(SilentEmbedder(), far, priced(0.1, 1.0), last=5)
    assert [turn.messages for turn in played.turns] == [292, 294, 296, 298, 300]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
async def test_planning_asks_the_store_the_same_at_any_length(case: str, tmp_path: Path):
    short, long = await measure(case, 10, tmp_path), await measure(case, 100, tmp_path)
    assert short.mode == long.mode
    if case != "compact":
        assert (short.calls, short.bytes) == (long.calls, long.bytes)
