import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core import phases, reference
from memory_core.state import MemoryState
from memory_core.update import Report, update

D = 8
cosines = st.floats(-1, 1)


def talk(similarities: list[float]) -> list[Report]:
    """The reports of a conversation whose inputs after the first have these cosines to the state before them."""
    state, report = update(MemoryState.empty(D), np.eye(D, dtype=np.float32)[0], 1.0, is_input=True)
    reports = [report]
    for number, cosine in enumerate(similarities):
        along = state.vector / np.linalg.norm(state.vector)
        aside = np.eye(D, dtype=np.float32)[1 + number % (D - 1)]
        aside = aside - (aside @ along) * along
        vector = cosine * along + math.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)
        state, report = update(state, vector.astype(np.float32), 1.0, is_input=True)
        assert report.similarity == pytest.approx(cosine, abs=1e-5)
        reports.append(report)
    return reports


@pytest.mark.parametrize(
    ("similarities", "expected"),
    [
        ([0.5], "initialization"),
        ([0.3] * 6, "exploration"),
        ([0.53] * 6, "convergence"),
        ([0.58] * 6, "stability"),
        ([0.9] * 6, "resonance"),
        ([0.58] * 6 + [0.1], "instability"),
        ([0.9, -0.4, 0.9, -0.4, 0.9], "instability"),
    ],
)
def test_each_phase_is_reached_by_a_conversation(similarities: list[float], expected: str) -> None:
    assert talk(similarities)[-1].phase == expected


def test_a_switch_of_topic_is_reported_once_and_by_its_size() -> None:
    reports = talk([0.6] * 6 + [0.05] + [0.6] * 6)
    switched = [number for number, report in enumerate(reports) if report.topic_switch > 0]
    assert switched == [7]
    assert reports[7].topic_switch == pytest.approx(1 - 0.05 / 0.6, abs=1e-4)
    assert reports[7].novelty_score == pytest.approx(0.95, abs=1e-4)
    assert reports[-1].phase == "stability" or reports[-1].phase == "resonance"


@given(st.lists(cosines, max_size=50), cosines)
def test_every_number_stays_in_its_range(history: list[float], similarity: float) -> None:
    switch = phases.switch_magnitude(history, similarity)
    assert switch == 0.0 or phases.SWITCH_THRESHOLD <= switch <= 1.0
    assert 0.0 <= phases.novelty(similarity) <= 1.0
    assert 0.0 <= phases.stability(history) <= 1.0
    assert 0.0 <= phases.strength(history) <= 1.5 + 1e-9
    assert phases.phase([*history, similarity], switch) in phases.PHASES


@given(st.lists(cosines, min_size=10, max_size=30), st.lists(cosines, min_size=10, max_size=10))
def test_only_the_recent_history_counts(old: list[float], recent: list[float]) -> None:
    assert phases.stability(old + recent) == phases.stability(recent)
    assert phases.strength(old + recent) == phases.strength(recent)
    assert phases.phase(old + recent, 0.0) == phases.phase(recent, 0.0)


def test_the_formulas_at_points_worked_out_by_hand() -> None:
    assert phases.stability([0.4]) == 0.0
    assert phases.stability([0.5] * 10) == 1.0
    assert phases.stability([0.4, 0.6] * 5) == pytest.approx(0.8)
    assert phases.strength([]) == 0.0
    assert phases.strength([0.6] * 5) == pytest.approx(0.54)
    assert phases.strength([-0.6] * 5) == 0.0
    assert phases.novelty(-0.3) == 1.0
    assert phases.novelty(0.25) == pytest.approx(0.75)
    assert phases.switch_magnitude([0.7, 0.7], 0.0) == 0.0
    assert phases.switch_magnitude([0.7, 0.7, 0.7], 0.3) == 0.0
    assert phases.switch_magnitude([0.7, 0.7, 0.7], 0.14) == pytest.approx(0.8)
    assert phases.switch_magnitude([0.7, 0.7, 0.7], -0.7) == 1.0
    assert phases.switch_magnitude([0.1, 0.1, 0.1], 0.0) == 0.0
    assert phases.switch_magnitude([-0.5] * 3, -1.0) == 0.0


@given(st.lists(cosines, max_size=20), cosines)
def test_a_switch_is_the_references(history: list[float], similarity: float) -> None:
    expected = reference.topic_switch(history, similarity)
    found = phases.switch_magnitude(history, similarity)
    assert found == pytest.approx(expected, abs=1e-6) or abs(max(found, expected) - phases.SWITCH_THRESHOLD) < 1e-6


def test_terse_talk_switches_where_a_fixed_fall_would_not_see_it() -> None:
    reports = talk([0.3] * 5 + [0.02] + [0.3] * 3)
    assert [number for number, report in enumerate(reports) if report.topic_switch > 0] == [6]


def test_the_history_of_switches_remembers_what_was_broken() -> None:
    state = MemoryState.empty(D)
    rows = np.eye(D, dtype=np.float32)
    for number in range(60):
        state, _ = update(state, rows[number // 6 % D], 1.0, is_input=True, auto_anchor=number > 30)
    assert [switch.turn for switch in state.topic_switches] == [7, 13, 19, 25, 31, 37, 43, 49, 55]
    assert {switch.phase for switch in state.topic_switches} == {"resonance"}
    assert all(0.99 <= switch.magnitude <= 1 for switch in state.topic_switches)
    assert [switch.auto_anchored for switch in state.topic_switches] == [False] * 5 + [True] * 4


def test_the_history_of_switches_is_bounded() -> None:
    state = MemoryState.empty(D)
    rows = np.eye(D, dtype=np.float32)
    for number in range(400):
        state, _ = update(state, rows[number // 5 % D], 1.0, is_input=True)
    assert len(state.topic_switches) == 50
    assert state.topic_switches[-1].turn == 396
    state.check()
