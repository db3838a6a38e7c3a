"""Compressed, cut, endless or meaningless answers: read if they can be, and never the cause of a failure."""

import gzip
import json
import time
import tracemalloc
import zlib
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import read_message
from tests.support.answers import JSON, MIB, SSE, Heard, call, collected, stream, whole
from tests.support.upstreams import ANSWER

# --- encodings


def test_compressed_answers_at_any_cut():
    for kind, body in ((JSON, json.dumps(ANSWER).encode()), (SSE, stream({"content": "Noted, "}, {"content": "sir."}))):
        packed_as = [(name, gzip.compress(body)) for name in ("gzip", "GZIP", " x-gzip ")]
        for encoding, packed in [*packed_as, ("deflate", zlib.compress(body)), ("Identity", body)]:
            for size in (0, 1, 7):
                assert collected(packed, kind, encoding, size=size).message().text == "Noted, sir."


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_we_cannot_read_is_not_learned(encoding):
    assert collected(whole({"content": "a"}), JSON, encoding).message() is None


def test_what_is_not_gzip_though_it_says_so():
    assert collected(whole({"content": "a"}), JSON, "gzip").message() is None


@contextmanager
def at_most(bytes_max):
    """What the block allocates at its peak."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < bytes_max
    finally:
        tracemalloc.stop()


def test_a_bomb_is_given_up_before_it_unfolds():
    bomb = gzip.compress(b" " * 64 * MIB)
    with at_most(8 * MIB):
        assert collected(bomb, JSON, "gzip").message() is None
    padded = whole({"content": "x" * 500}) + b" " * (MIB + 1)
    assert collected(gzip.compress(padded), JSON, "gzip").message() is None


def test_what_follows_the_end_of_the_compressed_data_is_not_kept():
    collector = Heard([(b"content-type", JSON.encode()), (b"content-encoding", b"gzip")], bytes_max=MIB)
    collector.feed(gzip.compress(whole({"content": "a"})))
    with at_most(8 * MIB):
        for _ in range(32):
            collector.feed(b"x" * MIB)
    collector.end()
    assert collector.message().text == "a"


# --- caps


@pytest.mark.parametrize("size", [0, 100])
@pytest.mark.parametrize(("length", "is_read"), [(800, True), (1100, False)])
def test_past_the_cap_nothing_is_learned(size, length, is_read):
    for kind, body in ((JSON, whole({"content": "x" * length})), (SSE, stream({"content": "x" * length}, finish=None))):
        collector = collected(body, kind, size=size, bytes_max=1000)
        assert (collector.message() is not None) == is_read
        assert collector.complete == is_read


def test_long_arguments_are_not_copied_at_each_piece():
    pieces = stream(*[call(0, function={"arguments": "x" * 1000})] * 10_000)
    began = time.perf_counter()
    assert len(collected(pieces, size=1100, bytes_max=10**9).message().text) > 9_000_000
    assert time.perf_counter() - began < 1.5


# --- garbage

FIELDS = st.sampled_from(
    ["choices", "delta", "message", "index", "content", "tool_calls", "function", "usage", "id", "refusal"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)


def no_harm(body, kind, encoding=""):
    collector = collected(body, kind, encoding, size=11)
    message = collector.message()
    assert message is None or (message.role == "assistant" and read_message(message.raw) == message)
    assert isinstance(collector.usage, dict)


@given(st.binary(max_size=300), st.sampled_from([SSE, JSON, "", "text/html"]), st.sampled_from(["", "gzip", "br"]))
def test_bytes_that_mean_nothing_do_no_harm(body, kind, encoding):
    no_harm(body, kind, encoding)
    no_harm(b"data: " + body + b"\n\n", SSE)


@given(ODD, st.dictionaries(FIELDS, ODD))
def test_json_that_means_something_else_does_no_harm(value, fields):
    shapes = [
        value,
        {"choices": value},
        {"choices": [{"delta": fields, "index": 0}]},
        {"choices": [{"delta": {"tool_calls": [fields]}, "index": 0}]},
        {"choices": [{"message": fields}], "usage": value},
        {"choices": [{"message": {"tool_calls": [fields], "content": value}}]},
    ]
    for shape in shapes:
        body = json.dumps(shape).encode()
        no_harm(body, JSON)
        no_harm(b"data: " + body + b"\n\n", SSE)


@pytest.mark.parametrize("inner", [b"[" * 5000, b"[" * 600 + b"]" * 600, b'"\xff"', b'"\\ud800"', b"9" * 6000])
def test_json_at_the_edge_does_no_harm(inner):
    for body in (inner, b'{"choices":[{"message":{"content":%s}}]}' % inner, b'{"usage":{"a":%s}}' % inner):
        no_harm(body, JSON)
        no_harm(b"data: " + body + b"\n\ndata: [DONE]\n\n", SSE)


def test_a_line_that_is_not_utf8_is_skipped_and_the_rest_is_read():
    body = b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n' + stream({"content": "fine"})
    assert collected(body).message().text == "fine"


def test_the_content_type_is_read_as_http_means_it():
    assert Heard([(b"content-type", b"Text/Event-Stream; charset=UTF-8")], bytes_max=1).is_stream
    assert not Heard([(b"content-type", b"application/json")], bytes_max=1).is_stream
