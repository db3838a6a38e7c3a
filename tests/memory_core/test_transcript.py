import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.transcript import (
    DIGEST_BYTES,
    chain,
    common_prefix,
    digest_of,
    longest_prefix,
    root_digest,
)

fingerprints = st.lists(st.integers(0, 3).map(lambda n: digest_of(bytes([n]))), max_size=12)
ROOT = root_digest(b"tenant")


@given(fingerprints, st.integers(0, 12))
def test_a_digest_depends_on_the_turns_up_to_its_own_and_on_no_later_one(turns: list[bytes], cut: int) -> None:
    assert chain(ROOT, turns)[:cut] == chain(ROOT, turns[:cut])


@given(fingerprints.filter(bool), st.data())
def test_an_edit_changes_every_digest_from_there_on(turns: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(turns) - 1))
    edited = [*turns[:place], digest_of(b"edited"), *turns[place + 1 :]]
    before, after = chain(ROOT, turns), chain(ROOT, edited)
    assert before[:place] == after[:place]
    assert not set(before[place:]) & set(after[place:])


def test_repeated_turns_have_distinct_digests() -> None:
    links = chain(ROOT, [digest_of(b"yes")] * 50)
    assert len(set(links)) == 50
    assert {len(link) for link in links} == {DIGEST_BYTES}


def test_the_root_parts_tenants_and_conversations() -> None:
    roots = [root_digest(b"a"), root_digest(b"b"), root_digest(b"a", "c"), root_digest(b"ac"), root_digest(b"a", "d")]
    assert len(set(roots)) == len(roots)
    assert root_digest(b"a") == root_digest(b"a", "")


def test_a_conversation_id_may_hold_any_character_that_json_can() -> None:
    assert root_digest(b"t", "\ud800") != root_digest(b"t", "\udfff")


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_digest_of_keeps_its_parts_apart(left: list[bytes], right: list[bytes]) -> None:
    assert (digest_of(*left) == digest_of(*right)) == (left == right)


def test_a_digest_is_the_same_on_every_machine_and_day() -> None:
    # Stored logs are keyed by these bytes: a change here orphans every conversation ever kept.
    assert chain(ROOT, [digest_of(b"user", b"hello")])[0].hex() == "1992435f65b93d20631f91e7ed91766d"


@given(fingerprints, fingerprints)
def test_common_prefix_counts_the_leading_turns_two_transcripts_share(left: list[bytes], right: list[bytes]) -> None:
    shared = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        shared += 1
    assert common_prefix(chain(ROOT, left), chain(ROOT, right)) == shared
    assert common_prefix(chain(ROOT, right), chain(ROOT, left)) == shared


@given(st.integers(0, 2_000), st.data())
def test_longest_prefix_finds_the_end_in_logarithmically_many_questions(longest: int, data: st.DataObject) -> None:
    known = data.draw(st.integers(0, longest))
    asked = []

    def holds(n: int) -> bool:
        asked.append(n)
        return n <= known

    assert longest_prefix(longest, holds) == known
    assert len(asked) <= 1 + 2 * longest.bit_length()
    assert all(1 <= n <= longest for n in asked)


@pytest.mark.parametrize("longest", [1, 2, 1_000])
def test_longest_prefix_asks_once_when_all_is_known(longest: int) -> None:
    asked = []
    longest_prefix(longest, lambda n: asked.append(n) or True)  # type: ignore[func-returns-value]
    assert asked == [longest]
