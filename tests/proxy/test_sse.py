"""Any cuts, any line ends: the same events; and what never ends is given up."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sse import EventReader
from tests.support.recorded import recorded_chats

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
DATA = VALUES.map(lambda value: b"data: " + value.encode())
LINES = st.one_of(
    DATA,
    st.just(b""),
    st.sampled_from(
        [b"data", b"data:", b"data:x", b"data:  x", b": comment", b"event: e", b"id: 1", b"datax: y", b" data: z"]
    ),
)


def events(*chunks):
    reader = EventReader()
    found = [data for chunk in chunks for data in reader.feed(chunk)]
    return found + list(reader.end())


def at_cuts(stream, cuts):
    places = sorted({min(cut, len(stream)) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def as_the_standard_says(lines):
    """The oracle: events by the rules of the HTML standard, line by line."""
    found, data = [], []
    for line in [*lines, b""]:
        if line == b"" and data:
            found.append(b"\n".join(data))
            data = []
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    return found


@given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.lists(st.integers(0, 300), max_size=8), st.booleans())
def test_any_lines_with_any_ends_at_any_cuts(lines, cuts, ends):
    stream = b"".join(line + end for line, end in lines)
    if not ends:
        stream = stream.rstrip(b"\r\n")
    split = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    expected = as_the_standard_says(split)
    assert events(stream) == expected
    assert events(*at_cuts(stream, cuts)) == expected
    assert events(*(stream[place : place + 1] for place in range(len(stream)))) == expected


def test_an_event_is_given_as_soon_as_it_ends():
    reader = EventReader()
    assert list(reader.feed(b"data: a\n")) == []
    assert list(reader.feed(b"\nda")) == [b"a"]
    assert list(reader.feed(b"ta: b\r\n\r")) == [b"b"]
    assert list(reader.feed(b"\n")) == []
    assert list(reader.end()) == []


def test_a_stream_without_its_last_blank_line():
    assert events(b"data: a\n\ndata: b") == [b"a", b"b"]
    assert events(b"data: a\n\ndata: b\n") == [b"a", b"b"]


def test_several_data_lines_are_one_event_and_comments_none():
    assert events(b": hi\nevent: x\nid: 7\ndata: a\ndata: b\nretry: 1\n\n: ping\n\n\n") == [b"a\nb"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_garbage_at_any_cuts_is_the_same_garbage(stream, cuts):
    assert events(*at_cuts(stream, cuts)) == events(stream)


@pytest.mark.parametrize(
    "endless",
    [b"data: " + b"x" * 100, b"x" * 100, b"data: x\n" * 15, b"data:\n" * 30, b"data\n" * 30],
    ids=["data", "line", "data lines", "empty data lines", "bare data lines"],
)
def test_an_event_that_never_ends_is_given_up(endless):
    reader = EventReader(event_bytes_max=100)
    assert list(reader.feed(b"data: before\n\n")) == [b"before"]
    for _ in range(20):
        assert list(reader.feed(endless)) == []
    assert reader.overflowed
    assert list(reader.feed(b"\n\ndata: after\n\n")) == []
    assert list(reader.end()) == []


def test_many_events_in_a_bounded_reader_are_no_overflow():
    reader = EventReader(event_bytes_max=100)
    assert len(list(reader.feed(b"data: " + b"x" * 50 + b"\n\n"))) == 1
    assert len([data for _ in range(1000) for data in reader.feed(b"data: " + b"x" * 50 + b"\n\n")]) == 1000
    assert not reader.overflowed


def test_a_long_line_in_small_pieces_is_not_copied_at_each():
    reader = EventReader()
    began = time.perf_counter()
    for _ in range(40_000):
        assert not list(reader.feed(b"x" * 100))
    assert time.perf_counter() - began < 2
    assert not reader.overflowed


def test_recorded_streams_at_any_cut():
    streams = [chat for chat in recorded_chats() if chat.is_stream]
    assert len(streams) > 10
    for chat in streams:
        found = events(chat.body)
        assert found[-1] == b"[DONE]" or "not_complete" in chat.name
        assert all(json.loads(data) for data in found if data != b"[DONE]")
        for size in (1, 2, 7, 4096):
            assert events(*(chat.body[at : at + size] for at in range(0, len(chat.body), size))) == found
