"""Any text: literals are verbatim, in order and apart, and no text makes the extraction slow."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory_core.literals import KINDS, Literal, extract, lexicon
from memory_core.literals.literal import WHOLES

PIECES = st.sampled_from(
    [
        "5",
        "12,5 %",
        " ",
        "\n",
        "next ",
        "Monday",
        " at ",
        "3pm",
        "$",
        "1.247,38 €",
        "DE89 3704 0044 0532 0130 00",
        "/a/b.py",
        '"',
        "'",
        "…",
        "key: ",
        "my cat is ",
        "a@b.org",
        "https://x.org/",
        "v1.2",
        "ß",
        "İ",
        "预算是",
        "٣",
        "½",
        "e\u0301",
        "\x00",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join))


def check(text: str, found: tuple[Literal, ...]) -> None:
    for wholes in (True, False):
        layer = [literal for literal in found if (literal.kind in WHOLES) is wholes]
        assert all(left.end <= right.start for left, right in pairwise(layer))
    assert [literal.start for literal in found] == sorted(literal.start for literal in found)
    for literal in found:
        assert literal.text == text[literal.start : literal.end] != ""
        assert literal.kind in KINDS
        assert "\n" not in literal.text
        assert len(literal.context) <= 62
        assert literal.context.count("…") == 1
        assert literal.value


@given(TEXTS)
def test_literals_are_verbatim_ordered_and_apart(text: str) -> None:
    found = extract(text)
    check(text, found)
    assert found == extract(text)


@given(st.lists(TEXTS, max_size=4))
def test_lines_that_stand_apart_are_read_apart(texts: list[str]) -> None:
    """Two blank lines end whatever was begun, so that a document is the sum of its paragraphs."""
    texts = [" ".join(text.split()) for text in texts]
    together = [literal.text for literal in extract("\n\n\n".join(texts))]
    assert together == [literal.text for text in texts for literal in extract(text)]


HOSTILE = [
    "1",
    "1.",
    "1,",
    "111.",
    "1.1.",
    "one ",
    "and a ",
    "a-",
    "a_",
    "aA",
    "@",
    "a@a.",
    "a.",
    "/",
    "a/",
    "\\",
    "(",
    "+1 ",
]
HOSTILE += ["1-", "1/", "1:", "::", "#a", "`", '"a', "my a is ", "x=", "a: b\n", "DE12 3456 7890 ", "AT1 ", "00000000-"]
HOSTILE += [
    "http://a(",
    "v1.",
    "before ",
    "every ",
    "5 May ",
    "Mon, ",
    "last week of ",
    "1 day and ",
    "to 5 ",
    " ",
    "\n",
    "预算是5",
]


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_in_a_hostile_text(piece: str) -> None:
    """Four times the text must not take much more than four times as long; a quadratic pattern would take sixteen."""

    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        begun = time.perf_counter()
        extract(text)
        return time.perf_counter() - begun

    assert any(seconds(8_000) < 9 * seconds(2_000) + 0.02 for _ in range(5))


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["1.", "DE12 3456 7890 ", "plain words of nobody ", "the budget is 5, "])
def test_200_kb_take_seconds_not_minutes(piece: str) -> None:
    text = (piece * 200_000)[:200_000]
    begun = time.perf_counter()
    check(text, extract(text))
    assert time.perf_counter() - begun < 60


_CLASSES = [
    value
    for name, value in sorted(vars(lexicon).items())
    if not name.startswith("__") and isinstance(value, dict | frozenset | set)
]
_WORDS = sorted({word for words in _CLASSES for word in words if isinstance(word, str)})
_PIECES = [
    *"1 2 3.5 1,200 10:30 2020-01-01 5/6 1/2 21st % $ € EUR ½ ² １ ٣ é 中 0 -1 p.m. o'clock v1.2 /a/b a@b.co".split(),
    *"and a the of one quarter half from until between last next every other years old ago : = \" ' @ # T Z".split(),
]


@given(
    st.sampled_from([" ", " ", "", "-", " , ", "\n"]),
    st.lists(st.one_of(st.sampled_from(_WORDS), st.sampled_from(_PIECES)), max_size=10),
)
@example("-", ["3.5", "quarter", "１"])
def test_any_row_of_its_own_words_is_read_without_a_fault(joint: str, pieces: list[str]) -> None:
    """What no grammar foresaw ("one-quarter of the head") is no literal; and it must never cost a conversation."""
    text = joint.join(pieces)
    for literal in extract(text):
        assert literal.text == text[literal.start : literal.end]
