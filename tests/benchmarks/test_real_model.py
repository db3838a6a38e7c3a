"""The pure parts of the end-to-end benchmark: what is read from a stream, what stands in the tables."""

from dataclasses import replace

import msgspec
import pytest

from benchmarks.real_model import Chunk, Turn, Usage, cold_table, read_chunk, remark, warm_table

# as llama.cpp's server wrote it, shortened
LAST = (
    b'{"choices":[],"object":"chat.completion.chunk","usage":{"completion_tokens":8,"prompt_tokens":27,'
    b'"total_tokens":35,"prompt_tokens_details":{"cached_tokens":20}},"timings":{"cache_n":20,"prompt_n":7,"prompt_ms":55.1}}'
)


def turn(first_token_ms: float, prompt: int, prefilled: int | None, mode: str = "", error: str = "") -> Turn:
    return Turn("yes", first_token_ms, Usage(prompt, prefilled), mode, error)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_text_is_read_and_its_absence_is_not_text():
    assert read_chunk(b'{"choices":[{"index":0,"delta":{"content":"a fish"}}]}') == Chunk("a fish", None)
    for empty in (
        b'{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}',
        b'{"choices":[{"finish_reason":"length","index":0,"delta":{}}]}',
        b'{"choices":[{"index":0,"delta":{}}],"usage":null}',
        b"[DONE]",
    ):
        assert read_chunk(empty) == Chunk("", None)


def test_the_final_chunk_tells_what_the_engine_computed():
    assert read_chunk(LAST) == Chunk("", Usage(27, 7))


def test_without_llama_cpp_s_timings_the_cached_tokens_tell_it():
    event = msgspec.json.decode(LAST)
    del event["timings"]
    event["usage"]["prompt_tokens_details"] = {"cached_tokens": 16}
    assert read_chunk(msgspec.json.encode(event)).usage == Usage(27, 11)


@pytest.mark.parametrize("details", [{}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {}}])
def test_an_engine_that_does_not_say_is_not_guessed_at(details: dict[str, object]):
    event = {"choices": [], "usage": {"prompt_tokens": 27, **details}}
    assert read_chunk(msgspec.json.encode(event)).usage == Usage(27, None)


def test_an_error_in_the_stream_is_raised():
    with pytest.raises(ValueError, match="out of slots"):
        read_chunk(b'{"error":{"message":"out of slots"}}')


def test_the_warm_table_has_milestones_sums_and_ratios():
    direct = [turn(100.4, 1_000, 1_000), turn(200, 2_000, 500), turn(300, 3_000, 500)]
    proxied = [turn(110, 1_000, 1_000), turn(100, 1_000, 250), turn(90, 1_000, 250)]
    head, rule, *body = rows(warm_table(direct, proxied, (1, 3)))
    assert head[:3] == ["turn", "TTFT ms, direct", "TTFT ms, isocost"]
    assert rule == ["---:"] * len(head)
    assert body == [
        ["1", "100", "110", "1,000", "1,000", "1,000", "1,000"],
        ["3", "300", "90", "3,000", "1,000", "500", "250"],
        ["sum of 1–3", "600", "300", "6,000", "3,000", "2,000", "1,500"],
        ["isocost ÷ direct", "", "0.50", "", "0.50", "", "0.75"],
    ]


def test_one_turn_without_a_count_leaves_the_sum_open():
    direct, proxied = [turn(1, 10, 10), turn(1, 20, None)], [turn(1, 10, 10), turn(1, 20, 10)]
    *_, sums, ratios = rows(warm_table(direct, proxied, (1,)))
    assert sums[-2:] == ["–", "20"]
    assert ratios[-1] == "–"


def test_the_cold_table_puts_the_same_turns_side_by_side():
    table = cold_table(
        {1: turn(100, 90, 90), 60: turn(9_000, 6_000, 6_000)}, {1: turn(120, 90, 90), 60: turn(4_500, 3_000, 3_000)}
    )
    assert rows(table)[2:] == [
        ["1", "100", "120", "90", "90", "1.20"],
        ["60", "9,000", "4,500", "6,000", "3,000", "0.50"],
    ]


def test_the_remark_does_not_hide_that_memory_stood_aside():
    turns = [turn(1, 1, 1, "passthrough"), turn(1, 1, 1, "compact"), turn(1, 1, 1, "passthrough", "timeout")]
    assert remark([], turns).startswith("isocost compacted 1 of 3 turns; errors: timeout;")
    assert "errors: none" in remark([], turns[:2])


def test_the_remark_counts_what_was_sent_again():
    direct, proxied = [turn(1, 1, 1)], [replace(turn(1, 1, 1), retries=number) for number in (2, 0, 1)]
    assert remark(direct, proxied).endswith("sent again: direct 0, isocost 3")
