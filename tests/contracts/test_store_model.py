"""Any sequence of operations on a store answers as plain dicts would."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_core.stores import KINDS, ConversationSummary, Entry, LedgerEntry, Snapshot, Store, StoreError, Tally, Total
from tests.support.store_places import branch, digest, snapshot

pytest_plugins = ["tests.support.store_places"]

CONVERSATIONS = ["a", "a}", "b"]
LATER_S = 10.0  # than the latest row of the example before
TURNS = {entry.digest: entry for entry in [*branch("a", 4), *branch("b", 3, branch("a", 2)[-1].digest, 3)]}

conversation_ids = st.sampled_from(CONVERSATIONS)
tallies = st.builds(
    Tally,
    st.sampled_from(KINDS),
    conversation_ids,
    # eighths: their sums are exact, in whatever arithmetic
    st.dictionaries(st.sampled_from(["requests", "paid"]), st.integers(-99, 99).map(lambda n: n / 8)),
)
turn_digests = st.sampled_from([*TURNS, digest("nobody")])
note_names = st.sampled_from([b"n", b"n\x00", b""])
operations = st.one_of(
    st.tuples(st.just("pin"), st.sampled_from(["x", "y"]), st.binary(max_size=3)),
    st.tuples(
        st.just("append"),
        conversation_ids,
        st.lists(
            st.builds(
                lambda entry, payload: Entry(entry.digest, entry.parent, entry.seq, payload),
                st.sampled_from(list(TURNS.values())),
                st.binary(max_size=3),
            ),
            max_size=5,
        ),
    ),
    st.tuples(st.sampled_from(["known", "read"]), conversation_ids, st.lists(turn_digests, max_size=4)),
    st.tuples(st.just("path"), conversation_ids, turn_digests),
    st.tuples(st.just("note"), conversation_ids, note_names),
    st.tuples(st.just("set_note"), conversation_ids, note_names, st.binary(max_size=3)),
    st.tuples(st.sampled_from(["load", "delete"]), conversation_ids),
    st.tuples(st.just("save"), conversation_ids, st.builds(snapshot, st.integers(0, 4), st.binary(max_size=3))),
    st.tuples(
        st.just("save"),
        conversation_ids,
        st.builds(snapshot, st.integers(0, 4), st.binary(max_size=3)),
        st.builds(branch, st.sampled_from("ab"), st.integers(1, 4)),
    ),
    st.lists(
        st.builds(
            LedgerEntry,
            conversation_ids,
            st.binary(max_size=3),
            st.integers(0, 5).map(float),
            st.lists(tallies, max_size=4),
        ),
        max_size=3,
    ).map(lambda entries: ("record", *entries)),
    st.tuples(st.just("totals"), st.sampled_from(KINDS), st.integers(0, 4)),
    st.tuples(st.just("rows"), conversation_ids, st.integers(0, 4)),
    st.tuples(st.just("conversations"), st.integers(0, 4)),
)


class Model:
    """The protocol on plain dicts, slow and obvious."""

    def __init__(self) -> None:
        self.pins: dict[str, bytes] = {}
        self.logs: dict[str, dict[bytes, Entry]] = {}
        self.notes: dict[str, dict[bytes, bytes]] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.ledgers: dict[str, list[tuple[bytes, float]]] = {}
        self.tallies: list[tuple[Tally, float]] = []

    def pin(self, name: str, value: bytes) -> bytes:
        return self.pins.setdefault(name, value)

    def append(self, conversation: str, entries: list[Entry]) -> int:
        log = self.logs.setdefault(conversation, {})
        before = len(log)
        for entry in entries:
            log.setdefault(entry.digest, entry)
        return len(log) - before

    def known(self, conversation: str, asked: list[bytes]) -> list[bool]:
        return [one in self.logs.get(conversation, {}) for one in asked]

    def read(self, conversation: str, asked: list[bytes]) -> list[bytes | None]:
        log = self.logs.get(conversation, {})
        return [log[one].payload if one in log else None for one in asked]

    def path(self, conversation: str, here: bytes) -> list[bytes]:
        log = self.logs.get(conversation, {})
        if here not in log:
            return []
        if log[here].seq == 1:
            return [here]
        if log[here].parent not in log:
            raise StoreError("missing")
        return [*self.path(conversation, log[here].parent), here]

    def note(self, conversation: str, name: bytes) -> bytes | None:
        return self.notes.get(conversation, {}).get(name)

    def set_note(self, conversation: str, name: bytes, value: bytes) -> None:
        self.notes.setdefault(conversation, {})[name] = value

    def load(self, conversation: str) -> Snapshot | None:
        return self.snapshots.get(conversation)

    def save(self, conversation: str, saved: Snapshot, entries: Sequence[Entry] = ()) -> bool:
        self.append(conversation, list(entries))
        stands = self.snapshots.get(conversation)
        if saved.version != (0 if stands is None else stands.version) + 1:
            return False
        self.snapshots[conversation] = saved
        return True

    def record(self, *entries: LedgerEntry) -> None:
        for entry in entries:
            self.ledgers.setdefault(entry.conversation, []).append((entry.row, entry.at))
            self.tallies += [(tally, entry.at) for tally in entry.totals]

    def rows(self, conversation: str, limit: int) -> list[bytes]:
        rows = [row for row, _ in self.ledgers.get(conversation, [])]
        return rows[max(len(rows) - limit, 0) :]

    def conversations(self, limit: int) -> list[ConversationSummary]:
        listed = [ConversationSummary(c, len(rows), max(at for _, at in rows)) for c, rows in self.ledgers.items()]
        return sorted(listed, key=lambda one: (-one.at, one.conversation))[:limit]

    def totals(self, kind: str, limit: int) -> list[Total]:
        added = [(tally, at) for tally, at in self.tallies if tally.kind == kind]
        found = []
        for name in {tally.name for tally, _ in added}:
            ours = [(tally, at) for tally, at in added if tally.name == name]
            amounts: Counter[str] = Counter()
            for tally, _ in ours:
                amounts.update(tally.amounts)
            found.append(Total(name, dict(amounts), max(at for _, at in ours)))
        return sorted(found, key=lambda one: (-one.at, one.name))[:limit]

    def delete(self, conversation: str) -> None:
        for part in (self.logs, self.notes, self.snapshots, self.ledgers):
            part.pop(conversation, None)
        mine = ("conversation", conversation)
        self.tallies = [(tally, at) for tally, at in self.tallies if (tally.kind, tally.name) != mine]


def of_example(example: int, method: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operation with names of this example's own for what nothing deletes, and later than all before it."""
    if method == "pin":
        return (own_name(example, arguments[0]), arguments[1])
    if method == "record":
        return tuple(
            replace(entry, at=entry.at + LATER_S * example, totals=[_own(example, tally) for tally in entry.totals])
            for entry in arguments
        )
    return arguments


def _own(example: int, tally: Tally) -> Tally:
    return tally if tally.kind == "conversation" else replace(tally, name=own_name(example, tally.name))


def own_name(example: int, name: str) -> str:
    return f"{example} {name}"


def without_earlier(example: int, kind: str, listed: list[Total]) -> list[Total]:
    """What this example counted. It is the newest, so that earlier ones' totals take none of the limit from it."""
    return [one for one in listed if kind == "conversation" or one.name.startswith(own_name(example, ""))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(operations, max_size=25))
async def test_any_sequence_of_operations_answers_as_plain_dicts_would(
    store: Store, examples: "itertools.count[int]", sequence: list[tuple[Any, ...]]
) -> None:
    model = Model()
    example = next(examples)
    for conversation in CONVERSATIONS:
        await store.delete(conversation)
    for method, *drawn in sequence:
        arguments = of_example(example, method, tuple(drawn))
        try:
            expected = getattr(model, method)(*arguments)
        except StoreError:
            with pytest.raises(StoreError):
                await getattr(store, method)(*arguments)
            continue
        answer = await getattr(store, method)(*arguments)
        if method == "totals":
            answer = without_earlier(example, arguments[0], answer)
        assert answer == expected, method


@pytest.fixture
def examples() -> "itertools.count[int]":
    return itertools.count()
