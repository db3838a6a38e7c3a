"""What is forwarded: the client's own messages, in an order that upstreams take."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices import Price
from proxy.assemble import messages
from proxy.lineage import continued
from proxy.meter import Measured
from proxy.plan import Budget, Layout, Standing, plan
from tests.support.grammar import conversations, grammar_faults
from tests.support.messages import asks, chat, heads_of, replies, said, traced

BLOCK, RECALL = "<memory>block</memory>", "<memory>recall</memory>"
PLACEMENTS = st.sampled_from(["message", "system"])


PRICE = Price("p", "*", 1.0, "input", read=0.1, write=1.0, cacheable_min=1, step=1, ttl_s=300.0)
EPOCH_TOKENS = 12


def assembled(sent, layout, *, block="", recall="", placement="message"):
    return messages(sent, traced(sent), (), layout, block=block, recall=recall, block_placement=placement)


def layout_of(sent, window=0, before=Layout(0, 0)):  # noqa: B008 -- frozen
    """A cut that leaves something out as soon as it can, or that of the epoch `before`."""
    roles = [message.role for message in sent if not message.is_system]
    begins = [5 * place for place in range(len(roles) + 1)]
    users = [place for place, role in enumerate(roles) if role == "user"]
    answers = [place for place, role in enumerate(roles) if role == "assistant"]
    measured = Measured(len(roles), begins, users, answers)
    standing = Standing(cut=before.cut, number=before.epoch)
    return plan("compact", measured, standing, PRICE, Budget(window, EPOCH_TOKENS, 100, 0, 100))


def contents(raws):
    return [json.loads(raw)["content"] for raw in raws]


# --- messages


def test_an_example_by_hand():
    sent = [said("system", "S"), *chat("a", "b", "c", "d", "e")]
    forwarded = assembled(sent, Layout(2, 4, 1), block=BLOCK, recall=RECALL)
    assert contents(forwarded) == ["S", BLOCK, "c", "d", f"e\n\n{RECALL}"]
    assert [json.loads(raw)["role"] for raw in forwarded] == ["system", "system", "user", "assistant", "user"]


def test_without_block_and_recall_what_is_left_are_the_client_s_bytes():
    sent = [said("system", "S"), *chat("a", "b", "c", "d", "e")]
    assert assembled(sent, Layout(2, 4, 1)) == [sent[0].raw, *(message.raw for message in sent[3:])]


@given(conversations(), st.integers(0, 60), PLACEMENTS, st.booleans(), st.booleans())
def test_any_valid_conversation_stays_valid(sent, window, placement, with_block, with_recall):
    assert grammar_faults(message.raw for message in sent) == []
    layout = layout_of(sent, window)
    block, recall = BLOCK if with_block and layout.is_compact else "", RECALL if with_recall else ""
    forwarded = assembled(sent, layout, block=block, recall=recall, placement=placement)
    assert grammar_faults(forwarded) == []


@given(conversations(), st.integers(0, 60), PLACEMENTS)
def test_system_messages_are_unchanged_in_order_and_all_there(sent, window, placement):
    layout = layout_of(sent, window)
    block = BLOCK if layout.is_compact else ""
    forwarded = assembled(sent, layout, block=block, recall=RECALL, placement=placement)
    systems = [message.raw for message in sent if message.is_system]
    kept = [raw for raw in forwarded if json.loads(raw)["role"] in ("system", "developer")]
    if not block:
        assert kept == systems
    elif placement == "message" or len(kept) > len(systems):  # no system message to stand in: one of its own
        (own,) = [raw for raw in kept if json.loads(raw)["content"] == BLOCK]
        assert [raw for raw in kept if raw != own] == systems
    else:
        (changed,) = [place for place, raw in enumerate(kept) if raw != systems[place]]
        assert json.loads(kept[changed])["content"] == f"{json.loads(systems[changed])['content']}\n\n{BLOCK}"


@given(conversations(), st.integers(0, 60))
def test_the_window_is_the_client_s_bytes_but_for_the_recall(sent, window):
    layout = layout_of(sent, window)
    forwarded = assembled(sent, layout, block=BLOCK if layout.is_compact else "", recall=RECALL)
    turns = [message.raw for message in sent if not message.is_system]
    kept = [raw for raw in forwarded if json.loads(raw)["role"] not in ("system", "developer")]
    asked = layout.asked - layout.cut
    assert len(kept) == len(turns) - layout.cut
    assert [raw for place, raw in enumerate(kept) if place != asked] == [
        raw for place, raw in enumerate(turns[layout.cut :]) if place != asked
    ]
    recalled, original = json.loads(kept[asked]), json.loads(turns[layout.asked])
    assert recalled["role"] == original["role"] == "user"
    if isinstance(original["content"], list):
        assert recalled["content"] == [*original["content"], {"type": "text", "text": RECALL}]
    else:
        assert recalled["content"] == f"{original['content']}\n\n{RECALL}"


@given(conversations(), st.integers(0, 60))
def test_next_turn_the_same_prefix_is_sent_within_an_epoch(sent, window):
    """What a provider's prefix cache lives on: only the recall at the end of the last user message is gone."""
    layout = layout_of(sent, window)
    longer = [*sent, said("assistant", "more"), said("user", "next")] if sent[-1].role != "tool" else sent
    later = layout_of(longer, window, layout)
    if (later.cut, later.epoch) != (layout.cut, layout.epoch):
        return
    block = BLOCK if layout.is_compact else ""
    now = assembled(sent, layout, block=block, recall=RECALL)
    then = assembled(longer, later, block=block, recall=RECALL)
    (question,) = [place for place, raw in enumerate(now) if RECALL.encode() in raw]
    assert now[:question] == then[:question]


def test_recall_goes_to_the_last_user_message_before_a_tool_loop():
    sent = [*chat("a", "b", "question"), asks("1", "2"), replies("2"), replies("1")]
    forwarded = assembled(sent, Layout(2, 2, 1), recall=RECALL)
    assert contents(forwarded) == [f"question\n\n{RECALL}", None, "42", "42"]


def test_system_messages_from_the_cut_part_move_up_and_later_ones_stay():
    s1, s2, s3 = (said("system", text) for text in ("first", "within", "late"))
    a, b, c, d, e = chat("a", "b", "c", "d", "e")
    forwarded = assembled([s1, a, s2, b, c, s3, d, e], Layout(2, 4, 1), block=BLOCK)
    assert contents(forwarded) == ["first", "within", BLOCK, "c", "late", "d", "e"]


@pytest.mark.parametrize(
    ("content", "with_block"),
    [
        ("S", f"S\n\n{BLOCK}"),
        ([{"type": "text", "text": "S"}], [{"type": "text", "text": "S"}, {"type": "text", "text": BLOCK}]),
    ],
)
def test_a_block_in_the_last_system_message(content, with_block):
    sent = [said("system", "other"), said("developer", content), *chat("a", "b", "c")]
    forwarded = assembled(sent, Layout(2, 2, 1), block=BLOCK, placement="system")
    assert contents(forwarded) == ["other", with_block, "c"]
    assert json.loads(forwarded[1])["role"] == "developer"


def test_a_block_in_a_system_message_that_is_not_there_is_one_of_its_own():
    forwarded = assembled(chat("a", "b", "c"), Layout(2, 2, 1), block=BLOCK, placement="system")
    assert contents(forwarded) == [BLOCK, "c"]


# --- thin clients


def thin(sent, stored_chat, cut):
    """What is forwarded for a thin request on a stored conversation, cut there."""
    stored_lineage = traced(stored_chat, "mine")
    lineage = continued(traced(sent, "mine"), heads_of(stored_lineage))
    asked = max(place for place in range(lineage.length) if lineage.role(place) == "user")
    return messages(
        sent,
        lineage,
        stored_chat[cut : len(lineage.stored)],
        Layout(cut, asked, 1),
        block=BLOCK if cut else "",
        recall=RECALL,
        block_placement="message",
    )


def test_a_thin_client_s_earlier_turns_come_from_the_log():
    sent = [said("system", "S"), said("user", "e"), said("developer", "late")]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 0)) == ["S", "a", "b", "c", "d", f"e\n\n{RECALL}", "late"]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 2)) == ["S", BLOCK, "c", "d", f"e\n\n{RECALL}", "late"]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 4)) == ["S", BLOCK, f"e\n\n{RECALL}", "late"]


def test_a_thin_client_that_sends_tool_replies_has_its_question_in_the_log():
    sent = [replies("1"), said("system", "S")]
    stored_chat = [*chat("a", "b", "question"), asks("1")]
    for cut, expected in ((0, ["a", "b"]), (2, [BLOCK])):
        forwarded = thin(sent, stored_chat, cut)
        assert contents(forwarded) == [*expected, f"question\n\n{RECALL}", None, "42", "S"]
        assert grammar_faults(forwarded) == []


def test_a_client_that_keeps_a_window_is_cut_within_it_or_before_it():
    sent = chat("a", "b", "c", "d", "e")[2:]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 0)) == ["a", "b", "c", "d", f"e\n\n{RECALL}"]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 2)) == [BLOCK, "c", "d", f"e\n\n{RECALL}"]
    assert contents(thin(sent, chat("a", "b", "c", "d"), 4)) == [BLOCK, f"e\n\n{RECALL}"]
