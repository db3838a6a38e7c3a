"""Entries as a whole: names, bounds, determinism, storage; and how often ordinary talk yields an entry."""

import dataclasses
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core import entries
from memory_core.entries import Entries, add, from_plain, to_plain
from memory_core.entries.kinds import (
    DECISIONS_MAX,
    ENTITIES_MAX,
    ERRORS_MAX,
    INVARIANTS_MAX,
    QUOTE_CHARS_MAX,
    TESTS_MAX,
    bounded,
)
from memory_core.entries.sentences import prose

DATA = Path(__file__).parents[3] / "shared" / "data"

pieces = st.sampled_from(
    [
        "We decided to use ", "Let's go with ", "instead of ", "Postgres", "SQLite ", "for billing", ". ", ", ", "? ",
        "Never commit ", "I'm allergic to ", "The API must never ", "\n", "```", "> ", "`a/b.py` ", "@ann ",
        "KeyError: 'x'\n", "error: bad 7\n", "HTTP 503 ", "Fixed by ", "the problem was ", "3 passed in 1s\n",
        "commit 3fa9c1d\n", "Marta Lopez ",
        "All 7 tests pass. ", "word ", "über ", "İ", "\ud800", "\0", "日本。", "e.g. ", "👩‍👩‍👧 ", "x" * 300,
    ]
)  # fmt: skip
texts = st.lists(pieces, max_size=25).map("".join) | st.text(max_size=80)
turns = st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "critic"]), texts), max_size=12)


def folded(talk: list[tuple[str, str]]) -> Entries:
    known = Entries()
    for turn, (role, text) in enumerate(talk, 1):
        known = add(known, turn, role, text)
    return known


@given(turns)
def test_entries_are_sound_the_same_every_time_and_come_back_from_storage(talk: list[tuple[str, str]]) -> None:
    known = folded(talk)
    known.check()
    assert folded(talk) == known
    assert from_plain(to_plain(known)) == known
    assert all(isinstance(field, str | int) for kind in to_plain(known) for row in kind for field in row)


@given(texts)
def test_prose_keeps_every_place(text: str) -> None:
    said = prose(text)
    assert len(said.text) == len(said.lower) == len(text)
    assert all(after in (before, "\n") for before, after in zip(text, said.text, strict=True))


@given(turns, texts)
def test_what_a_turn_adds_is_of_that_turn_and_quoted_from_it(talk: list[tuple[str, str]], text: str) -> None:
    before, turn = folded(talk), len(talk) + 1
    after = add(before, turn, "user", text)
    line = " ".join(text.split())
    for decision in set(after.decisions) - set(before.decisions):
        assert turn in (decision.turn, decision.superseded_by)
        if decision.turn == turn:
            assert decision.quote.removesuffix("…") in line
    for error in set(after.errors) - set(before.errors):
        assert turn in (error.last, error.fixed)


def test_a_turn_that_holds_nothing_leaves_the_very_same_entries() -> None:
    known = folded([("user", "We decided to use Postgres, says Marta Lopez.")])
    assert add(known, 2, "user", "thanks, that is nice of you") is known
    with pytest.raises(ValueError, match="from 1"):
        add(known, 0, "user", "x")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Yesterday Marta Lopez met the Bank of Ireland people.", ["Marta Lopez", "Bank of Ireland"]),
        ("I told Marta's brother about Berlin.", ["Marta", "Berlin"]),
        ("Golden Gate Bridge was closed.", ["Golden Gate Bridge"]),
        (
            "From New York on Monday, Anna and The Verge wrote: Hey Ben, see The end.",
            ["New York", "Anna", "The Verge", "Ben"],
        ),
        ("see `core/fold.py`, `add()` and notes.md, says @ann-b", ["core/fold.py", "add()", "notes.md", "@ann-b"]),
        ("Thanks! I saw it on Monday in June. Pasta is great, I love Pasta and more pasta.", []),
        ("WHAT A DAY. It is SO GOOD. Mail me at ann@example.com.", []),
        ("Ich habe den Vertrag mit der Firma und die Rechnung von Anna Weber.", ["Anna Weber"]),
        ("```\nFrom Hidden Place\n```\n# Some Big Title\nall lower here", []),
        ("The Quick Brown Fox Jumps Over Dogs", []),
    ],
)
def test_names_are_told_from_capitals(text: str, names: list[str]) -> None:
    assert [entity.name for entity in folded([("user", text)]).entities] == names


def test_a_turn_folded_twice_counts_once() -> None:
    once = folded([("user", "Marta Lopez says\nKeyError: 'x'")])
    assert add(once, 1, "user", "Marta Lopez says\nKeyError: 'x'") == once
    assert [error.count for error in once.errors] == [entity.count for entity in once.entities] == [1]


def test_an_entity_counts_the_turns_that_mention_it_and_a_model_names_none() -> None:
    known = folded(
        [
            ("user", "I met Marta Lopez. Marta Lopez is kind."),
            ("assistant", "Marta Lopez sounds kind; you may like Hyde Park, too."),
            ("user", "Marta Lopez?"),
        ]
    )
    (entity,) = known.entities
    assert (entity.name, entity.count, entity.first, entity.last) == ("Marta Lopez", 3, 1, 3)
    assert entity.quote == "I met Marta Lopez."


def test_each_kind_is_bounded_and_gives_up_what_is_stalest() -> None:
    known = Entries()
    words = [
        a + b for a in "bcdfghklmn" for b in ("ale", "iro", "ovu", "usa", "eti", "oni", "ara", "ilo", "ume", "eso")
    ]
    for turn, word in enumerate(words, 1):
        name, anna = word.capitalize(), " and Anna Weber" if turn < 20 else ""
        known = add(known, turn, "user", f"We'll use {word}. Never delete {word}. With {name}x Corp{anna}.")
        known = add(known, turn, "tool", f"{name}Error: no\ncommit {turn:07d}\n1 passed in 1s")
        known.check()
    sizes = [len(kind) for kind in to_plain(known)]
    assert sizes == [DECISIONS_MAX, ERRORS_MAX, INVARIANTS_MAX, TESTS_MAX, ENTITIES_MAX]
    assert [decision.turn for decision in known.decisions] == list(range(61, 101))
    assert max(known.entities, key=lambda entity: entity.count).name == "Anna Weber"


def test_a_standing_decision_outlives_superseded_ones() -> None:
    assert bounded([3, 1, 2, 1], 2, lambda value: (value,)) == (3, 2)
    known = folded([("user", "We decided to use oak for the table.")])
    for turn in range(2, 60):
        known = add(known, turn, "user", f"We'll use paint{'ab'[turn % 2]} for the walls.")
    assert known.decisions[0].turn == 1
    assert len(known.decisions) == DECISIONS_MAX


def test_a_long_sentence_is_cut_at_a_word_and_says_so() -> None:
    (decision,) = folded([("user", "We decided to use " + "very " * 100 + "old oak.")]).decisions
    assert len(decision.quote) <= QUOTE_CHARS_MAX
    assert decision.quote.endswith("very…")


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (0, (0, "x", 0)),
        (0, (5, "x", 3)),
        (0, (True, "x", 0)),
        (0, (1, "x" * 241, 0)),
        (0, (1, "x")),
        (1, ("s", "q", 3, 1, 2, "", 0)),
        (1, ("s", "q", 1, 1, 1, "fix", 0)),
        (1, ("s", "q", 1, 1, 1, "", 4)),
        (2, ("x", 3, 2)),
        (2, ("two\nlines", 1, 1)),
        (3, ("c", 1, -1, 0, 0, "q")),
        (3, ("c", 1, 2**53 + 1, 0, 0, "q")),
        (4, ("n", 0, 1, 1, "q")),
        (4, ("n" * 81, 1, 1, 1, "q")),
        (4, "n"),
        (4, None),
    ],
)
def test_what_is_no_entry_is_refused(kind: int, row: object) -> None:
    with pytest.raises(ValueError):
        from_plain(tuple((row,) if place == kind else () for place in range(5)))


@pytest.mark.parametrize("plain", [None, (), "abcde", ((), (), (), ()), (1, 2, 3, 4, 5), {"a": 1}])
def test_what_is_no_five_kinds_is_refused(plain: object) -> None:
    with pytest.raises(ValueError):
        from_plain(plain)


def test_doubles_and_too_many_are_refused_and_json_is_not() -> None:
    entity = ("Anna", 1, 1, 1, "q")
    with pytest.raises(ValueError, match="twice"):
        from_plain(((), (), (), (), (entity, ("ANNA", 1, 2, 2, "q"))))
    with pytest.raises(ValueError, match="more than"):
        from_plain((((1, "x", 0),) * (DECISIONS_MAX + 1), (), (), (), ()))
    known = folded([("user", "We decided to use oak. Marta Lopez gets a KeyError: 'x' with 3 tests passed.")])
    assert from_plain(json.loads(json.dumps(to_plain(known)))) == known


def test_plain_rows_name_every_field() -> None:
    kinds = (entries.Decision, entries.ErrorPattern, entries.Invariant, entries.TestResult, entries.Entity)
    known = folded([("user", "We decided to use oak. Never cook Marta Lopez oak.\nKeyError: 'x'\n3 passed in 1s")])
    for kind, rows in zip(kinds, to_plain(known), strict=True):
        assert [len(row) for row in rows] == [len(dataclasses.fields(kind))] * max(1, len(rows))


@pytest.mark.parametrize(
    "piece",
    ["we decided to ", "let's use ", "always use ", "x must never ", "A\n", "\n", "a\n", "```\n", "`ab` ", "error: x\n",
     "AError: b\n", "get AAAA ", "x: y: z: ", "7 tests passed and ", "Ran 9 tests in 1.0s\n", "wir haben für ", "a/b/",
     "\u0316\u0301", "2024-01-01 12:00:00,000 x ", "thread '", "= ", "I have a b c d "],
)  # fmt: skip
def test_a_hostile_text_is_read_in_time(piece: str) -> None:
    # 30 to 100 ms when linear; what is quadratic takes minutes.
    started = time.process_time()
    for role in ("user", "tool"):
        add(Entries(), 1, role, piece * (50_000 // len(piece))).check()
    assert time.process_time() - started < 2.0


def test_ordinary_talk_yields_few_entries() -> None:
    if not (DATA / "locomo.json").exists():
        pytest.skip("needs locomo.json in ../shared/data")
    dialogues = [dialogue["conversation"] for dialogue in json.loads((DATA / "locomo.json").read_text("utf-8"))]
    texts = [said["text"] for talk in dialogues for turns in talk.values() if isinstance(turns, list) for said in turns]
    found = [add(Entries(), 1, "user", text) for text in texts]
    # Two friends chatting: nobody debugs, and one turn in a hundred settles something at most.
    assert not any(known.errors or known.tests for known in found)
    assert 0 < sum(bool(known.decisions or known.invariants) for known in found) <= len(texts) / 100
