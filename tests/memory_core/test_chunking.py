import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.chunking import CHUNK_CHARS_MAX, chunks, piece_ends, sentences

FRAGMENTS = (
    *(
        "word",
        "Word",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        ". ",
        "? ",
        '." ',
        "。",
        "日本",
        "👩‍👩‍👧",
        "\0",
        "\ud800",
        "e\u0301",
    ),
    *("# ", "- ", "  - ", "1. ", "| a | b |\n", "|---|---|\n", "```\n", "```py\n", "def f():\n", "    x = 1\n"),
    *('{"a": ', "[1, ", '"b", ', "]", "}", "---\n", ":", "🇩🇪", "क्ष", "ก ", "**bold**", "\\", '"'),
)
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=80).map("".join)

NOTES = """# Trip

We leave on the 3rd, i.e. a Tuesday. Dr. Costa (no. 5, Rua Augusta) waits 3.5 km from the port. It costs 86.50 euros!

## Packing list

Bring these:

- passport, and two copies of it. Keep one at home.
- sun cream
  and a hat
- charger

| item | price |
|------|-------|
| tent | 120 |
| stove | 45 |
"""

CODE = """```python
import os


@cache
def one(x):
    y = x + 1

    return y


def two():
    return 2
```
"""


@given(texts, st.integers(1, 60))
def test_chunks_join_back_to_the_text_and_respect_the_limit(text: str, chars_max: int) -> None:
    pieces = chunks(text, chars_max)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= chars_max
    assert all(pieces) or pieces == ("",)


@given(texts, st.integers(1, 60))
def test_no_chunk_is_a_sliver(text: str, chars_max: int) -> None:
    pieces = chunks(text, chars_max)
    assert len(pieces) == 1 or min(map(len, pieces)) >= max(1, chars_max // 4)


@given(texts)
def test_sentences_join_back_to_the_text_and_none_is_empty(text: str) -> None:
    units = sentences(text)
    assert "".join(units) == text
    assert all(units) or units == ("",)


@given(texts, st.integers(1, 60))
def test_piece_ends_say_where_the_pieces_were_cut(text: str, chars_max: int) -> None:
    pieces = chunks(text, chars_max)
    ends = piece_ends(pieces)
    assert tuple(text[start:end] for start, end in zip((0, *ends), ends, strict=False)) == pieces


@pytest.mark.parametrize("chars_max", [0, -1])
def test_a_chunk_of_no_characters_is_refused(chars_max: int) -> None:
    with pytest.raises(ValueError, match="at least one character"):
        chunks("text", chars_max)


CHARACTERS = ("e\u0301\u0323", "\r\n", "👍🏽", "👩‍👩‍👧", "🇩🇪", "ᄒ\u1161\u11ab", "क्षि", "\ud83d\ude00", "x", "語")


@given(
    st.lists(st.sampled_from(CHARACTERS), max_size=9),
    st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=2),
    st.integers(16, 24),
)
def test_visible_characters_stay_whole(start: list[str], rest: list[str], chars_max: int) -> None:
    characters = start + rest * 30
    text = "".join(characters)
    allowed = {sum(map(len, characters[:count])) for count in range(len(characters) + 1)}
    assert set(piece_ends(chunks(text, chars_max))) <= allowed


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two. three\n\nfour. five six", "one two. three\n\n"),
        ("one two. three\nfour. five six", "one two. three\n"),
        ("one two three. four five six", "one two three. "),
        ("東京に行った。猫を見ました。とても楽しい", "東京に行った。"),
        ("one two three, four five six seven", "one two three, "),
        ("one two three four five six seven", "one two three four "),
        ("x" * 40, "x" * 20),
    ],
    ids=["paragraph", "line", "sentence", "sentence without a space", "clause", "word", "anywhere"],
)
def test_a_text_is_cut_where_a_reader_would_cut(text: str, first: str) -> None:
    assert chunks(text, 20 if len(text) > 20 else 12)[0] == first


def test_pieces_are_balanced_rather_than_one_full_and_one_tiny() -> None:
    paragraph = "The tent is dry again and the stove has fuel for a week. " * 8
    text = paragraph + "\n\n" + paragraph + "That is all."
    assert chunks(text, len(text) - 5) == (paragraph + "\n\n", paragraph + "That is all.")
    assert min(map(len, chunks("some words " * 9 + "\nTail", 100))) >= 25
    assert [len(piece) for piece in chunks("x" * 970, 950)] == [485, 485]


@given(st.integers(0, 40), st.integers(60, 200))
def test_a_heading_stays_with_what_follows_it(filler: int, chars_max: int) -> None:
    text = "A sentence of some length here. " * filler + "\n\n## Stoves\n\n" + "They burn gas. " * 20
    assert not any(piece.rstrip().endswith("## Stoves") for piece in chunks(text, chars_max))


def test_items_and_rows_stay_whole() -> None:
    items = [f"- item {number}. It has two sentences.\n" for number in range(40)]
    rows = [f"| row {number}. | It has. two cells. |\n" for number in range(40)]
    for lines in (items, ["| a | b |\n|---|---|\n", *rows]):
        allowed = set(piece_ends(lines))
        assert set(piece_ends(chunks("".join(lines), 150))) <= allowed
        assert sentences("".join(lines)) == tuple(lines)


def test_code_is_cut_between_definitions() -> None:
    assert [piece.strip() for piece in chunks(CODE, 90)] == [
        "```python\nimport os\n\n\n@cache\ndef one(x):\n    y = x + 1\n\n    return y",
        "def two():\n    return 2\n```",
    ]


def test_json_is_cut_between_members_of_low_depth() -> None:
    member = '{"id": 7, "tags": ["a, b", "c"], "note": "x, y"}'
    text = '{"items": [' + ", ".join([member] * 20) + "]}"
    assert all(piece.startswith('{"i') for piece in chunks(text, 160))
    fenced = chunks("```json\n" + text + "\n```\n", 160)
    assert all(piece.startswith(("```json", '{"id')) for piece in fenced)
    # cut off in the middle, as tool results are, it is JSON still
    assert all(piece.startswith('{"i') for piece in chunks(text[:700], 160))


def test_the_units_of_a_document() -> None:
    assert [unit.strip() for unit in sentences(NOTES)] == [
        "# Trip",
        "We leave on the 3rd, i.e. a Tuesday.",
        "Dr. Costa (no. 5, Rua Augusta) waits 3.5 km from the port.",
        "It costs 86.50 euros!",
        "## Packing list",
        "Bring these:",
        "- passport, and two copies of it. Keep one at home.",
        "- sun cream\n  and a hat",
        "- charger",
        "| item | price |\n|------|-------|",
        "| tent | 120 |",
        "| stove | 45 |",
    ]


@pytest.mark.parametrize(
    "units",
    [
        ("我今天去了市场。", "买了三个苹果！", "你呢？"),
        ("彼は「行こう。」", "と言った"),
        ("هل أنت بخير؟ ", "نعم، أنا بخير. ", "شكرا"),
        ("मैं घर जा रहा हूँ। ", "ठीक है।"),
        ("ฉันไปตลาด ", "แล้วกลับบ้าน"),
        ("Wir treffen uns am 3. Mai, z. B. im Café. ", "Das kostet ca. 3,50 €. ", "Gut."),
        ("А. С. Пушкин родился в Москве. ", "Он писал стихи."),
        ("¿Vienes, Sra. Ruiz? ", "¡Claro!"),
        ("i came home. ", "was late! ", "ok? ", "fine... then more"),
        (
            '"Really?" he asked. ',
            "He did. ",
            "So did I. ",
            "We left at 5 p.m. on foot, the U.S. Army too. ",
            "At 6 p.m. ",
            "It rained.",
        ),
        ("See https://a.example/b.c?x=1. ", "Version 1.2.3 (see fig. 4) came."),
        ("1. Wash it. Dry it.\n", "2. Paint it."),
        ("Ana\n", "likes tea\n", "and rain"),
        ("[1, 2] were the numbers. ", "Then came 3, 4 and 5."),
        ('{"a": 1, "b": [2, 3]}\n', '{"a": 4, "b": []}\n'),
        ('{"a": 1, ', '"b": [2, ', "3], ", '"c": "x, y. Z"}'),
        (
            "A line that was broken at the margin of the page\nbecause it had no room. ",
            "It goes on in the line that\nfollows it.",
        ),
    ],
)
def test_the_sentences_of_many_languages(units: tuple[str, ...]) -> None:
    assert sentences("".join(units)) == units


def test_a_short_text_is_one_chunk_and_so_is_an_empty_one() -> None:
    assert chunks("x" * CHUNK_CHARS_MAX) == ("x" * CHUNK_CHARS_MAX,)
    assert chunks("") == ("",)


def test_a_message_of_two_hundred_kilobytes_is_cut_without_rescanning_it() -> None:
    text = "lorem ipsum dolor sit amet " * 7_500
    pieces = chunks(text, 1_000)
    assert "".join(pieces) == text
    assert 200 <= len(pieces) <= 300


HOSTILE = {
    "stops": ".",
    "quotes after a stop": '."',
    "open strings": '["\\"',
    "brackets": "[1,",
    "fences": "```a`\n",
    "stars": "**a",
    "bars": "|",
    "marks": "\u0301",
    "flags": "🇩",
    "joiners": "\u200d",
    "spaces": " \t",
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_take_linear_time(unit: str) -> None:
    """A quadratic scan takes 16 times as long for 4 times the text; linear ones 4 times, with room for a slow spell."""

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        took = []
        for _ in range(7):
            started = time.process_time()
            chunks(text, 500)
            sentences(text)
            took.append(time.process_time() - started)
        return min(took)

    assert seconds(40_000) < 10 * seconds(10_000) + 0.05
