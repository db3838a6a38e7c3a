"""What a question borrows is approximate; that one with a subject of its own borrows nothing is not."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core import ellipsis
from memory_core.ellipsis import Said, borrowed, names, points
from tests.support.memories import texts, unit

D = 8
HERE, BESIDE, AWAY = np.eye(D, dtype=np.float32)[:3]
NOTHING = np.zeros(D, np.float32)


@pytest.mark.parametrize(
    "question",
    [
        "What are its symptoms?",
        "what about the second one?",
        "And him?",
        "How about on Sundays?",
        "Who founded it?",
        "Which was the other fat?",
        "What is the weather like there?",
        "What else?",
        "Und wie alt ist er?",
        "Was sind seine Ursachen?",
        "Et les prix ?",
        "¿Y cuánto cuesta?",
        "What are common treatments for it?",
    ],
)
def test_it_points(question: str) -> None:
    assert points(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is mortadella and where is it from?",
        "What did Ann say about her trip?",
        "What are the differences between the novel and the film?",
        "And what did the plumber say about the leaking pipe in the cellar?",
        "Is there a bridge?",
        "What did I plan this week?",
        "How long did it take to finish?",
        "Wer hat den Kuchen gebacken?",
        "",
        "?",
    ],
)
def test_it_does_not_point(question: str) -> None:
    assert not points(question)


def test_names() -> None:
    assert names("What has Melanie painted?")
    assert names("what is my dog's name")
    assert names("What is the ACL?")
    assert not names("What are the symptoms?")


def test_a_question_with_a_subject_borrows_nothing() -> None:
    said = [Said("The ferry to Oslo", HERE)]
    for question in ("What has Melanie painted?", "what is my dog's name", "When did Ann lose her keys?"):
        loan = borrowed(question, HERE, said, BESIDE)
        assert not loan.direction.any()
        assert not loan.terms


def test_one_that_points_borrows_in_full_the_others_as_they_are_near() -> None:
    said = [Said("[2023-05-08] The ferry to Oslo", HERE)]
    loan = borrowed("and that one?", AWAY, said, NOTHING)
    assert (loan.direction.tolist(), loan.terms) == (HERE.tolist(), {"ferri": 1.0, "oslo": 1.0})
    low, high = ellipsis.NEAR_COSINES
    for cosine, strength in ((low, 0.0), ((low + high) / 2, 0.5), (high, 1.0), (0.99, 1.0), (-0.5, 0.0)):
        vector = (cosine * HERE + (1 - cosine**2) ** 0.5 * AWAY).astype(np.float32)
        loan = borrowed("what are the prices", vector, said, NOTHING)
        assert loan.direction == pytest.approx(strength * HERE, abs=1e-5)
        assert loan.terms.get("ferri", 0.0) == pytest.approx(strength, abs=1e-5)


def test_a_turn_further_back_lends_less_and_one_on_another_topic_nothing() -> None:
    said = [Said("boats", HERE), Said("harbour", HERE), Said("green tea", AWAY), Said("ferry", HERE)]
    loan = borrowed("and that one?", BESIDE, said, NOTHING)
    decay = ellipsis.TURN_DECAY
    assert loan.terms == pytest.approx({"ferri": 1.0, "harbour": decay**2, "boat": decay**3})
    assert loan.direction == pytest.approx((1 + decay**2 + decay**3) * HERE, abs=1e-5)
    older = [Said("old", HERE), *said]
    assert borrowed("and that one?", BESIDE, older, NOTHING).terms == loan.terms, "four turns are looked at"


def test_a_long_answer_lends_its_first_terms_only() -> None:
    said = [Said(" ".join(f"word{n}" for n in range(200)), HERE)]
    assert list(borrowed("and that one?", AWAY, said, NOTHING).terms) == [f"word{n}" for n in range(6)]


def test_a_longer_question_borrows_less() -> None:
    said = [Said("ferry", HERE)]
    words = " ".join(f"word{n}" for n in range(11))
    assert borrowed(f"how does it {words}", AWAY, said, NOTHING).terms["ferri"] == pytest.approx(6 / 11)


def test_without_turns_the_state_lends_a_little_to_what_points() -> None:
    for question, share in (("and that one?", 0.5), ("the prices?", 0.0), ("the prices of tickets and meals", 0.0)):
        assert borrowed(question, AWAY, (), HERE).direction.tolist() == (share * HERE).tolist()


@given(texts(), st.integers(0, 2**16), st.lists(texts(), max_size=6))
def test_shares_are_shares(question: str, seed: int, said: list[str]) -> None:
    rows = unit(seed, len(said) + 1, D)
    loan = borrowed(question, rows[0], [Said(text, row) for text, row in zip(said, rows[1:], strict=True)], NOTHING)
    assert all(0 < share <= 1 for share in loan.terms.values())
    assert np.isfinite(loan.direction).all()
    assert float(np.linalg.norm(loan.direction)) <= sum(ellipsis.TURN_DECAY**n for n in range(4)) + 1e-5


def test_hostile_text_takes_linear_time() -> None:
    for text in ("that " * 40_000, " " * 200_000, "the a " * 30_000, "A" * 200_000, "." * 200_000):
        start = time.perf_counter()
        borrowed(text, HERE, [Said(text, BESIDE)] * 4, NOTHING)
        assert time.perf_counter() - start < 2
