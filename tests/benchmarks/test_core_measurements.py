"""The measurements of memory_core's parts, each on a little that is made up, against what must come out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from benchmarks import bias, literals, memory, phases_plot, retention, routing, snapshot
from benchmarks.bias_data import Log
from benchmarks.locomo import Dialogue, Question, Turn
from benchmarks.routing_data import ASKED, Corpus, Topics, clustered
from memory_core.index import quantise, unit_rows
from memory_core.snapshot import to_bytes
from memory_core.state import Capacities
from memory_core.update import Report

DIMENSION = 16


def dialogue(turns: int = 60) -> Dialogue:
    """Two people; every tenth turn says much, and is asked for."""
    said = [
        f"Nothing much on walk {n}."
        if n % 10
        else f"Cousin number {n} sold the violin to a lighthouse keeper named Keeper{n} in Porto for {n + 100} euros."
        for n in range(turns)
    ]
    return Dialogue(
        tuple(Turn(f"day {n // 20}", ("Ann", "Bob")[n % 2], text, "", n % 2 == 0) for n, text in enumerate(said)),
        tuple(Question(f"What did cousin number {n} sell to Keeper{n}?", 1, (n,)) for n in range(0, turns, 10)),
    )


def talk() -> retention.Talk:
    made = dialogue()
    random = np.random.default_rng(0)
    rows = quantise(random.standard_normal((len(made.turns), DIMENSION)).astype(np.float32))
    queries = unit_rows(rows)[[question.evidence[0] for question in made.questions]]
    return retention.Talk(made, frozenset({5}), rows, queries)


@pytest.mark.parametrize("name", retention.POLICIES)
def test_every_policy_keeps_what_it_may_and_the_newest_turns(name: str):
    made, sizes = talk(), Capacities(4, 3, 8)
    kept = retention.POLICIES[name](made, sizes)
    assert kept <= set(range(made.turns))
    assert len(kept) == (made.turns if name == "all turns" else 15)
    assert kept >= set(range(made.turns - 4, made.turns))


def test_retention_by_information_finds_what_first_in_first_out_has_lost():
    made, sizes = [talk()], Capacities(4, 3, 8)

    def recall(name: str) -> float:
        return retention.mean(retention.ask(made, retention.POLICIES[name], sizes), adversarial=True)

    assert recall("all turns") == 1.0
    assert recall("tiers (information, importance, recency, access)") >= 5 / 6 - 1e-9
    assert recall("first in, first out") <= 2 / 6 + 1e-9
    assert retention.scaled(265) == Capacities()


@pytest.mark.slow
def test_retention_is_printed_and_drawn_the_same_each_time(tmp_path: Path):
    found = [retention.Found(0, False, 0.75), retention.Found(0, True, 0.25)]
    table = {name: dict.fromkeys(retention.SIZES, found) for name in retention.POLICIES}
    rendered = retention.render(table)
    assert rendered.count(" 0.750 ") == 3 * len(table) + len(table)  # the second table has one dialogue
    assert rendered.count(" 0.500 ") == 3 * len(table)
    drawn_twice(tmp_path, lambda file: retention.draw(table, file))


def report(**changed: Any) -> Report:
    return structs.replace(Report(0.6, 0.2, 0.5, 1.0, 0.8, "stability", 0.0, 0.4), **changed)


def test_switches_are_counted_where_they_belong():
    rows = [report(topic_switch=0.7 * (n in {3, 5})) for n in range(8)]
    talks = [phases_plot.Talk("made", ("said",) * 8, frozenset({3, 6}))]
    [found] = phases_plot.detected(talks * 2, [rows, rows])
    assert found == phases_plot.Detected("made", 4, 4, 2)
    assert found.row() == "| made | 4 | 4 | 0.50 | 0.50 |"


def test_the_parts_of_a_talk_begin_where_something_else_begins():
    made = phases_plot._talk("made", [["a", "b"], [], ["c"], ["d"]])
    assert (made.inputs, made.begins) == (("a", "b", "c", "d"), frozenset({2, 3}))


def test_phases_are_drawn_the_same_each_time(tmp_path: Path):
    rows = phases_plot.reports(unit_rows(talk().rows))
    assert len(rows) == 60
    rows[30] = report(phase="instability", topic_switch=0.8)
    drawn_twice(tmp_path, lambda file: phases_plot.draw(rows, file, "made"))


def drawn_twice(folder: Path, draw: Any) -> None:
    """The same bytes, small ones, without a date."""
    pytest.importorskip("matplotlib", reason="drawing needs the bench extra")
    files = [folder / "a.svg", folder / "b.svg"]
    for file in files:
        draw(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_bytes()) < 100_000
    assert "<dc:date>" not in files[0].read_text()


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    source = Topics(20, DIMENSION)
    queries = source.draw(np.arange(20), ASKED)
    return clustered(source, np.arange(3_000) % 20, queries, tmp_path / "rows")


def test_the_nearest_of_a_corpus_are_the_nearest(corpus: Corpus):
    cosines = corpus.queries @ unit_rows(np.asarray(corpus.rows)).T
    best = np.argsort(-cosines, axis=1)[:, :10]
    shared = [len(np.intersect1d(*pair)) for pair in zip(best, corpus.nearest, strict=True)]
    assert np.mean(shared) > 8  # the int8 rows order a few of the closest otherwise
    assert corpus.nearest.shape == (20, 10)


def test_more_probes_read_more_and_find_more_and_all_of_them_find_what_a_scan_does(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
):
    def searched() -> Iterator[routing.Engine]:
        yield routing.flat(corpus)
        yield from routing.routed(corpus, 8, (1, 4, 8))

    (_, flat), *coded = routing.print_table(corpus, searched())
    recalls = [measured.recall for _, measured in coded]
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[-1] == flat.recall
    reads = [engine.read for engine, _ in coded]
    assert reads == sorted(reads)  # type: ignore[type-var]
    assert reads[-1] == 1.0
    assert capsys.readouterr().out.count("\n") == 2 + 4


def test_a_drifting_log_opens_topics_over_time(tmp_path: Path):
    pairs = routing.drifting(50, 2_000, DIMENSION, tmp_path / "rows")
    (_, first), (_, last) = pairs
    assert len(first.rows) == len(last.rows) == 2_000
    assert np.median(first.nearest) < np.median(last.nearest)


def test_a_snapshot_of_any_texts_is_measured():
    export = snapshot.export_of([snapshot._sentence(number) for number in range(snapshot.MEMORIES)])
    assert len(export.state.kept) == len(export.memories) == 265
    assert len(to_bytes(export)) / snapshot.MEMORIES <= snapshot.BYTES_BAR


def test_memory_is_timed_after_each_size():
    costs = memory.measure((30, 300), timed=10, queries=3)
    assert [cost.turns for cost in costs] == [30, 300]
    assert all(min(cost.fold, cost.update, cost.recall) > 0 for cost in costs)
    assert costs[0].state_bytes < costs[1].state_bytes
    assert memory.render(costs).count("\n") == 4
    assert memory.held(replace(costs[0], update=0.1, recall=1.0))
    assert not memory.held(replace(costs[0], update=0.1, recall=8.1))
    assert not memory.held(replace(costs[0], update=0.3, recall=1.0))
    assert memory.steady([9.0, 9.0, 1.0, 3.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]) == 2.0
    assert memory.steady([4.0]) == 4.0


def test_literals_are_counted_exactly_and_by_touch():
    gold = [{"TypeName": "phonenumber", "Text": "030 901820", "Start": None, "End": None}]
    cases = [{"model": "PhoneNumberModel", "input": "ring 030 901820 at noon", "results": gold}]
    assert literals.gold_spans(cases[0]) == {"phone": [(5, 15)]}
    count = literals.Count()
    count.add([(5, 15), (20, 24)], [(5, 15), (21, 24), (30, 31)])
    assert (count.gold, count.found, count.exact, count.touched) == (2, 3, 1, 2)
    assert count.row("x") == "| x | 2 | 3 | 0.333 | 0.500 | 0.400 | 0.667 | 1.000 | 0.800 |"
    assert literals.render(literals.measure(cases)).count("\n") == 3


def test_ways_of_bias_are_measured_on_a_log():
    made = talk()
    logs = [Log(made.dialogue, unit_rows(made.rows), made.queries)]
    rows = [row for way in (bias.filters, bias.deletion, bias.switched_off) for row in way(logs)]
    assert [row.way for row in rows] == ["filter by meta"] * 2 + ["deletion"] * 2 + ["off"] * 2
    assert all(row.held for row in rows if not row.figure.startswith("evidence"))
