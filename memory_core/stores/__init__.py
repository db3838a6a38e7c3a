"""Where conversations rest: the store protocol, and `open_store`.

A store is a bytes-keeper with one promise: what `append` has returned from survives the death of this
process. It knows no message, no vector and no clock; `memory_core.codec` gives the bytes their meaning.

The log is content-addressed, as in git: an entry's digest covers all that came before it, so appending is
idempotent, two writers cannot disagree, and a fork is simply a second child of one parent. Only the snapshot
(the head of a conversation and the folded state there) can be contested, hence `save` compares versions.
Not chosen: one list a branch, which copies or chains logs at every regenerate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

KINDS = ("conversation", "model", "tenant", "day", "share")
"""What totals are kept by."""

NAMES_MAX = 10_000
"""Names of one kind; further ones are counted as OTHER. Conversations are not bounded: they are there to be deleted."""

OTHER = "(other)"


class StoreError(Exception):
    """The store could not be reached, read or written. The message says which and what to do."""


class StoreMismatchError(StoreError):
    """What lies in the store was written by another embedder or format; it was left as it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One turn of a log. `digest` and `parent` are 16 bytes; `seq` counts turns from 1."""

    digest: bytes
    parent: bytes
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The head of a conversation: its newest turn and the state folded up to it.

    `version` grows by one with every save; 0 means that none was ever saved.
    """

    version: int
    digest: bytes
    seq: int
    state: bytes


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One line of a listing: id, ledger rows so far, time of the newest (unix seconds)."""

    conversation: str
    rows: int
    at: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What a ledger row adds to one total: `kind` is one of KINDS, `name` any string, `amounts` by field."""

    kind: str
    name: str
    amounts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A ledger row (opaque bytes) of a conversation; `at` in unix seconds; what it counts to the totals."""

    conversation: str
    row: bytes
    at: float
    totals: Sequence[Tally] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of all tallies of one kind and name, field by field; `at` is the newest row's (unix seconds)."""

    name: str
    amounts: Mapping[str, float]
    at: float


class Store(Protocol):
    """Everything is partitioned by `conversation`, an opaque id that already holds the tenant.

    All methods raise StoreError when the store fails, within the store's own time-out.
    """

    async def pin(self, name: str, value: bytes) -> bytes:
        """Set `name` to `value` unless it is set; return what stands (set once, for good)."""
        ...

    async def append(self, conversation: str, entries: Sequence[Entry]) -> int:
        """Append entries to the log; returns how many are new: those whose digest is there are left as they are."""
        ...

    async def known(self, conversation: str, digests: Sequence[bytes]) -> list[bool]:
        """For each digest: is it in the log?"""
        ...

    async def read(self, conversation: str, digests: Sequence[bytes]) -> list[bytes | None]:
        """The payloads of these digests, in the order asked; None where unknown."""
        ...

    async def path(self, conversation: str, digest: bytes) -> list[bytes]:
        """Digests from the first turn to `digest`, by parent links; [] if `digest` is unknown.

        Raises StoreError if a link in between is missing.
        """
        ...

    async def note(self, conversation: str, name: bytes) -> bytes | None:
        """What was last written under `name`, or None."""
        ...

    async def set_note(self, conversation: str, name: bytes, value: bytes) -> None:
        """Write a few bytes under `name`; the last writer wins. For what points into the log, not for what is said."""
        ...

    async def load(self, conversation: str) -> Snapshot | None:
        """The newest snapshot, or None."""
        ...

    async def save(self, conversation: str, snapshot: Snapshot, entries: Sequence[Entry] = ()) -> bool:
        """Store `snapshot` if the stored version is `snapshot.version - 1`; False if someone was first.

        `entries` are appended before it in any case: one call where a log and its head grow together.
        """
        ...

    async def record(self, *entries: LedgerEntry) -> None:
        """Append ledger rows and add what they count to the totals; many at once cost little more than one.

        Raises ValueError, with nothing written, for an amount that is not finite or a kind that is not in KINDS.
        SQLite writes rows and totals in one transaction. Redis is sent them at once, the rows first: only if the
        link breaks in between may a row stand whose totals lack it.
        """
        ...

    async def rows(self, conversation: str, limit: int) -> list[bytes]:
        """The newest `limit` ledger rows, oldest first."""
        ...

    async def conversations(self, limit: int) -> list[ConversationSummary]:
        """The `limit` conversations with the newest ledger rows, newest first; ties by id."""
        ...

    async def totals(self, kind: str, limit: int) -> list[Total]:
        """The `limit` totals of this kind with the newest rows, newest first; ties by name.

        Sums are float additions in the order of arrival, those of one call first. Of a kind, conversations excepted, no
        more than NAMES_MAX names are told apart, since clients name models; what came under a further one stands as
        OTHER, beside them.
        """
        ...

    async def delete(self, conversation: str) -> None:
        """Forget the conversation: log, snapshot, ledger, and the total of kind "conversation" with its name.

        What it added to a model, tenant or day stays: sums hold no content, and what was spent was spent.
        """
        ...

    async def aclose(self) -> None:
        """Finish what was accepted and release everything. Calling it twice is harmless."""
        ...


def summed(entries: Sequence[LedgerEntry]) -> list[tuple[Tally, float]]:
    """What these add to each total, and the newest time; raises ValueError as `record` does.

    Added up before the store is asked: a thousand rows of one model are one write to its total.
    """
    sums: dict[tuple[str, str], tuple[dict[str, float], float]] = {}
    for entry in entries:
        for tally in entry.totals:
            amounts, at = sums.get((tally.kind, tally.name), ({}, -math.inf))
            _add(amounts, tally.amounts)
            sums[tally.kind, tally.name] = amounts, max(at, entry.at)
    return [  # a sum of what is not finite is not finite either
        (Tally(_kind(kind), name, {field: _finite(field, amount) for field, amount in amounts.items()}), at)
        for (kind, name), (amounts, at) in sums.items()
    ]


def _add(into: dict[str, float], amounts: Mapping[str, float]) -> None:
    field = ""
    try:
        for field, amount in amounts.items():
            into[field] = into.get(field, 0) + amount
    except OverflowError:  # an integer can be larger than any float
        raise ValueError(f"{field} adds {math.inf}: a total can take up finite amounts only") from None


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no totals are kept by {kind!r}, only by {', '.join(KINDS)}")
    return kind


def _finite(field: str, amount: float) -> float:
    try:
        plain = float(amount)  # numpy's own would reach Redis as "np.float64(1.0)"
    except OverflowError:  # an integer can be larger than any float
        plain = math.inf
    if not math.isfinite(plain):
        raise ValueError(f"{field} adds {plain}: a total can take up finite amounts only")
    return plain


async def open_store(url: str, timeout_s: float = 2.0) -> Store:
    """Open the store that `url` names; raises StoreError with a sentence that says what to do.

    `sqlite:///path`, `memory://`, `redis://`, `rediss://`, `redis+sentinel://h:p,h:p/service[/db]`,
    `redis+cluster://`. Drivers are imported only when their store is opened.
    """
    scheme = url.partition("://")[0]
    if scheme in ("sqlite", "memory"):
        from memory_core.stores.sqlite import SqliteStore

        return await SqliteStore.open(url, timeout_s=timeout_s)
    if scheme in ("redis", "rediss", "redis+sentinel", "redis+cluster"):
        from memory_core.stores.redis import RedisStore

        return await RedisStore.open(url, timeout_s=timeout_s)
    raise StoreError(
        f"unknown store {scheme!r}: use sqlite:///path, memory://, redis://, rediss://, "
        "redis+sentinel:// or redis+cluster://"
    )
