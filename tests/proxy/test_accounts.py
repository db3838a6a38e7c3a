"""Ours beside the rival's, and how far our counts are from the upstream's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from config.prices import Price
from memory_core.transcript import chain
from proxy.accounts import FACTOR_RANGE, MODELS_MAX, NOTHING, Accounts, Prompts
from proxy.prefix_cache import Outline, Part
from proxy.tokens import REPLY_TOKENS

PRICE = Price("row", "*", 1.0, "input", 0.1, 1.25, 1, 1, 100.0)


def prompt(turns, *, first=0, name="a"):
    """Of turns of ten tokens each."""
    digests = chain(b"root", [f"{name} {turn}".encode() for turn in range(turns)])
    return Outline((), digests, list(range(0, 10 * turns + 1, 10)), first, turns - 1, turns)


def whole(turns, name="a"):
    return Prompts(prompt(turns, name=name), prompt(turns, name=name))


def test_unchanged_it_costs_what_the_rival_costs():
    accounts = Accounts()
    for turns in range(1, 20, 2):
        bill = accounts.settle("c", "m", PRICE, whole(turns), float(turns))
        assert bill.sent == bill.rival
        assert bill.planned == NOTHING
        assert bill.sent.cached == max(0, 10 * (turns - 2))


def test_each_has_a_cache_of_its_own():
    accounts = Accounts()
    for turns in (1, 3, 5):
        accounts.settle("c", "m", PRICE, whole(turns), 0)
    bill = accounts.settle("c", "m", PRICE, Prompts(prompt(7, first=4), prompt(7)), 0)
    assert bill.sent.cached == 0  # a new epoch: nothing of it was ever sent
    assert bill.rival.cached == 50
    bill = accounts.settle("c", "m", PRICE, Prompts(prompt(9, first=4), prompt(9)), 0)
    assert (bill.sent.cached, bill.rival.cached) == (30, 70)
    shadow = Prompts(prompt(11), prompt(11), prompt(11, first=4))
    bill = accounts.settle("c", "m", PRICE, shadow, 0)  # in shadow the client's own is what is sent
    assert (bill.sent.cached, bill.rival.cached, bill.planned.cached) == (50, 90, 0)
    assert accounts.settle("c", "m", PRICE, replace(shadow), 0).planned.cached == 70


def test_conversations_and_models_share_nothing():
    accounts = Accounts()
    accounts.settle("c", "m", PRICE, whole(5), 0)
    assert not accounts.settle("d", "m", PRICE, whole(5), 0).sent.cached
    assert not accounts.settle("c", "n", PRICE, whole(5), 0).sent.cached
    assert accounts.settle("c", "m", PRICE, whole(5), 0).sent.cached


@given(st.floats(*FACTOR_RANGE), st.lists(st.integers(10, 10_000), min_size=1, max_size=20))
def test_the_factor_is_what_the_upstream_counts_for_each_of_ours(factor, sizes):
    accounts = Accounts()
    assert accounts.factor("m") == 1
    for ours in sizes:
        accounts.reported("m", ours, min(max(round(factor * ours), -(-ours // 4)), 4 * ours))
    assert accounts.factor("m") == pytest.approx(factor, abs=1 / min(sizes))
    assert accounts.factor("other") == 1
    bill = accounts.settle("c", "m", PRICE, whole(99), 0)
    assert bill.factor == accounts.factor("m")
    assert sum(bill.sent[:3]) == round((990 + REPLY_TOKENS) * bill.factor)


def test_the_factor_follows_a_model_that_changed():
    accounts = Accounts()
    for _ in range(1000):
        accounts.reported("m", 100, 100)
    for _ in range(50):
        accounts.reported("m", 100, 200)
    assert 1.6 < accounts.factor("m") < 1.7  # 1 + (1 - .98^50)
    for _ in range(300):
        accounts.reported("m", 100, 200)
    assert accounts.factor("m") == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 100), (100, 24), (100, 401), (100, 10**9), (100, 0)])
def test_a_usage_that_is_about_something_else_is_left_out(ours, theirs):
    accounts = Accounts()
    accounts.reported("m", 100, 110)
    accounts.reported("m", ours, theirs)
    assert accounts.factor("m") == 1.1


def settled(accounts, name, *turns, at=0.0):
    for length in turns:
        bill = accounts.settle(name, "m", PRICE, whole(length), at)
    return bill


def test_it_forgets_the_conversation_that_was_longest_unused():
    accounts = Accounts(turns_max=240)  # room for ten of ten turns that go on
    for name in ("c0", *(f"c{place}" for place in range(10)), "c0", "c10"):
        settled(accounts, name, 9, 10)
    assert settled(accounts, "c0", 10, at=1).sent.cached
    assert settled(accounts, "c10", 10, at=1).rival.cached
    assert settled(accounts, "c2", 10, at=1).sent.cached
    assert settled(accounts, "c1", 10, at=1).sent.cached == 0
    settled(accounts, "long", 400, 500)
    assert settled(accounts, "long", 500, at=1).sent.cached  # the one in use stays, however long
    assert settled(accounts, "long", 10, at=1).sent.cached  # an edit gives its room back
    assert settled(accounts, "c0", 10, at=2).sent.cached == 0
    assert settled(accounts, "long", 10, at=2).sent.cached


def test_who_asks_once_pushes_out_nobody_who_goes_on():
    accounts = Accounts(turns_max=240)
    settled(accounts, "goes on", 1, 3)
    settled(accounts, "comes with a long history", 51)
    for place in range(1_000):
        settled(accounts, f"once {place}", 1, 1)  # sampled, not gone on
    assert settled(accounts, "comes with a long history", 51, at=1).sent.cached
    assert settled(accounts, "goes on", 3, at=1).sent.cached
    assert settled(accounts, "once 999", 1, at=1).sent.cached
    assert not settled(accounts, "once 0", 1, at=1).sent.cached


def test_models_are_named_by_clients_so_only_so_many_are_kept():
    accounts = Accounts()
    for place in range(MODELS_MAX + 1):
        accounts.reported(f"m{place}", 100, 200)
    assert accounts.factor("m0") == 1
    assert accounts.factor("m1") == accounts.factor(f"m{MODELS_MAX}") == 2


def test_a_head_that_changes_is_no_longer_cached():
    accounts = Accounts()
    for clock in ("It is 10.", "It is 11."):
        full = replace(prompt(9), head=(Part(clock.encode(), 9, clock),))
        bill = accounts.settle("c", "m", PRICE, Prompts(full, full), 0)
    assert bill.sent.cached == len("It is 1")
