"""Where the cut falls and when it moves; what a price row means. (test_plan_bound.py has what it costs.)"""

from dataclasses import replace
from itertools import accumulate, pairwise
from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from config.prices import Price
from proxy.meter import EXCHANGE_TOKENS, Measured
from proxy.plan import (
    MODES,
    RECALL_FIRST_TOKENS,
    SPARED_SHARE_MIN,
    TOPIC_SHARE,
    Budget,
    Layout,
    Standing,
    plan,
    terms,
    uncached,
    window_tokens,
)
from proxy.prefix_cache import Part

PRICE = Price("row", "*", 1.0, "input", 0.1, 1.0, 1024, 128, 600.0)
BUDGET = Budget(800, 2000, 900, 500, 400)
WHYS = {"asked", "context", "break-even", "moving", "cold", "edit", "topic", "budget"}

TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.integers(0, 40) | st.integers(0, 6000)), max_size=80
)
PRICES = st.builds(
    replace,
    st.just(PRICE),
    read=st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0, 1),
    write=st.floats(1, 1.25),
    cacheable_min=st.integers(1, 4096),
    step=st.integers(1, 128),
    at_marks=st.booleans(),
)
CACHED = st.builds(replace, st.just(PRICE), read=st.floats(0.01, 0.9), write=st.floats(1, 1.25))
BUDGETS = st.builds(
    Budget,
    window_tokens=st.integers(0, 3000),
    epoch_tokens=st.integers(100, 5000),
    context_tokens=st.integers(0, 1500),
    block_tokens=st.integers(0, 500),
    recall_tokens_max=st.integers(0, 1000),
    full_max_tokens=st.sampled_from([0, 0, 3000, 20_000]),
)
FLAGS = st.fixed_dictionaries({name: st.booleans() for name in ("is_cold", "is_moving", "is_edited", "has_switched")})


def measured_of(turns, seen_from=0, head=0, length=None):
    places = {role: [place for place, turn in enumerate(turns) if turn[0] == role] for role in ("user", "assistant")}
    begins = [0, *accumulate(tokens for _, tokens in turns)]
    length = len(turns) if length is None else length
    return Measured(length, begins, places["user"], places["assistant"], seen_from, (Part(b"system", head),))


def chat(exchanges, user=100, assistant=100):
    return [("user", user), ("assistant", assistant)] * exchanges + [("user", 10)]


# --- the cut


def test_an_example_by_hand():
    # w = 1, r = .1, m = 200; the window of 800 becomes 1024 + 128 - 3 = 1149 and, at whole exchanges, 1200
    # D = .9 · (500 + 1200 + 3) = 1533 (3 tokens open the reply: too short to be cached by themselves)
    # B + W + E/2 + (R + D·m/E) / r, where W is but 800 once a block of 500 stands before it
    measured = measured_of(chat(80))
    found = terms(PRICE, BUDGET, exchange=200, fixed=3, block=500, window=1200)
    assert found.rewrite == pytest.approx(1532.7)
    assert found.epoch == 2000  # √(2 · 1533 · 200 / .1) = 2476 is more than an epoch may span
    assert found.marginal == pytest.approx(500 + 800 + 1000 + (400 + 153.27) / 0.1)
    assert found.break_even == pytest.approx(found.marginal + 2476, abs=1)
    first = next(n for n in range(80) if plan("auto", measured_of(chat(n)), Standing(), PRICE, BUDGET).why)
    assert first * 200 >= found.break_even > (first - 1) * 200
    assert plan("auto", measured, Standing(), PRICE, BUDGET) == Layout(160 - 12, 160, 1, "break-even")


@given(st.sampled_from(MODES), TURNS, PRICES, BUDGETS, FLAGS, st.integers(0, 2000), st.data())
def test_a_plan_is_sound(mode, turns, price, budget, flags, head, data):
    """The cut is at a user turn that the client sent, up to the question; a new epoch is one more and says why."""
    seen_from = data.draw(st.integers(0, len(turns)))
    measured = measured_of(turns, seen_from, head)
    before = [place for place in measured.users if seen_from < place <= measured.asked]
    cut = data.draw(st.sampled_from([0, *before]))
    standing = Standing(cut, 3, 100, **flags) if cut else Standing(**flags)
    layout = plan(mode, measured, standing, price, budget)
    assert layout == plan(mode, measured, standing, price, budget)
    users = [place for place, (role, _) in enumerate(turns) if role == "user"]
    assert layout.asked == (users[-1] if users else -1)
    if mode == "passthrough" or layout.asked < 0:
        assert layout == Layout(seen_from, layout.asked)
    elif layout.why:
        assert layout.why in WHYS
        assert layout.epoch == standing.number + 1
        assert layout.cut in users
        assert max(seen_from, standing.cut) < layout.cut <= layout.asked
    else:
        assert layout == Layout(cut or seen_from, layout.asked, standing.number)


@given(TURNS, PRICES, BUDGETS, st.sampled_from(MODES), st.data())
def test_as_a_transcript_grows_the_cut_only_moves_on_and_never_within_a_loop(turns, price, budget, mode, data):
    layouts, standing = [], Standing()
    for length in range(1, len(turns) + 1):
        flags = data.draw(FLAGS) if mode == "auto" else {}
        standing = structs.replace(standing, **flags)
        layout = plan(mode, measured_of(turns, length=length), standing, price, budget)
        layouts.append((length, layout))
        if layout.why:
            standing = structs.replace(standing, cut=layout.cut, number=layout.epoch, block_tokens=budget.block_tokens)
    for (_, earlier), (length, later) in pairwise(layouts):
        assert later.cut >= earlier.cut
        assert (later.cut > earlier.cut) == (later.epoch == earlier.epoch + 1) == bool(later.why)
        # right after an epoch began its block, which was not there before, may move the window once more
        if turns[length - 1][0] != "user" and not flags and not earlier.why:
            assert later.cut == earlier.cut


@given(TURNS, PRICES, BUDGETS, st.sampled_from(MODES), FLAGS)
def test_what_follows_the_question_moves_nothing(turns, price, budget, mode, flags):
    assume(not budget.full_max_tokens)
    loop = [*turns, ("user", 10), ("assistant", 900), ("tool", 4000), ("tool", 900), ("assistant", 50), ("tool", 0)]
    found = {
        plan(mode, measured_of(loop, length=length), Standing(**flags), price, budget)
        for length in range(len(turns) + 1, len(loop) + 1)
    }
    assert len(found) == 1


@given(TURNS, CACHED, BUDGETS)
def test_a_window_is_long_enough_to_be_cached_unless_one_exchange_alone_is_longer_than_an_epoch(turns, price, budget):
    measured = measured_of(turns)
    layout = plan("compact", measured, Standing(), price, budget)
    if layout.why:
        window = measured.between(layout.cut, layout.asked)
        longest = max(b - a for a, b in pairwise([measured.begins[u] for u in measured.users if u <= layout.asked]))
        least = window_tokens(price, budget, measured.other)
        assert least >= max(budget.window_tokens, price.cacheable_min - measured.other)
        assert window >= least or longest > budget.epoch_tokens
        assert window < least + max(longest, budget.epoch_tokens + 1)


def test_an_exchange_that_is_longer_than_an_epoch_is_left_out_unless_it_is_the_newest():
    price = replace(PRICE, cacheable_min=1, step=1)
    turns = [*chat(40), ("assistant", 6000), ("user", 10)]
    newest = plan("compact", measured_of(turns), Standing(), price, BUDGET)
    assert newest.cut == 80
    gone_by = plan("compact", measured_of([*turns, ("assistant", 50), ("user", 10)]), Standing(), price, BUDGET)
    assert gone_by.cut == 82
    shorter = [*chat(40), ("assistant", 2700), ("user", 10), ("assistant", 50), ("user", 10)]
    assert plan("compact", measured_of(shorter), Standing(), price, BUDGET).cut == 80


# --- why an epoch begins


@given(TURNS, PRICES, BUDGETS)
def test_in_auto_nothing_is_left_out_where_reading_is_free(turns, price, budget):
    free = replace(price, read=0.0)
    budget = replace(budget, full_max_tokens=0)
    for is_cold in (False, True):
        assert not plan("auto", measured_of(turns), Standing(is_cold=is_cold), free, budget).is_compact


@given(TURNS, PRICES, BUDGETS, FLAGS, st.data())
def test_a_cold_cache_begins_no_epoch_that_spares_less_than_half_a_window(turns, price, budget, flags, data):
    measured = measured_of(turns)
    cuts = [place for place in measured.users if 0 < place <= measured.asked]
    assume(cuts)
    standing = Standing(data.draw(st.sampled_from(cuts)), 1, 100, **flags | {"is_cold": True})
    layout = plan("auto", measured, standing, price, budget)
    if layout.why in ("cold", "edit"):
        assert measured.between(standing.cut, layout.cut) >= SPARED_SHARE_MIN * budget.window_tokens
    warm = plan("auto", measured, structs.replace(standing, is_cold=False), price, budget)
    if warm.why:  # what is worth its price is worth it for nothing
        assert layout.cut == warm.cut


@pytest.mark.parametrize(("spared", "why"), [(200, ""), (400, "cold"), (600, "cold")])
def test_with_a_cold_cache_half_a_window_is_enough(spared, why):
    newest = 60 - 8  # 800 tokens before the question
    standing = Standing(newest - spared // 100, 1, 500, is_cold=True)
    layout = plan("auto", measured_of(chat(30)), standing, PRICE, BUDGET)
    assert (layout.cut, layout.why) == (newest if why else standing.cut, why)


def test_an_edit_is_told_from_a_cold_cache():
    for edited, why in ((False, "cold"), (True, "edit")):
        standing = Standing(2, 1, 500, is_cold=True, is_edited=edited)
        assert plan("auto", measured_of(chat(20)), standing, PRICE, BUDGET).why == why
        standing = Standing(is_cold=True, is_edited=edited)
        assert plan("auto", measured_of(chat(40)), standing, PRICE, BUDGET).why == why


def test_a_cold_cache_does_not_end_passthrough_where_the_layout_would_cost_more_than_it_spares():
    short, longer = (plan("auto", measured_of(chat(n)), Standing(is_cold=True), PRICE, BUDGET) for n in (15, 40))
    assert not short.is_compact
    assert longer.why == "cold"


def test_a_topic_that_switched_begins_an_epoch_at_half_of_what_it_would_take():
    epoch = terms(PRICE, BUDGET, exchange=200, fixed=3, block=500, window=800).epoch
    exchanges = [n for n in range(40) if plan("auto", measured_of(chat(n)), Standing(2, 1, 500), PRICE, BUDGET).why]
    switched = Standing(2, 1, 500, has_switched=True)
    early = [n for n in range(40) if plan("auto", measured_of(chat(n)), switched, PRICE, BUDGET).why]
    spared = [measured_of(chat(ns[0])).between(2, ns[0] * 2 - 8) for ns in (early, exchanges)]
    assert spared[0] == pytest.approx(TOPIC_SHARE * epoch, abs=200)
    assert spared[1] == pytest.approx(epoch, abs=200)
    assert plan("auto", measured_of(chat(early[0])), switched, PRICE, BUDGET).why == "topic"
    assert plan("auto", measured_of(chat(exchanges[0])), switched, PRICE, BUDGET).why == "budget"


def test_a_client_whose_prompt_begins_anew_each_time_leaves_passthrough_at_once():
    layout = plan("auto", measured_of(chat(12)), Standing(is_moving=True), PRICE, BUDGET)
    assert layout.why == "moving"
    assert not plan("auto", measured_of(chat(12)), Standing(), PRICE, BUDGET).is_compact


def test_what_the_model_cannot_take_whole_is_cut_whatever_it_costs():
    measured = measured_of(chat(12))
    limited = replace(BUDGET, full_max_tokens=measured.full - 1)
    assert plan("auto", measured, Standing(), PRICE, limited).why == "context"
    assert not plan("auto", measured, Standing(), PRICE, replace(limited, full_max_tokens=measured.full)).is_compact
    assert not plan("passthrough", measured, Standing(), PRICE, limited).is_compact


# --- terms


@given(CACHED, BUDGETS, st.integers(20, 2000), st.integers(0, 6000), st.integers(0, 500), st.integers(1, 5000))
def test_an_epoch_is_the_length_at_which_a_request_costs_least(price, budget, exchange, fixed, block, window):
    """By trying: D is paid once in k requests, and the window of the n-th of them has grown by n exchanges."""
    budget = replace(budget, epoch_tokens=10**9)
    found = terms(price, budget, exchange=exchange, fixed=fixed, block=block, window=window)
    assume(2 <= found.epoch / exchange <= 400)

    def mean(k):
        return found.rewrite / k + price.read * exchange * k / 2

    best = min(range(1, 1000), key=mean)
    assert abs(found.epoch / exchange - best) <= 1
    least = window_tokens(price, budget, fixed + block)
    recall = price.write * min(budget.recall_tokens_max, budget.context_tokens)
    layout = price.read * (block + least) + recall + mean(found.epoch / exchange)
    assert price.read * found.marginal == pytest.approx(layout)  # so much does a turn of passthrough cost, too
    # what is overpaid from there to the break-even, a triangle, is the rewrite
    assert price.read * (found.break_even - found.marginal) ** 2 / (2 * exchange) == pytest.approx(found.rewrite)


@given(CACHED, st.floats(0.001, 1), BUDGETS, st.integers(20, 2000), st.integers(0, 6000), st.integers(0, 500))
def test_the_less_reading_costs_the_longer_passthrough_pays(price, share, budget, exchange, fixed, block):
    less = replace(price, read=price.read * share)
    dear, cheap = (terms(row, budget, exchange=exchange, fixed=fixed, block=block) for row in (price, less))
    assert cheap.break_even >= dear.break_even - 1e-6
    assert cheap.marginal >= dear.marginal - 1e-6
    assert terms(replace(price, read=0.0), budget, exchange=exchange).break_even == inf


def test_uncached_there_is_nothing_to_lose_by_a_rewrite():
    found = terms(uncached(PRICE), BUDGET, exchange=200, block=500)
    assert (found.rewrite, found.epoch) == (0, 0)
    assert found.break_even == found.marginal == 500 + 800 + 400


@given(BUDGETS, st.integers(0, 100_000), st.floats(0, 1))
def test_a_client_that_names_its_context_gets_recall_first(budget, context, share):
    asked = budget.asked(context, share)
    assert asked.recall_tokens_max == asked.context_tokens == context
    assert asked.block_tokens == int(max(0, context - RECALL_FIRST_TOKENS) * share)
    assert (asked.window_tokens, asked.epoch_tokens) == (budget.window_tokens, budget.epoch_tokens)


def test_before_the_first_answer_an_exchange_is_a_guess():
    assert measured_of([("user", 900)]).exchange == EXCHANGE_TOKENS
