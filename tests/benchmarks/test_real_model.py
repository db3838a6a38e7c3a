"""The real-model benchmark without an engine: what is read from a stream, resent, kept as rows, said and drawn."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.real_model import ledger
from benchmarks.real_model_client import Chunk, Turn, Usage, messages_at, read_chunk
from benchmarks.real_model_notes import pastes
from benchmarks.real_model_plot import draw
from benchmarks.real_model_rows import (
    Sample,
    agreement,
    cold_table,
    epoch_starts,
    late,
    read_rows,
    remark,
    warm_table,
    with_estimates,
    write_rows,
)
from memory_core.stores import LedgerEntry, open_store
from proxy.ledger import Row, encode_row

# as llama.cpp's server wrote it, shortened
LAST = (
    b'{"choices":[],"object":"chat.completion.chunk","usage":{"completion_tokens":8,"prompt_tokens":27,'
    b'"total_tokens":35,"prompt_tokens_details":{"cached_tokens":20}},"timings":{"cache_n":20,"prompt_n":7,"prompt_ms":55.1}}'
)


def direct(number: int, first_token_ms: float, prompt: int, cached: int | None = None) -> Sample:
    return Sample("direct", number, first_token_ms, prompt, cached, first_token_ms - 1)


def proxied(number: int, first_token_ms: float, prompt: int, cached: int | None = None, epoch: int = 0) -> Sample:
    mode = "compact" if epoch else "passthrough"
    return Sample("isocost", number, first_token_ms, prompt, cached, first_token_ms - 1, mode, epoch)


def cells(table: str) -> list[list[str]]:
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


def test_the_final_chunk_tells_what_the_engine_found_and_how_long_the_rest_took():
    assert read_chunk(LAST) == Chunk("", Usage(27, 20, 55.1))


def test_without_cached_tokens_llama_cpp_s_timings_tell_them():
    event = msgspec.json.decode(LAST)
    del event["usage"]["prompt_tokens_details"]
    assert read_chunk(msgspec.json.encode(event)).usage == Usage(27, 20, 55.1)


@pytest.mark.parametrize("details", [{}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {}}])
def test_an_engine_that_does_not_say_is_not_guessed_at(details: dict[str, object]):
    event = {"choices": [], "usage": {"prompt_tokens": 27, **details}}
    assert read_chunk(msgspec.json.encode(event)).usage == Usage(27)


def test_an_error_in_the_stream_is_raised():
    with pytest.raises(ValueError, match="out of slots"):
        read_chunk(b'{"error":{"message":"out of slots"}}')


def test_a_client_resends_all_that_was_said_before():
    said = [(message["role"], message["content"]) for message in messages_at("abc", "xy", 2)]
    assert said[0][0] == "system"
    assert said[1:] == [("user", "a"), ("assistant", "x"), ("user", "b")]
    assert messages_at("abc", "xy", 3)[: len(said)] == messages_at("abc", "xy", 2)


def test_pastes_are_the_same_every_time_and_repeat_no_line():
    says = pastes(100, 800)
    lines = [line for say in says for line in say.splitlines()]
    assert len(lines) == len(set(lines))
    assert says == pastes(100, 800)
    assert pastes(10, 800) == says[:10]


def test_pastes_are_about_as_long_as_was_asked_and_end_in_a_question():
    for say in pastes(60, 800):
        *told, question = say.splitlines()
        assert 750 <= sum(map(len, told)) <= 1_000
        assert question.endswith("?")


def test_every_third_paste_asks_for_what_one_of_them_told():
    says = pastes(90, 300)
    for number in range(3, 91, 3):
        asked = re.search(r"what did (.+) say on (.+?) about (.+?) at (.+)\?$", says[number - 1])
        assert asked is not None
        who, day, what, where = asked.groups()
        (told,) = (say for say in says[:number] if f" {day}, shift" in say.splitlines()[0])
        assert any(who in line and what in line and where in line for line in told.splitlines()[1:-1])


def test_what_an_answer_tells_stands_in_its_row():
    said = {"mode": "compact", "epoch": "3", "sent-tokens": "990", "conversation": "c1"}
    sample = Sample.of("isocost", 7, Turn("yes", 123.456, Usage(1_000, 900, 99.96), said, retries=1))
    assert sample == Sample("isocost", 7, 123.5, 1_000, 900, 100.0, "compact", 3, "", 1, 990)
    assert Sample.of("direct", 7, Turn("yes", 2.0, Usage(10))) == Sample("direct", 7, 2.0, 10)


ms = st.floats(0, 1e6).map(lambda value: round(value, 1))
counts = st.integers(0, 10**9)
samples = st.lists(
    st.builds(
        Sample,
        path=st.sampled_from(["direct", "isocost"]),
        turn=counts,
        first_token_ms=ms,
        prompt_tokens=counts,
        cached_tokens=st.none() | counts,
        prompt_ms=st.none() | ms,
        mode=st.sampled_from(["", "passthrough", "compact"]),
        epoch=counts,
        error=st.sampled_from(["", "timeout", 'a, "quoted" one']),
        retries=counts,
        sent_tokens=st.none() | counts,
        estimated_cached_tokens=st.none() | counts,
    ),
    max_size=4,
)


@given(samples)
def test_rows_come_back_from_csv_as_they_were(tmp_path_factory: pytest.TempPathFactory, kept: list[Sample]):
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(kept, file)
    assert read_rows(file) == kept


def test_a_row_that_is_none_of_ours_is_refused(tmp_path: Path):
    file = tmp_path / "rows.csv"
    file.write_text("path,turn,first_token_ms,prompt_tokens\ndirect,one,2,3\n", encoding="utf-8")
    with pytest.raises(ValueError, match="turn"):
        read_rows(file)


def test_the_warm_table_has_milestones_sums_and_ratios():
    ours = [proxied(1, 110, 1_000, 0), proxied(2, 100, 1_000, 750, 1), proxied(3, 90, 1_000, 750, 2)]
    theirs = [direct(1, 100.4, 1_000, 0), direct(2, 200, 2_000, 1_500), direct(3, 300, 3_000, 2_500)]
    head, rule, *body = cells(warm_table(theirs, ours, (1, 3, 20)))
    assert head[:3] == ["turn", "TTFT ms, direct", "TTFT ms, isocost"]
    assert rule == ["---:"] * len(head)
    assert body == [
        ["1", "100", "110", "99", "109", "1,000", "1,000", "0", "0", "passthrough"],
        ["3", "300", "90", "299", "89", "3,000", "1,000", "2,500", "750", "2"],
        ["sum of 1–3", "600", "300", "597", "297", "6,000", "3,000", "4,000", "1,500", ""],
        ["isocost ÷ direct", "", "0.50", "", "0.50", "", "0.50", "", "0.38", ""],
    ]


def test_one_turn_without_a_count_leaves_the_sum_open():
    *_, sums, ratios = cells(warm_table([direct(1, 1, 9, 5), direct(2, 1, 9)], [proxied(1, 1, 9, 5)] * 2, (1,)))
    assert sums[-3:-1] == ["–", "10"]
    assert ratios[-2] == "–"


def test_the_cold_table_puts_the_same_turns_side_by_side():
    table = cold_table([direct(1, 100, 90), direct(60, 9_000, 6_000)], [proxied(1, 120, 90), proxied(60, 4_500, 3_000)])
    assert cells(table)[2:] == [
        ["1", "100", "120", "90", "90", "1.20"],
        ["60", "9,000", "4,500", "6,000", "3,000", "0.50"],
    ]


def test_only_late_turns_decide_who_is_faster_late():
    theirs = [direct(number, 100 * number, 1) for number in range(1, 5)]
    ours = [proxied(1, 1, 1), proxied(2, 250, 1), proxied(3, 200, 1), proxied(4, 400, 1)]
    assert late(theirs, ours, first=2) == (
        "Turns 2–4, median time to first token: direct 300 ms, isocost 250 ms; "
        "isocost was the faster one on 1 of 3 (33%)."
    )
    assert late(theirs, ours, first=5) == ""


def test_the_ledger_s_estimate_stands_beside_the_engine_s_count():
    ours = [proxied(number, 1, 1_000, 900) for number in (1, 2, 3)]
    # question 1 is the first turn of the transcript, question 2 the third
    counted = with_estimates([direct(1, 1, 1), *ours], {1: 900, 3: 600, 5: 990, 6: 1})
    assert [sample.estimated_cached_tokens for sample in counted] == [None, 900, 600, 990]
    first, second, third = agreement(counted[1:], first=3).splitlines()
    assert first == "Cached tokens, turns 1–3: 2,490 by isocost's ledger, 2,700 by the engine, 0.922."
    assert second == "Cached tokens, turns 3–3: 990 by isocost's ledger, 900 by the engine, 1.100."
    assert third.endswith("– of the engine's.")
    assert "– by isocost's ledger" in agreement(with_estimates(ours, {1: 900}), first=3)


async def test_the_ledger_is_read_once_it_is_whole(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'memory.sqlite'}"
    store = await open_store(url)
    row = Row(at=1.0, turn=1, model="m", mode="auto", full_tokens=1, sent_tokens=1, overhead_ms=1.0, cached_tokens=7)
    await store.record(LedgerEntry("c1", encode_row(row), row.at))
    with pytest.raises(TimeoutError):
        await ledger(url, "c1", 2, timeout_s=0.1)
    waiting = asyncio.create_task(ledger(url, "c1", 2))
    last = msgspec.structs.replace(row, turn=3, cached_tokens=9)
    await store.record(LedgerEntry("c1", encode_row(last), row.at))
    await store.aclose()
    assert await waiting == [row, last]


def test_the_remark_does_not_hide_that_memory_stood_aside_or_that_something_was_sent_again():
    ours = [
        proxied(1, 1, 1),
        proxied(2, 1, 1, epoch=1),
        msgspec.structs.replace(proxied(3, 1, 1), error="timeout", retries=3),
    ]
    said = remark([direct(1, 1, 1)], ours)
    assert said.startswith("isocost compacted 1 of 3 turns; errors: timeout;")
    assert said.endswith("sent again: direct 0, isocost 3")
    assert "errors: none" in remark([], ours[:2])


def test_an_epoch_starts_where_the_prompt_was_rewritten():
    epochs = [0, 1, 1, 2, 0, 2, 4, 3]
    ours = [proxied(number, 1, 1, epoch=epoch) for number, epoch in enumerate(epochs, start=1)]
    assert epoch_starts(ours) == [2, 4, 6, 7, 8]


@pytest.mark.slow
def test_the_drawing_comes_from_the_rows_alone_and_is_the_same_every_time(tmp_path: Path):
    pytest.importorskip("matplotlib")
    kept = [direct(1, 100, 9, 5), direct(2, 200, 19), proxied(1, 100, 9, 5), proxied(2, 90, 9, 5, epoch=1)]
    write_rows(kept, tmp_path / "rows.csv")
    draw(kept, tmp_path / "one.svg")
    draw(read_rows(tmp_path / "rows.csv"), tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "two.svg").read_text(encoding="utf-8")
    assert drawn.count("isocost") >= 4
