"""The shared store, for several replicas of the proxy: Redis alone, behind Sentinel or as a cluster.

What lies under which key is told in redis_keys.py.

No key expires: nothing is forgotten that nobody deleted. Run Redis with `maxmemory-policy noeviction` and an
append-only file; with another policy it is Redis that forgets.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from memory_core.stores import (
    NAMES_MAX,
    ConversationSummary,
    Entry,
    LedgerEntry,
    Snapshot,
    StoreError,
    StoreMismatchError,
    Total,
    summed,
)
from memory_core.stores.redis_keys import CONVERSATIONS, FORMAT_KEY, PARTS, PINS, listing_key, part_key, total_key
from memory_core.stores.redis_link import RedisLink, connect, place
from memory_core.stores.redis_totals import additions

T = TypeVar("T")

FORMAT = b"1"
ENTRIES_PER_CALL = 512  # of about 1 kB: no reply or script holds Redis for more than a few ms
LINKS_PER_CALL = 1000

# Scripts go as text each time: 300 bytes, against the NOSCRIPT round after every restart and fail-over.
APPEND = """
local new = 0
for i = 1, #ARGV, 3 do
  new = new + redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 2])
  redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1])
end
return new"""
SAVE = """
if tonumber(redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] - 1 then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'digest', ARGV[2], 'seq', ARGV[3], 'state', ARGV[4])
return 1"""
WALK = """
local digest, links = ARGV[1], {}
for i = 1, tonumber(ARGV[2]) do
  local link = redis.call('HGET', KEYS[1], digest)
  if not link then break end
  links[i] = link
  digest = string.sub(link, 1, -9)
end
return links"""


class RedisStore:
    """The store protocol on Redis 6.2 or newer. `rows_max` bounds each conversation's ledger, oldest rows first."""

    def __init__(self, link: RedisLink, *, rows_max: int = 20_000, names_max: int = NAMES_MAX) -> None:
        self._link = link
        self._rows_max = rows_max
        self._names_max = names_max

    @classmethod
    async def open(
        cls,
        url: str,
        timeout_s: float = 2.0,
        *,
        rows_max: int = 20_000,
        names_max: int = NAMES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> "RedisStore":
        """Connect and see that the format is ours; raises StoreError, StoreMismatchError.

        `redis://` and `rediss://` as redis-py reads them; `redis+sentinel://[user:password@]h:p,h:p/service[/db]`
        (the credentials are the master's) and `redis+cluster://[user:password@]h:p,h:p`, both with `?ssl=true`.
        """
        link = RedisLink(connect(url, timeout_s), place=place(url), timeout_s=timeout_s, clock=clock)
        try:
            await _claim(link)
        except BaseException:
            await link.aclose()
            raise
        return cls(link, rows_max=rows_max, names_max=names_max)

    async def pin(self, name: str, value: bytes) -> bytes:
        async def work() -> bytes:
            _, stands = await self._link.pipe(("HSETNX", PINS, name, value), ("HGET", PINS, name))
            return bytes(stands)

        return await self._link.call(work)

    async def append(self, conversation: str, entries: Sequence[Entry]) -> int:
        return await self._link.call(lambda: self._append(conversation, entries))

    async def _append(self, conversation: str, entries: Sequence[Entry]) -> int:
        """Parents go first, 512 entries a round trip: what a failure leaves is a sound log."""
        log, parents = part_key(conversation, "log"), part_key(conversation, "parents")
        new = 0
        for chunk in _chunks(entries):
            links = [(e.digest, e.parent + e.seq.to_bytes(8, "big"), e.payload) for e in chunk]
            new += await self._link.ask("EVAL", APPEND, 2, log, parents, *(part for link in links for part in link))
        return new

    async def known(self, conversation: str, digests: Sequence[bytes]) -> list[bool]:
        return [link is not None for link in await self._fetch(part_key(conversation, "parents"), digests)]

    async def read(self, conversation: str, digests: Sequence[bytes]) -> list[bytes | None]:
        return await self._fetch(part_key(conversation, "log"), digests)

    async def path(self, conversation: str, digest: bytes) -> list[bytes]:
        parents = part_key(conversation, "parents")

        async def work() -> list[bytes]:
            found: list[bytes] = []
            here, seq_due = digest, None
            while True:
                links = await self._link.ask("EVAL", WALK, 1, parents, here, LINKS_PER_CALL)
                for link in links:
                    seq = int.from_bytes(link[-8:], "big")
                    if seq_due not in (None, seq):
                        raise StoreError(f"{self._link.place}: a log is broken between turns {seq} and {seq_due}")
                    found.append(here)
                    if seq == 1:
                        return found[::-1]
                    here, seq_due = link[:-8], seq - 1
                if not found:
                    return []
                if len(links) < LINKS_PER_CALL:
                    raise StoreError(f"{self._link.place}: turn {seq_due} of a log is missing")

        return await self._link.call(work)

    async def note(self, conversation: str, name: bytes) -> bytes | None:
        key = part_key(conversation, "notes")
        found: bytes | None = await self._link.call(lambda: self._link.ask("HGET", key, name))
        return found

    async def set_note(self, conversation: str, name: bytes, value: bytes) -> None:
        key = part_key(conversation, "notes")
        await self._link.call(lambda: self._link.ask("HSET", key, name, value))

    async def load(self, conversation: str) -> Snapshot | None:
        key = part_key(conversation, "snapshot")
        fields = await self._link.call(lambda: self._link.ask("HMGET", key, "version", "digest", "seq", "state"))
        version, digest, seq, state = fields
        return None if version is None else Snapshot(int(version), digest, int(seq), state)

    async def save(self, conversation: str, snapshot: Snapshot, entries: Sequence[Entry] = ()) -> bool:
        key, s = part_key(conversation, "snapshot"), snapshot

        async def work() -> bool:
            await self._append(conversation, entries)  # first: a head never names what the log has not
            return bool(await self._link.ask("EVAL", SAVE, 1, key, s.version, s.digest, s.seq, s.state))

        return await self._link.call(work)

    async def record(self, *entries: LedgerEntry) -> None:
        tallies = summed(entries)

        async def work() -> None:
            await self._link.pipe(
                *(command for entry in entries for command in self._row(entry)),
                *additions(tallies, names_max=self._names_max),
            )

        if entries:
            await self._link.call(work)

    def _row(self, entry: LedgerEntry) -> list[tuple[Any, ...]]:
        ledger = part_key(entry.conversation, "ledger")
        return [
            ("RPUSH", ledger, entry.row),
            ("LTRIM", ledger, -self._rows_max, -1),
            ("INCR", part_key(entry.conversation, "recorded")),
            ("ZADD", CONVERSATIONS, "LT", -entry.at, entry.conversation),
        ]

    async def rows(self, conversation: str, limit: int) -> list[bytes]:
        if limit <= 0:
            return []
        key = part_key(conversation, "ledger")
        return list(await self._link.call(lambda: self._link.ask("LRANGE", key, -limit, -1)))

    async def conversations(self, limit: int) -> list[ConversationSummary]:
        if limit <= 0:
            return []

        async def work() -> list[ConversationSummary]:
            listed = await self._newest(CONVERSATIONS, limit)
            counts = await self._pipe_each("GET", [part_key(name, "recorded") for name, _ in listed])
            return [
                ConversationSummary(name, 0 if count is None else int(count), at)
                for (name, at), count in zip(listed, counts, strict=True)
            ]

        return await self._link.call(work)

    async def totals(self, kind: str, limit: int) -> list[Total]:
        if limit <= 0:
            return []

        async def work() -> list[Total]:
            listed = await self._newest(listing_key(kind), limit)
            sums = await self._pipe_each("HGETALL", [total_key(kind, name) for name, _ in listed])
            return [
                Total(name, {field.decode(): float(amount) for field, amount in amounts.items()}, at)
                for (name, at), amounts in zip(listed, sums, strict=True)
            ]

        return await self._link.call(work)

    async def delete(self, conversation: str) -> None:
        commands = (
            ("UNLINK", *(part_key(conversation, part) for part in PARTS)),
            ("ZREM", CONVERSATIONS, conversation),
            ("ZREM", listing_key("conversation"), conversation),
        )
        await self._link.call(lambda: self._link.pipe(*commands))

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _newest(self, key: str, limit: int) -> list[tuple[str, float]]:
        """The first `limit` names of a sorted set of ours, each with the time of its newest row."""
        listed = await self._link.ask("ZRANGE", key, 0, limit - 1, "WITHSCORES")
        return [(name.decode(), -float(score)) for name, score in zip(listed[::2], listed[1::2], strict=True)]

    async def _pipe_each(self, command: str, keys: Sequence[str]) -> list[Any]:
        return list(await self._link.pipe(*((command, key) for key in keys))) if keys else []

    async def _fetch(self, key: str, fields: Sequence[bytes]) -> list[bytes | None]:
        async def work() -> list[bytes | None]:
            return [value for chunk in _chunks(fields) for value in await self._link.ask("HMGET", key, *chunk)]

        return await self._link.call(work)


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[i : i + ENTRIES_PER_CALL] for i in range(0, len(items), ENTRIES_PER_CALL)]


async def _claim(link: RedisLink) -> None:
    """See that this database holds our format, or make it ours if it holds none."""

    async def work() -> bytes:
        if (found := await link.ask("GET", FORMAT_KEY)) is None:  # read first: a full Redis can still be opened
            _, found = await link.pipe(("SETNX", FORMAT_KEY, FORMAT), ("GET", FORMAT_KEY))
        return bytes(found)

    if await link.call(work) != FORMAT:
        raise StoreMismatchError(f"{link.place} holds data of another isocost format; choose another database")
