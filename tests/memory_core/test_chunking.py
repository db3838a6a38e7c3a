import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.chunking import CHUNK_CHARS_MAX, chunks

prose = st.lists(
    st.sampled_from(
        ["word", "Word", " ", "  ", "\n", "\n\n", ". ", "? ", '." ', "。", "日本", "👩‍👩‍👧", "\0", "\ud800"]
    ),
    max_size=80,
).map("".join)


@given(st.text() | prose, st.integers(1, 60))
def test_chunks_join_back_to_the_text_and_respect_the_limit(text: str, chars_max: int) -> None:
    pieces = chunks(text, chars_max)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= chars_max
    assert all(pieces) or pieces == ("",)


@given(st.text(min_size=61) | prose.filter(lambda text: len(text) > 60), st.integers(2, 60))
def test_every_chunk_but_the_last_is_at_least_half_full(text: str, chars_max: int) -> None:
    # Otherwise a text could be cut into so many slivers that each says nothing.
    assert all(len(piece) >= chars_max // 2 for piece in chunks(text, chars_max)[:-1])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two. three\n\nfour. five six", "one two. three\n\n"),
        ("one two. three\nfour. five six", "one two. three\n"),
        ("one two three. four five six", "one two three. "),
        ("東京に行きました。猫を見ました。とても楽しい", "東京に行きました。猫を見ました。"),
        ("one two three four five six seven", "one two three four "),
        ("x" * 40, "x" * 20),
    ],
    ids=["paragraph", "line", "sentence", "sentence without a space", "word", "anywhere"],
)
def test_a_text_is_cut_where_a_reader_would_cut(text: str, first: str) -> None:
    assert chunks(text, 20)[0] == first


def test_a_short_text_is_one_chunk_and_so_is_an_empty_one() -> None:
    assert chunks("x" * CHUNK_CHARS_MAX) == ("x" * CHUNK_CHARS_MAX,)
    assert chunks("") == ("",)


def test_a_message_of_two_hundred_kilobytes_is_cut_without_rescanning_it() -> None:
    text = "lorem ipsum dolor sit amet " * 7_500
    pieces = chunks(text)
    assert "".join(pieces) == text
    assert 200 <= len(pieces) <= 410
