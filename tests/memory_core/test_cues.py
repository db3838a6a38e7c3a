"""Cues are approximate: what is held here is what recall relies on."""

import time

import pytest

from memory_core import cues


@pytest.mark.parametrize(
    ("text", "without", "speaker"),
    [
        ("[1:56 pm on 8 May, 2023] Caroline: Hey!", "Caroline: Hey!", "caroline"),
        ("[2023/05/25 (Thu) 10:04] hello", "hello", ""),
        ("2023-05-25 10:04:11 Jo Ann: hi", "Jo Ann: hi", "jo ann"),
        ("[note] Bob: hi", "[note] Bob: hi", ""),
        ("[link](https://example.org/8) is", "(https://example.org/8) is", ""),
        ("no name here", "no name here", ""),
        ("https://example.org", "https://example.org", ""),
        ("", "", ""),
    ],
)
def test_stamp_and_speaker(text: str, without: str, speaker: str) -> None:
    if "](" not in text:
        assert cues.without_stamp(text) == without
    assert cues.speaker(text) == speaker


@pytest.mark.parametrize(
    ("text", "asks", "when"),
    [
        ("Did you go?", True, False),
        ('She said "why?"', True, False),
        ("We went last week.", False, True),
        ("[8 May 2023] I like tea", False, False),
        ("Ich war gestern dort", False, True),
        ("at 10:30", False, True),
        ("どこ？", True, False),
        ("That is so good to hear! And where was it?", True, False),
        ("I had my bike repaired. " * 9 + "Any tips?", False, False),
        ("[8 May 2023, 1:56 pm on a very long and very sunny afternoon] Who?", True, False),
    ],
)
def test_asking_and_telling_when(text: str, asks: bool, when: bool) -> None:
    assert (cues.asks(text), cues.tells_when(text)) == (asks, when)


@pytest.mark.parametrize(
    ("query", "side"),
    [
        ("Where did I park?", "user"),
        ("Was sind meine Pläne?", "user"),
        ("Can you remind me what restaurant you recommended?", "assistant"),
        ("In our previous chat, which book was it?", "assistant"),
        ("What is a monad?", ""),
    ],
)
def test_whom_a_query_means(query: str, side: str) -> None:
    assert cues.meant(query) == side


def test_names_are_whole_words() -> None:
    assert cues.named("What did Caroline's sister Jo Ann say?", ["jo ann", "ann", "car", "caroline"]) == [
        "jo ann",
        "ann",
        "caroline",
    ]


def test_hostile_text_takes_linear_time() -> None:
    for text in ("[" * 200_000, "a" * 200_000, "a " * 100_000 + ":", "[1" + " " * 200_000):
        start = time.perf_counter()
        cues.without_stamp(text)
        cues.speaker(text)
        cues.tells_when(text)
        assert time.perf_counter() - start < 1
