"""Memories as quotations: whole, but for long ones that the question is about in a part."""

from memory_core.recall import Memory
from memory_core.update import Report
from proxy.recollection import EXCERPT_CHARS, LONG_CHARS, Recollection

REPORT = Report(0.0, 0.05, 0.0, 0.0, 0.0, "initialization", 0.0, 0.0)
LONG = (
    "[2023-05-08 13:56] "
    + "We talked of this and of that. " * 9
    + "The boat is called Halcyon. "
    + "Then it rained. " * 6
)
SHORT = "My boat is new."


def recollection(*memories, sought, **said):
    turns = {int(name.removeprefix("t")): ("user", text) for name, text in said.items()}
    spanned = tuple((memory, (0, len(turns[memory.turn][1]))) for memory in memories)
    return Recollection((), spanned, turns, sought, REPORT)


def test_a_chunk_is_quoted_as_it_was_cut_with_the_date_of_its_turn():
    memories = ((Memory(1, 1, 0.9), (19, 30)), (Memory(2, 0, 0.8), (0, 15)))
    said = {1: ("user", LONG), 2: ("assistant", SHORT)}
    first, second = Recollection((), memories, said, {}, REPORT).recall
    assert (first.text, first.stamp, first.chunk) == (LONG[19:30], "2023-05-08 13:56", 1)
    assert (second.text, second.stamp, second.role) == (SHORT, "", "assistant")


def test_the_best_is_whole_and_a_long_one_after_it_quoted_by_what_is_sought():
    assert LONG_CHARS < len(LONG) < 500
    best, other = recollection(Memory(1, 0, 0.9), Memory(2, 0, 0.8), sought={"boat": 2.0}, t1=LONG, t2=LONG).recall
    assert (best.text, best.stamp, best.is_excerpt) == (LONG, "", False)
    assert "The boat is called Halcyon." in other.text
    assert other.text.startswith("… ")
    assert len(other.text) <= EXCERPT_CHARS + 4
    assert other.text.strip("… ") in LONG
    assert (other.stamp, other.is_excerpt) == ("2023-05-08 13:56", True)


def test_short_ones_are_whole_and_so_are_all_if_nothing_is_sought():
    memories = (Memory(3, 0, 0.9), Memory(1, 0, 0.8), Memory(2, 0, 0.7))
    texts = {"t1": SHORT, "t2": LONG, "t3": SHORT}
    assert [quote.text for quote in recollection(*memories, sought={}, **texts).recall] == [SHORT, SHORT, LONG]
    assert recollection(*memories, sought={"boat": 1.0}, **texts).recall[1].text == SHORT


def test_where_nothing_of_it_is_said_its_beginning_is_quoted_with_its_own_date():
    _, other = recollection(Memory(1, 0, 0.9), Memory(2, 0, 0.8), sought={"zebra": 2.0}, t1=SHORT, t2=LONG).recall
    assert other.text.startswith("[2023-05-08 13:56] We talked")
    assert other.text.endswith("…")
    assert other.stamp == ""
