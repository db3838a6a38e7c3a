"""Of a long memory the sentences that a question is about: against all windows tried one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.chunking import sentences
from memory_core.focus import focused, sought
from memory_core.index import MemoryIndex, quantise
from memory_core.lexical import terms

SENTENCES = st.sampled_from(
    ["The boat is red. ", "A cat sleeps. ", "Nothing here. ", "Red cats sail. ", "So it goes on. "]
)
TEXTS = st.lists(SENTENCES, min_size=1, max_size=12).map("".join)
WEIGHTS = st.dictionaries(st.sampled_from(["boat", "red", "cat", "sail"]), st.floats(0, 8), max_size=4)


def worth(parts, weights):
    return round(sum(sum(weights.get(term, 0.0) for term in sorted(set(terms(part)))) for part in parts), 6)


def slow(text, weights, chars_max):
    """Every run of sentences, the heaviest first, of equals the earliest, of these the longest."""
    parts = sentences(text)
    runs = []
    for first in range(len(parts)):
        for end in range(first + 1, len(parts) + 1):
            words = "".join(parts[first:end])
            if end == first + 1 or len(words) <= chars_max:
                start = len("".join(parts[:first]))
                runs.append((-worth(parts[first:end], weights), start, -(start + len(words))))
    _, start, end = min(runs)
    return start, -end


@given(TEXTS, WEIGHTS, st.integers(1, 120))
def test_it_is_the_best_run_of_whole_sentences(text, weights, chars_max):
    assert focused(text, weights, chars_max) == slow(text, weights, chars_max)


def test_an_example_by_hand():
    text = "We had rain. The boat is called Halcyon. It is red. Dinner was late."
    start, end = focused(text, {"boat": 3.0, "call": 2.0}, 45)
    assert text[start:end].strip() == "We had rain. The boat is called Halcyon."
    assert focused(text, {}, 30) == (0, len("We had rain. "))


def test_one_sentence_however_long():
    assert focused("word " * 100, {"word": 1.0}, 10) == (0, 500)
    assert focused("", {}, 10) == (0, 0)


def index_of(*texts):
    index = MemoryIndex(2)
    for text in texts:
        index.append(quantise(np.ones((1, 2), np.float32)), (text,))
    return index


def test_rare_terms_are_sought_most_and_unheard_ones_harm_nothing():
    index = index_of("the boat is red", "the red cat", "a red day", "rain")
    weights = sought(index, 4, "[8 May 2023] Is the boat red, zebra?")
    assert weights["boat"] > weights["red"] > 0
    assert weights["zebra"] > weights["boat"]
    assert sought(index, 1, "boat")["boat"] < weights["boat"]


@pytest.mark.parametrize("query", ["Remind me which five bottles you listed", "What did you recommend?"])
def test_nothing_is_sought_in_what_the_assistant_said(query):
    assert sought(index_of("five bottles"), 1, query) == {}
