import time
from datetime import date
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import recall, reference
from memory_core.bias import Bias, NegativeAttractor
from memory_core.dates import Days
from memory_core.ellipsis import STATE_PULL, Said, borrowed
from memory_core.index import MemoryIndex, quantise, unit_rows
from memory_core.state import MemoryState
from tests.support.memories import Turn, folded, indexed, logs, texts, turns, unit

D = 8
EMPTY = MemoryState.empty(D)


def expected(log: list[Turn], query: str, vector: np.ndarray) -> list[float]:
    rows = [row for turn in log for row in unit_rows(turn.vectors).tolist()]
    return reference.scores([(turn.is_input, turn.texts) for turn in log], rows, query, vector.tolist())


@settings(deadline=None, max_examples=60)
@given(logs(D), texts(), st.integers(0, 2**16))
def test_scores_are_the_references(log: list[Turn], query: str, seed: int) -> None:
    vector = unit(seed, 1, D)[0]
    index = indexed(log, D)
    found = recall.scores(index, index.memories(), query, vector)
    assert found == pytest.approx(expected(log, query, vector), abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.lists(turns(D) | st.integers(0, 8), min_size=1, max_size=20), texts(), st.integers(0, 2**16), st.data())
def test_scores_are_the_references_after_any_appends_and_truncations(
    steps: list[Turn | int], query: str, seed: int, data: st.DataObject
) -> None:
    index, log = MemoryIndex(D), list[Turn]()
    for step in steps:
        if isinstance(step, int):
            index.truncate(step)
            del log[step:]
        else:
            index.append(step.vectors, step.texts, is_input=step.is_input)
            log.append(step)
        if log and data.draw(st.booleans()):  # what is kept of an answer must not outlive the memories that it is of
            recall.scores(index, data.draw(st.integers(1, index.memories())), query, unit(seed, 1, D)[0])
    if log:
        vector = unit(seed, 1, D)[0]
        found = recall.scores(index, index.memories(), query, vector)
        assert found == pytest.approx(expected(log, query, vector), abs=1e-5)
        for count in (len(found), data.draw(st.integers(1, len(found)))):
            fresh = recall.scores(indexed(log, D), count, query, vector)
            assert np.array_equal(recall.scores(index, count, query, vector), fresh)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(turns(D), st.sampled_from(["", "[2023-05-08] ", "[9 May, 2023] "])), min_size=1, max_size=12),
    texts(),
    st.dictionaries(st.sampled_from(["cat", "dog", "green", "unseen"]), st.sampled_from([0.0, 0.25, 0.8, 1.0])),
    st.integers(-20, 20),
    st.integers(0, 20),
)
def test_scores_with_borrowed_terms_and_days_are_the_references(
    stamped: list[tuple[Turn, str]], query: str, lent: dict[str, float], start: int, length: int
) -> None:
    log = [Turn((stamp + turn.texts[0], *turn.texts[1:]), turn.vectors, turn.is_input) for turn, stamp in stamped]
    index, vector = indexed(log, D), unit(start + 20, 1, D)[0]
    first = date(2023, 5, 8).toordinal() + start
    known = {"borrowed_terms": lent, "days": Days(first, first + length)}
    rows = [row for turn in log for row in unit_rows(turn.vectors).tolist()]
    said = [(turn.is_input, turn.texts) for turn in log]
    found = recall.scores(index, index.memories(), query, vector, **known)  # type: ignore[arg-type]
    assert found == pytest.approx(reference.scores(said, rows, query, vector.tolist(), **known), abs=1e-5)  # type: ignore[arg-type]
    assert found.max() <= 1 + 1e-9


@settings(deadline=None, max_examples=60)
@given(logs(D), texts(), st.integers(0, 2**16), st.integers(0, 40))
def test_rank_is_the_scores_sorted_and_cut(log: list[Turn], query: str, seed: int, limit: int) -> None:
    vector = unit(seed, 1, D)[0]
    index = indexed(log, D)
    ranked = recall.rank(index, EMPTY, query, vector, turns=len(log), limit=limit, context=())
    scored = recall.scores(index, index.memories(), query, vector)
    rounded = np.round(scored, recall.SCORE_DECIMALS)
    best = sorted(range(len(scored)), key=lambda memory: (-rounded[memory], memory))[: recall.CANDIDATES * limit]
    turn_of = [index.place(memory)[0] for memory in best]
    repeats = [turn_of[:place].count(turn) for place, turn in enumerate(turn_of)]
    decayed = [
        round(float(scored[memory]) * recall.REPEAT_DECAY**repeat, recall.SCORE_DECIMALS)
        for memory, repeat in zip(best, repeats, strict=True)
    ]
    order = sorted(zip(decayed, best, strict=True), key=lambda pair: (-pair[0], pair[1]))[:limit]
    assert [(memory.turn, memory.chunk, memory.score) for memory in ranked] == [
        (*index.place(memory), score) for score, memory in order
    ]


@given(st.lists(st.integers(0, 2**21).map(lambda halves: halves / 2e6) | st.floats(0, 101), min_size=1, max_size=9))
def test_scores_are_rounded_as_python_rounds_also_in_the_middle_of_two(scored: list[float]) -> None:
    index = indexed([Turn(("word",), quantise(unit(1, 1, D)))] * len(scored), D)
    best = [each for block in recall._best(index, np.array(scored), 2) for each in block]
    assert [rounded for *_, rounded in best] == [round(score, recall.SCORE_DECIMALS) for *_, score, _ in best]
    rounded = np.round(scored, recall.SCORE_DECIMALS)
    assert [turn - 1 for turn, *_ in best] == sorted(range(len(scored)), key=lambda memory: (-rounded[memory], memory))


def test_the_chunks_of_one_long_turn_make_room_for_other_turns() -> None:
    here, beside = np.eye(D, dtype=np.float32)[:2]
    near = (here + 0.2 * beside) / np.linalg.norm(here + 0.2 * beside)
    long = Turn(tuple("abcdefghijkl"), quantise(np.stack([here] * 12)))
    far = Turn(("zz",), quantise(np.eye(D, dtype=np.float32)[3:4]))
    index = indexed([long, *[far] * 8, Turn(("ee",), quantise(near[None])), far], D)
    ranked = recall.rank(index, EMPTY, "nothing of this", here, turns=index.turns, limit=12)
    assert 10 in [memory.turn for memory in ranked]


@settings(deadline=None, max_examples=60)
@given(logs(D, min_size=2), texts(), st.integers(0, 2**16), st.data())
def test_turns_after_the_limit_are_neither_returned_nor_felt(
    log: list[Turn], query: str, seed: int, data: st.DataObject
) -> None:
    vector = unit(seed, 1, D)[0]
    known = data.draw(st.integers(0, len(log) - 1))
    ranked = recall.rank(indexed(log, D), EMPTY, query, vector, turns=known, limit=100)
    assert all(memory.turn <= known for memory in ranked)
    assert ranked == recall.rank(indexed(log[:known], D), EMPTY, query, vector, turns=known, limit=100)


@pytest.mark.parametrize("count", [2, 13, 64, 65, 300])
@pytest.mark.parametrize("query", ["nothing of this", "?"])
def test_equal_memories_keep_the_order_of_the_log(count: int, query: str) -> None:
    # Float noise between equal cosines once became the whole scale of min-max.
    row = quantise(unit(1, 1, 384))
    index = indexed([Turn(("same words",), row)] * count, 384)
    ranked = recall.rank(index, MemoryState.empty(384), query, unit(2, 1, 384)[0], turns=count, limit=count)
    assert [(memory.turn, memory.score) for memory in ranked] == [
        (turn, ranked[0].score) for turn in range(1, count + 1)
    ]


def test_an_empty_index_and_an_empty_prefix_recall_nothing() -> None:
    vector = unit(0, 1, D)[0]
    assert recall.rank(MemoryIndex(D), EMPTY, "dog", vector, turns=5, limit=5) == []
    index = indexed([Turn(("dog",), quantise(unit(1, 1, D)))], D)
    assert recall.rank(index, EMPTY, "dog", vector, turns=0, limit=5) == []
    assert recall.rank(index, EMPTY, "dog", vector, turns=1, limit=0) == []


def test_a_memory_is_found_by_word_by_meaning_and_by_its_neighbour() -> None:
    # Far enough apart that no window holds two of them: "car" is turn 10, the vector is turn 30's.
    there, elsewhere, asked = np.eye(D, dtype=np.float32)[:3]
    log = [Turn(("grey road",), quantise(elsewhere[None]))] * 40
    log[9] = Turn(("old car",), quantise(elsewhere[None]))
    log[29] = Turn(("grey road",), quantise(there[None]))
    index = indexed(log, D)

    def best(query: str, vector: np.ndarray) -> list[int]:
        return [memory.turn for memory in recall.rank(index, EMPTY, query, vector, turns=40, limit=3)]

    assert best("which car was it, the cars", asked)[0] == 10
    assert set(best("which car was it, the cars", asked)) == {9, 10, 11}
    assert best("unseen words only here", there)[0] == 30
    assert best("unseen words only here", there)[1] == 31, "the pair of both turns points there too"


def test_a_query_without_a_subject_borrows_it_from_the_state() -> None:
    # Three turns on boats, then "and the second one?", which by itself lies nearest to the talk of tea.
    boat, tea, vague = np.eye(D, dtype=np.float32)[:3]
    log = [
        Turn(("the ferry left",), quantise(boat[None])),
        Turn(("green leaves in a pot",), quantise(tea[None])),
        Turn(("the harbour was full",), quantise(boat[None])),
    ]
    state, _ = folded(log, D)
    query = ((vague + 0.3 * tea) / np.linalg.norm(vague + 0.3 * tea)).astype(np.float32)
    index = indexed(log, D)

    def best(text: str, with_state: MemoryState, *context: Said) -> int:
        return recall.rank(index, with_state, text, query, turns=3, limit=1, context=context)[0].turn

    assert best("and the second one?", EMPTY) == 2
    assert best("and the second one?", state) != 2
    assert best("and the second one?", EMPTY, Said("the ferry left", boat)) == 1
    assert best("what was that green teapot of Caroline again", state, Said("the ferry left", boat)) == 2, "names it"


def test_the_pull_of_the_state_is_half() -> None:
    vector, other = np.eye(D, dtype=np.float32)[:2]
    assert borrowed("and that one?", vector, (), other).direction.tolist() == (STATE_PULL * other).tolist()


def test_a_question_about_last_week_finds_what_was_said_then() -> None:
    row = quantise(unit(1, 1, D))
    stamps = ["[2023-05-01] ", "", "[1:56 pm on 16 May, 2023] ", "", "[2023/06/29 (Thu) 10:04] "]
    index = indexed([Turn((stamp + "we talked",), row) for stamp in stamps], D)

    def found(query: str) -> list[int]:
        best = recall.rank(index, EMPTY, query, unit(2, 1, D)[0], turns=5, limit=5)
        return sorted(memory.turn for memory in best if memory.score > best[-1].score)

    assert found("[2023-05-25] what did Ann and I bake last week in Rome") == [3, 4]
    assert found("what did Ann and I bake in May in Rome") == [1, 2, 3, 4]
    assert found("When did Ann and I bake in May in Rome") == []
    assert found("what did Ann and I bake in Rome") == []


def test_a_filter_comes_after_ranking_and_before_truncation() -> None:
    log = [Turn((f"word{turn}",), quantise(unit(turn, 1, D))) for turn in range(60)]
    index, vector = indexed(log, D), unit(99, 1, D)[0]
    whole = recall.rank(index, EMPTY, "word3", vector, turns=60, limit=60)
    odd = recall.rank(index, EMPTY, "word3", vector, turns=60, limit=3, keep=lambda memory: memory.turn % 20 == 0)
    assert odd == [memory for memory in whole if memory.turn % 20 == 0]


def test_a_bias_pushes_what_is_known_to_be_wrong() -> None:
    right, wrong = np.eye(D, dtype=np.float32)[:2]
    log = [Turn(("grey",), quantise(row[None])) for row in (right, wrong)]
    index, query = indexed(log, D), ((right + wrong * 1.1) / np.linalg.norm(right + wrong * 1.1)).astype(np.float32)
    bias = Bias(negative_attractors=(NegativeAttractor("old answer", wrong, penalty=1.0),))
    assert recall.rank(index, EMPTY, "q", query, turns=2, limit=1)[0].turn == 2
    assert recall.rank(index, EMPTY, "q", query, turns=2, limit=1, bias=bias)[0].turn == 1


@pytest.mark.slow
def test_ten_thousand_memories_rank_in_well_under_a_tenth_of_a_second() -> None:
    count = 10_000
    random = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(8_000)])
    picked = np.minimum(random.zipf(1.3, (count, 25)) - 1, len(words) - 1)
    rows = quantise(unit(1, count, 384))
    index = indexed([Turn((" ".join(words[row]),), rows[i : i + 1]) for i, row in enumerate(picked)], 384)
    state, query = MemoryState.empty(384), " ".join(words[:12])
    took_s = []
    for seed in range(15):
        vector = unit(seed, 1, 384)[0]
        start = time.perf_counter()
        assert len(recall.rank(index, state, query, vector, turns=count, limit=50)) == 50
        took_s.append(time.perf_counter() - start)
    assert median(took_s) < 0.1
