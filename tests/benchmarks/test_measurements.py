"""Each measurement runs to its end on a small made-up dialogue in LoCoMo's form, so that none breaks unnoticed."""

import asyncio
import json
from pathlib import Path

import pytest

from benchmarks import locomo_http, overhead, recall_ablation

pytestmark = pytest.mark.slow

PLACES = ["Lisbon", "Utrecht", "Oslo", "Ghent", "Porto", "Bergen", "Leeds", "Turku"]


def sample() -> dict[str, object]:
    """Forty dated turns of two people, eight facts, and a question for each."""
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


async def test_locomo_over_http_finds_plain_facts():
    dialogues = list(locomo_http.read_dialogues([sample()]))
    assert len(dialogues[0].questions) == len(PLACES)
    found = await locomo_http.measure(dialogues, questions_max=4)
    for tokens, rows in found.items():
        assert [row.share for row in rows] == [1.0] * 4, tokens
        assert all(row.sent_tokens < row.full_tokens for row in rows)
    table = locomo_http.render(found)
    assert table.count("\n") == 1 + len(locomo_http.BUDGETS_TOKENS)
    assert "1.000" in table


async def test_overhead_times_every_case():
    timings = await overhead.measure(rounds=2)
    assert [timing.case for timing in timings] == list(overhead.CASES)
    assert all(timing.direct_s > 0 and timing.proxied_s > 0 for timing in timings)
    assert overhead.render(timings).count("\n") == 1 + len(overhead.CASES)


def test_every_row_of_the_ablation_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([sample()]))
    dialogues = recall_ablation.read_dialogues(file)
    recall_ablation.print_table(
        recall_ablation.Table(dialogues, asyncio.run(recall_ablation.embed_dialogues(dialogues)))
    )
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert len(rows) >= 15
    assert "**the pipeline** | 1.0000" in rows[0]
