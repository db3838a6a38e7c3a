"""Where the cut falls: a function of the transcript alone, and it stands still within an epoch."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan import MODES, RECALL_FIRST_TOKENS, Budget, Layout, plan

ROLES = st.sampled_from(["user", "assistant", "tool"])
TURNS = st.lists(st.tuples(ROLES, st.integers(0, 400)), min_size=1, max_size=60)
BUDGETS = st.builds(
    Budget,
    compact_above_tokens=st.integers(0, 5000),
    window_tokens=st.integers(0, 1000),
    epoch_tokens=st.integers(1, 1000),
    context_tokens=st.integers(0, 1000),
    block_share=st.floats(0, 1),
)
BUDGET = Budget(1000, 100, 100, 400, 0.25)


def planned(mode, turns, budget=BUDGET, other=0):
    return plan(mode, [role for role, _ in turns], [tokens for _, tokens in turns], other, budget)


def test_an_example_by_hand():
    turns = [("user", 30), ("assistant", 30)] * 5 + [("user", 30)]  # 300 tokens before the question
    # (300 - 100) // 100 = 2: the cut is the first user turn that begins at 200 or after, which is turn 8, at 240
    assert planned("compact", turns) == Layout(cut=8, asked=10, epoch=2)


@given(TURNS, BUDGETS, st.integers(0, 500))
def test_the_window_is_within_its_bounds(turns, budget, other):
    layout = planned("compact", turns, budget, other)
    begins = [0, *accumulate(tokens for _, tokens in turns)]
    if layout.asked < 0:
        assert layout == Layout(0, -1, 0)
        return
    window = begins[layout.asked] - begins[layout.cut]
    assert window < budget.window_tokens + budget.epoch_tokens or not layout.is_compact
    if layout.is_compact:
        boundary = layout.epoch * budget.epoch_tokens
        skipped = begins[layout.cut] - boundary
        assert window + skipped >= budget.window_tokens
        between = range(_first_at(begins, boundary), layout.cut)
        assert not [place for place in between if turns[place][0] == "user"]


def _first_at(begins, tokens):
    return next(place for place, begin in enumerate(begins) if begin >= tokens)


@given(TURNS, BUDGETS, st.sampled_from(MODES))
def test_the_cut_is_at_a_user_turn_not_after_the_question(turns, budget, mode):
    layout = planned(mode, turns, budget)
    users = [place for place, (role, _) in enumerate(turns) if role == "user"]
    assert layout.asked == (users[-1] if users else -1)
    assert layout.cut == 0 or (layout.cut in users and layout.cut <= layout.asked)
    assert layout.is_compact == (layout.cut > 0)
    assert planned(mode, turns, budget) == layout


@given(TURNS, BUDGETS)
def test_as_a_conversation_grows_the_cut_only_moves_on_and_only_with_the_epoch(turns, budget):
    layouts = [planned("compact", turns[:length], budget) for length in range(1, len(turns) + 1)]
    cuts_of: dict[int, set[int]] = {}
    for layout in layouts:
        if layout.is_compact:
            cuts_of.setdefault(layout.epoch, set()).add(layout.cut)
    assert all(len(cuts) == 1 for cuts in cuts_of.values())
    assert [layout.cut for layout in layouts] == sorted(layout.cut for layout in layouts)
    assert [layout.epoch for layout in layouts] == sorted(layout.epoch for layout in layouts)


@given(TURNS, BUDGETS)
def test_what_follows_the_question_moves_nothing(turns, budget):
    loop = [*turns, ("user", 10)]
    layout = planned("compact", loop, budget)
    for more in ([("assistant", 900)], [("assistant", 900), ("tool", 900), ("assistant", 900), ("tool", 900)]):
        assert planned("compact", [*loop, *more], budget) == layout


@given(TURNS, BUDGETS)
def test_nothing_is_cut_while_all_fits(turns, budget):
    asked = planned("passthrough", turns, budget).asked
    before = sum(tokens for _, tokens in turns[: max(asked, 0)])
    if before < budget.window_tokens + budget.epoch_tokens:
        assert not planned("compact", turns, budget).is_compact


@given(TURNS, BUDGETS, st.integers(0, 500))
def test_passthrough_cuts_nothing_and_auto_only_above_its_size(turns, budget, other):
    compact = planned("compact", turns, budget, other)
    whole = planned("passthrough", turns, budget, other)
    assert whole == Layout(0, compact.asked, 0)
    full = sum(tokens for _, tokens in turns) + other
    assert planned("auto", turns, budget, other) == (compact if full > budget.compact_above_tokens else whole)


@pytest.mark.parametrize(("other", "is_compact"), [(79, False), (80, False), (81, True)])
def test_auto_counts_what_is_sent_anyway(other, is_compact):
    turns = [("user", 40), ("assistant", 40)] * 11 + [("user", 40)]
    assert planned("auto", turns, other=other).is_compact == is_compact


def test_no_user_turn_no_layout():
    assert planned("compact", [("assistant", 5000), ("tool", 5000)]) == Layout(0, -1, 0)
    assert planned("compact", []) == Layout(0, -1, 0)


def test_an_edit_before_the_cut_is_as_a_fresh_conversation():
    turns = [("user", 50), ("assistant", 50)] * 10 + [("user", 50)]
    edited = [("user", 500), *turns[1:7]]
    assert planned("compact", edited) == Layout(cut=4, asked=6, epoch=6)


def test_a_turn_longer_than_an_epoch_is_left_out_whole():
    turns = [("user", 10), ("assistant", 5000), ("user", 10)]
    assert planned("compact", turns) == Layout(cut=2, asked=2, epoch=49)


@pytest.mark.parametrize(("share", "tokens"), [(0.0, 0), (0.25, 100), (0.999, 399), (1.0, 400)])
def test_the_block_has_its_share(share, tokens):
    assert Budget(1000, 100, 100, RECALL_FIRST_TOKENS + 400, share).block_tokens == tokens
    assert Budget(1000, 100, 100, RECALL_FIRST_TOKENS, share).block_tokens == 0
