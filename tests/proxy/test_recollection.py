"""Memories as quotations: whole, but for parts of long messages that the question is about in a sentence."""

from memory_core.recall import Memory
from memory_core.update import Report
from proxy.recollection import Recollection

REPORT = Report(0.0, 0.05, 0.0, 0.0, 0.0, "initialization", 0.0, 0.0)
LONG = (
    "[2023-05-08 13:56] "
    + "We talked of this and of that. " * 9
    + "The boat is called Halcyon. "
    + "Then it rained. " * 6
)
SHORT = "My boat is new."
SPAN = (19, len(LONG) - 32)


def recollection(*spans, sought, texts):
    memories = tuple((Memory(turn, int(start > 0), 1 - place / 9), (start, end)) for place, (turn, start, end) in spans)
    return Recollection((), memories, {turn: ("user", text) for turn, text in texts.items()}, sought, REPORT)


def quoted(*places, sought, tokens=512, texts=None):
    """Quotations of (turn, start, end); turns 1 and 2 are long, the third short."""
    given = {1: LONG, 2: LONG, 3: SHORT} if texts is None else texts
    return list(recollection(*enumerate(places), sought=sought, texts=given).quotes(tokens))


def test_a_chunk_is_quoted_as_it_was_cut_with_the_date_of_its_turn():
    first, second = quoted((1, 19, 30), (3, 0, 15), sought={})
    assert (first.text, first.stamp, first.chunk, first.is_excerpt) == (LONG[19:30], "2023-05-08 13:56", 1, False)
    assert (second.text, second.stamp, second.chunk) == (SHORT, "", 0)


def test_the_best_is_whole_and_a_part_of_a_long_message_after_it_quoted_by_what_is_sought():
    best, other = quoted((1, *SPAN), (2, *SPAN), sought={"boat": 2.0})
    assert (best.text, best.is_excerpt) == (LONG[SPAN[0] : SPAN[1]], False)
    assert "The boat is called Halcyon." in other.text
    assert other.text.startswith("… ")
    assert len(other.text) <= 512 // 4 + 4
    assert other.text.strip("… ") in LONG
    assert (other.stamp, other.is_excerpt) == ("2023-05-08 13:56", True)


def test_the_larger_the_budget_the_more_of_it():
    lengths = [
        len(quoted((3, 0, 15), (2, *SPAN), sought={"boat": 2.0}, tokens=n)[1].text) for n in (100, 500, 1000, 4000)
    ]
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == SPAN[1] - SPAN[0]


def test_a_message_that_is_one_memory_is_whole_and_so_are_all_if_nothing_is_sought():
    whole = (2, 0, len(LONG))
    assert quoted((3, 0, 15), whole, sought={"boat": 2.0}, tokens=50)[1].text == LONG
    assert quoted((3, 0, 15), (2, *SPAN), sought={}, tokens=50)[1].text == LONG[SPAN[0] : SPAN[1]]


def test_where_nothing_of_it_is_said_its_beginning_is_quoted_with_its_own_date():
    other = quoted((3, 0, 15), (2, 0, 300), sought={"zebra": 2.0})[1]
    assert other.text.startswith("[2023-05-08 13:56] We talked")
    assert other.text.endswith("…")
    assert other.stamp == ""
