"""Each measurement runs to its end on a few made-up sentences, with the real parts, so that none breaks unnoticed."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as everything
from benchmarks import cast, coverage_plot, locomo, locomo_http, longmemeval_http, overhead, recall_ablation
from memory_core import recall

slow = pytest.mark.slow

PLACES = ["Lisbon", "Utrecht", "Oslo", "Ghent", "Porto", "Bergen", "Leeds", "Turku"]


def sample() -> dict[str, Any]:
    """160 turns of two people in LoCoMo's form, eight facts, and a question for each."""
    turns = []
    for number in range(160):
        text = f"Nothing much happened on walk {number}, though the weather was kind and the dog was pleased with it."
        if number % 20 == 0:
            text = f"My cousin number {number} moved to {PLACES[number // 20]} in spring."
        turns.append({"speaker": "Ann" if number % 2 == 0 else "Bob", "dia_id": f"D1:{number + 1}", "text": text})
    asked = [
        {
            "question": f"Where did cousin number {n * 20} move to?",
            "evidence": [f"D1:{n * 20 + 1}"],
            "category": 1 + n % 4,
        }
        for n in range(len(PLACES))
    ]
    adversarial = {"question": "Where did nobody move to?", "evidence": ["D1:1"], "category": 5}
    conversation = {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": turns,
    }
    return {"qa": [*asked, adversarial], "conversation": conversation, "sample_id": "made"}


def test_locomo_is_read_in_the_order_of_its_sessions():
    said = {"speaker": "Bob", "text": " Look at this! ", "blip_caption": "a photo of a kite"}
    source = {
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bob",
            "session_10_date_time": "noon on 2 May, 2023",
            "session_10": [{"speaker": "Ann", "text": "Later.", "dia_id": "D10:1"}],
            "session_2_date_time": "noon on 1 May, 2023",
            "session_2": [said | {"dia_id": "D2:1"}],
            "session_11_date_time": "noon on 3 May, 2023",
        },
        "qa": [
            {"question": "What did Bob fly?", "evidence": ["D2:1; D10:1", "D2:1"], "category": 1},
            {"question": "Who knows?", "evidence": ["D9:9"], "category": 1},
        ],
    }
    dialogue = locomo.read_dialogue(source)
    assert [turn.dated for turn in dialogue.turns] == [
        "[noon on 1 May, 2023] Bob: Look at this! [photo: a photo of a kite]",
        "[noon on 2 May, 2023] Ann: Later.",
    ]
    assert [turn.is_first_speaker for turn in dialogue.turns] == [False, True]
    assert [question.evidence for question in dialogue.questions] == [(0, 1)]


@slow
async def test_locomo_over_http_finds_plain_facts():
    dialogue = locomo.read_dialogue(sample())
    assert len(dialogue.questions) == len(PLACES)
    found = await locomo_http.measure([dialogue], questions_max=3)
    assert list(found) == list(locomo_http.BARS)
    for tokens, rows in found.items():
        assert [row.share for row in rows] == [1.0] * 3, tokens
        assert all(row.sent_tokens < row.full_tokens for row in rows)
    table = locomo_http.render(found)
    assert table.count("\n") == 1 + len(locomo_http.BARS)
    assert "| 1.000 | 0.70 |" in table
    assert "–" in table  # no question of the fourth category


FACT = "I keep the spare key under the blue flower pot, next to the shed, since the lock was changed."


def history(*, sessions: int = 24) -> dict[str, Any]:
    """Sessions of small talk in LongMemEval's form, newest first; the oldest tells the fact."""
    talk = [
        [
            {"role": "user", "content": f"Tell me something about walk number {number} of this long summer, please."},
            {"role": "assistant", "content": f"Walk {number} led past a mill. " + "The weather stayed kind. " * 40},
        ]
        for number in range(sessions)
    ]
    talk[-1][0] = {"role": "user", "content": FACT, "has_answer": True}
    return {
        "question_type": "single-session-user",
        "question": "Where do I keep the spare key?",
        "question_date": "2023/06/30 (Fri) 10:00",
        "answer": "under the blue flower pot",
        "haystack_dates": [f"2023/05/{sessions - number:02} (Mon) 10:00" for number in range(sessions)],
        "haystack_sessions": talk,
    }


@slow
async def test_longmemeval_over_http_finds_a_plain_fact(tmp_path: Path):
    file = tmp_path / "rows.jsonl.gz"
    nothing = history() | {"haystack_sessions": [[] for _ in range(24)]}
    file.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in (nothing, history())).encode()))
    [row] = longmemeval_http.read_rows(file)
    assert row.history[0] == {"role": "user", "content": f"[2023/05/01 (Mon) 10:00] {FACT}"}
    assert not row.history[1]["content"].startswith("[")
    found = await longmemeval_http.measure([row])
    for tokens, rows in found.items():
        assert [(row.found, row.turns, row.in_window, row.answered) for row in rows] == [(1, 1, 0, True)], tokens
        assert all(row.sent_tokens < row.full_tokens for row in rows)
    assert longmemeval_http.render(found).count("| 1.000 |") == 2 * len(longmemeval_http.BARS)
    assert "1 of 1" in longmemeval_http.render(found)


def prompt_of(row: longmemeval_http.Row, *, quoted: str, last: int) -> str:
    """As the proxy would forward it: a quotation, the last so many turns, the question."""
    window = [message["content"] for message in row.history[len(row.history) - last :]]
    return "\n".join(["<memory>", quoted, "</memory>", *window, row.question])


@pytest.mark.parametrize(
    ("quoted", "last", "expected"),
    [
        ("[1 user] nothing of it", 2, (0, 0, False)),
        (f"[1 user] [a date] {FACT}", 2, (1, 0, True)),
        (f"[1 user] {FACT[35:85]}\n ...", 2, (1, 0, False)),  # 50 characters, but the answer is cut
        (f"[1 user] {FACT[:39]}", 2, (0, 0, False)),  # one short of forty
        ("under the blue flower pot", 2, (0, 0, False)),  # the answer's words in another company
        ("nothing", 48, (1, 1, True)),  # all of the history is in the window
    ],
)
def test_evidence_counts_only_where_it_stands(quoted: str, last: int, expected: tuple[int, int, bool]):
    row = longmemeval_http.read_row(history())
    found = longmemeval_http.judge(row, prompt_of(row, quoted=quoted, last=last), 100, 10)
    assert (found.found, found.in_window, found.answered) == expected


def test_the_question_and_other_turns_are_no_evidence():
    source = history()
    source["question"] = f"I said: {FACT} Where is it?"
    row = longmemeval_http.read_row(source)
    assert longmemeval_http.judge(row, prompt_of(row, quoted="nothing", last=2), 100, 10).found == 0
    source = history()
    source["haystack_sessions"][3][1]["content"] = f"You said: {FACT}"
    row = longmemeval_http.read_row(source)
    assert longmemeval_http.judge(row, prompt_of(row, quoted=FACT, last=2), 100, 10).found == 0


def test_a_missed_bar_of_longmemeval_is_named():
    def found(kind: str, turns: int, answered: bool) -> longmemeval_http.Found:
        return longmemeval_http.Found(kind, 10, turns, 0, answered, 100, 10)

    kinds = ["multi-session", "single-session-preference"]
    held = {tokens: [found(kind, 10, True) for kind in kinds] for tokens in longmemeval_http.BARS}
    assert longmemeval_http.missed(held) == []
    broken = held | {
        512: [found(kind, 7, True) for kind in kinds],
        1024: [found("multi-session", 6, False), found(kinds[1], 10, True)],
    }
    named = [sentence.partition(": under")[0] for sentence in longmemeval_http.missed(broken)]
    assert named == ["512 tokens", "1,024 tokens", "1,024 tokens, multi-session", "1,024 tokens, verbatim answers"]


def topic(subject: str) -> cast.Topic:
    """Eight turns about a subject, all but the first elliptical."""
    asked = ("Where does {} come from?", "How old is {}?", "What does {} cost?", "Who likes {}?")
    forms = [*asked, "Why is {} so famous?", "Is {} safe for children?", "Can {} be stored?", "How heavy is {}?"]
    turns = [cast.Utterance(form.format("it"), form.format(subject)) for form in forms]
    return (cast.Utterance(turns[0].rewrite, turns[0].rewrite), *turns[1:])


@slow
async def test_elliptical_questions_are_asked_in_all_conversations():
    topics = [topic(subject) for subject in ("sourdough bread", "the violin of Stradivari", "a mountain bike")]
    rows = list(cast.ask(topics, await cast.embed(topics), distractors=2))
    found = cast.columns(rows)
    assert [title.split(", ")[:2] for title in found] == [
        ["continued", "21 questions"],
        ["continued", "21 of at most 2 terms"],
        ["returned", "6 questions"],
        ["returned", "6 of at most 2 terms"],
        ["elsewhere", "24 questions"],
    ]
    for row in rows:
        assert list(row.precision) == list(cast.QUERIES)
        assert all(0 <= share <= 1 for share in row.precision.values())
    mean = {name: sum(row.precision[name] for row in rows) / len(rows) for name in cast.QUERIES}
    assert mean["rewrite"] > mean["bare"]
    assert cast.render(found).count("\n") == 1 + len(cast.QUERIES)


@slow
async def test_coverage_grows_with_the_budget_and_is_drawn(tmp_path: Path):
    dialogues = [locomo.read_dialogue(sample())]
    found = coverage_plot.curves(dialogues, await coverage_plot.embed(dialogues))
    assert found["isocost"] == [1.0] * len(coverage_plot.BUDGETS)
    assert found["sliding window"] == sorted(found["sliding window"])
    assert found["sliding window"][0] == 0.0
    assert coverage_plot.render(found).count("\n") == 1 + len(found)
    pytest.importorskip("matplotlib", reason="drawing needs the bench extra")
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        coverage_plot.draw(found, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_bytes()) < 60_000
    assert "<dc:date>" not in files[0].read_text()


def test_the_sliding_window_is_the_end():
    assert coverage_plot.latest_turns([5, 1, 9, 2, 3], 5) == {3, 4}
    assert coverage_plot.latest_turns([5, 1, 9, 2, 3], 14) == {2, 3, 4}
    assert coverage_plot.latest_turns([5, 1], 100) == {0, 1}
    assert coverage_plot.latest_turns([5], 4) == set()


@slow
async def test_overhead_times_every_case():
    timings = await overhead.measure(rounds=2)
    assert [timing.case for timing in timings] == list(overhead.CASES)
    assert all(timing.direct_s > 0 and timing.proxied_s > 0 for timing in timings)
    assert overhead.render(timings).count("\n") == 1 + len(overhead.CASES)


@slow
def test_every_row_of_the_ablation_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([sample()]))
    dialogues = locomo.read_locomo(file)
    recall_ablation.print_table(
        recall_ablation.Table(dialogues, asyncio.run(recall_ablation.embed_dialogues(dialogues)))
    )
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert len(rows) >= 15
    assert "**the pipeline** | 1.0000" in rows[0]


def test_an_ablation_changes_the_scores_and_nothing_stays_of_it(tmp_path: Path):
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([sample()]))
    [dialogue] = locomo.read_locomo(file)
    vectors = np.random.default_rng(1).standard_normal((len(dialogue.turns), 8)).astype(np.float32)
    index = recall_ablation._indexed(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dialogue)

    def scored() -> list[float]:
        question = "Where did cousin number 40 move to?"
        return recall.scores(index, len(dialogue.turns), question, vectors[0]).tolist()

    usual = scored()
    with recall_ablation.dense_alone():
        dense = scored()
    with recall_ablation.bm25_alone():
        lexical = scored()
    with recall_ablation.changed(recall, BM25_K1=0.5, BM25_B=0.0):
        short = scored()
    with recall_ablation.changed(recall, AROUND_REACH=1):
        narrow = scored()
    assert len({tuple(row) for row in (usual, dense, lexical, short, narrow)}) == 5
    assert scored() == usual


def test_all_measurements_run_and_the_missed_ones_are_named(capsys: pytest.CaptureFixture[str]):
    assert everything.run({"one": lambda: True, "two": lambda: False, "three": lambda: True}) == ["two"]
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")] == [
        "## one",
        "## two",
        "## three",
    ]
