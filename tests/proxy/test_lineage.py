"""Which conversation, which turn: by prefix, by id, and for clients that send only what is new."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.transcript import common_prefix
from proxy.lineage import as_sent, continued, extended, relinked, tenant_of
from tests.support.messages import chat, heads_of, said, traced

WORDS = st.lists(st.sampled_from(["yes", "no", "why"]), min_size=1, max_size=8)


def thin(*texts, role="user"):
    """A request under an explicit id."""
    return traced([said(role, text) for text in texts], "mine")


def roles(lineage):
    return [lineage.role(place) for place in range(lineage.length)]


def stored(*texts):
    return heads_of(traced(chat(*texts), "mine"))


# --- by prefix


def test_a_growing_history_is_one_conversation():
    before, after = traced(chat("a", "b", "c")), traced(chat("a", "b", "c", "d", "e"))
    assert after.conversation == before.conversation
    assert after.digests[:3] == before.digests
    assert (before.length, before.is_thin, before.explicit) == (3, False, False)
    assert roles(before) == ["user", "assistant", "user"]


@given(WORDS, WORDS, WORDS)
def test_edit_fork_and_regenerate_share_exactly_the_turns_before_them(before, here, there):
    left, right = [*before, *here], [*before, *there]
    same = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    assert common_prefix(traced(chat(*left)).digests, traced(chat(*right)).digests) == same


def test_a_turn_said_again_is_another_place():
    digests = traced(chat("yes", "ok", "yes", "ok")).digests
    assert len(set(digests)) == 4


@given(st.lists(st.booleans(), min_size=3, max_size=12), st.text(max_size=5))
def test_system_messages_anywhere_never_matter(pattern, text):
    turns = chat("a", "b", "c")
    rest = iter(turns)
    mixed = [said("developer" if text else "system", text) if is_system else next(rest, None) for is_system in pattern]
    messages = [*(message for message in mixed if message is not None), *rest]
    lineage = traced(messages)
    assert lineage.digests == traced(turns).digests
    assert [messages[place].raw for place in lineage.places] == [turn.raw for turn in turns]


def test_only_system_messages_is_a_transcript_of_no_turns():
    lineage = traced([said("system", "x")])
    assert (lineage.length, lineage.turns, lineage.digests, roles(lineage)) == (0, (), [], [])
    assert lineage.conversation == lineage.root.hex()


def test_the_first_turn_the_id_and_the_tenant_separate():
    lineages = [
        traced(chat("a", "b")),
        traced(chat("c", "b")),
        traced(chat("a", "b"), "one"),
        traced(chat("a", "b"), "two"),
        traced(chat("a", "b"), tenant=b"other"),
        traced(chat("a", "b"), "one", tenant=b"other"),
    ]
    assert len({lineage.conversation for lineage in lineages}) == len(lineages)
    assert len({digest for lineage in lineages for digest in lineage.digests}) == 2 * len(lineages)


def test_with_an_id_the_first_turn_does_not_name_the_conversation():
    assert traced(chat("a"), "one").conversation == traced(chat("b"), "one").conversation
    assert traced(chat("a"), "one").explicit


# --- with an id


def test_a_thin_client_goes_on_after_the_stored_head():
    heads = stored("a", "b")
    lineage = continued(thin("c"), heads)
    assert lineage.is_thin
    assert lineage.stored == tuple(heads)
    assert lineage.digests == traced(chat("a", "b", "c"), "mine").digests
    assert roles(lineage) == ["user", "assistant", "user"]
    assert lineage.length == 3


def test_nothing_stored_or_nothing_sent_stays_as_it_is():
    assert continued(thin("c"), []) == thin("c")
    empty = traced([said("system", "x")], "mine")
    assert continued(empty, stored("a", "b")) == empty


def test_a_client_that_resends_under_an_id_is_as_traced():
    whole = traced(chat("a", "b", "c"), "mine")
    assert continued(whole, stored("a", "b")) == whole
    assert not continued(whole, stored("a", "b")).is_thin


def test_a_resending_client_may_edit_and_regenerate():
    edited = traced(chat("a", "other", "c"), "mine")
    assert continued(edited, stored("a", "b", "c", "d")) == edited
    assert continued(traced(chat("a"), "mine"), stored("a")).digests == traced(chat("a"), "mine").digests


def test_a_client_that_keeps_a_window_overlaps_with_what_is_stored():
    heads = stored("a", "b", "c", "d")
    window = traced([said("assistant", "b"), said("user", "c"), said("assistant", "d"), said("user", "e")], "mine")
    lineage = continued(window, heads)
    assert lineage.digests == traced(chat("a", "b", "c", "d", "e"), "mine").digests
    assert lineage.stored == tuple(heads[:1])
    assert lineage.places == (0, 1, 2, 3)


def test_a_retry_of_a_message_whose_answer_was_never_learned_is_the_same_turn():
    assert continued(thin("c"), stored("a", "b", "c")).digests == traced(chat("a", "b", "c"), "mine").digests


def test_a_message_said_again_after_its_answer_is_new():
    lineage = continued(thin("c"), stored("a", "b", "c", "d"))
    assert lineage.digests == traced(chat("a", "b", "c", "d", "c"), "mine").digests


def test_the_first_message_said_again_does_not_lose_the_history():
    lineage = continued(thin("yes"), stored("yes", "good"))
    assert lineage.digests == traced(chat("yes", "good", "yes"), "mine").digests
    assert lineage.is_thin


@given(WORDS, WORDS)
def test_a_thin_transcript_ends_with_what_was_sent_and_begins_with_what_is_stored(before, sent):
    heads = heads_of(traced(chat(*before), "mine"))
    request = thin(*sent)
    lineage = continued(request, heads)
    assert [turn.message for turn in lineage.turns] == [turn.message for turn in request.turns]
    assert list(lineage.stored) == heads[: len(lineage.stored)]
    fingerprints = [head.fingerprint for head in lineage.stored] + [turn.fingerprint for turn in lineage.turns]
    kept = fingerprints[: len(heads)]
    resent = not lineage.is_thin
    assert resent or kept == [head.fingerprint for head in heads][: len(kept)]
    assert len(set(lineage.digests)) == lineage.length
    assert as_sent(lineage) == request


@given(WORDS, WORDS)
def test_thin_and_resent_arrive_at_the_same_digests(before, after):
    resending = traced(chat(*before, *after), "mine")
    new = chat(*before, *after)[len(before) :]
    lineage = continued(traced(new, "mine"), heads_of(traced(chat(*before), "mine")))
    if not lineage.is_thin or lineage.length != resending.length:  # said again: ambiguous, see _is_resent and _overlap
        return
    assert lineage.digests == resending.digests


def test_the_answer_becomes_the_newest_turn():
    lineage = extended(traced(chat("a")), said("assistant", "b"))
    assert lineage.digests == traced(chat("a", "b")).digests
    assert lineage.turns[-1].text == "b"
    answered = extended(continued(thin("c"), stored("a", "b")), said("assistant", "d"))
    assert answered.digests == traced(chat("a", "b", "c", "d"), "mine").digests
    assert extended(traced([said("system", "x")], "mine"), said("assistant", "a")).length == 1


def test_relinked_turns_say_the_same_at_another_place():
    turns = traced(chat("a", "b")).turns
    moved = relinked(b"elsewhere", turns)
    assert [turn.fingerprint for turn in moved] == [turn.fingerprint for turn in turns]
    assert not {turn.digest for turn in moved} & {turn.digest for turn in turns}
    assert relinked(traced(chat("a")).root, turns) == turns


@pytest.mark.parametrize("sent", [["x"] * 5_000, ["a"] * 4_999 + ["b"]])
def test_a_long_window_is_matched_in_no_time(sent):
    heads = heads_of(traced([said("user", "a")] * 5_000, "mine"))
    request = traced([said("user", text) for text in sent], "mine")
    began = time.perf_counter()
    continued(request, heads[1:])
    assert time.perf_counter() - began < 1


def test_a_tenant_is_a_keyed_hash_of_the_credential():
    tenants = {tenant_of(key, credential) for key in (b"k1", b"k2") for credential in ("", "Bearer a", "Bearer b")}
    assert len(tenants) == 6
    assert tenant_of(b"k1", "Bearer a") == tenant_of(b"k1", "Bearer a")
    assert b"Bearer" not in tenant_of(b"k1", "Bearer a")
    assert len(tenant_of(b"k", "\udce9")) == 16
