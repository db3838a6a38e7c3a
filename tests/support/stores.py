"""Stores that fail, for the tests of those who use one: each wraps a real store and spoils it in one way."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from memory_core.stores import ConversationSummary, Entry, LedgerEntry, Snapshot, Store, StoreError, Total

METHODS = frozenset(
    (
        *("pin", "append", "known", "read", "path", "note", "set_note", "load", "save"),
        *("record", "rows", "conversations", "totals", "delete"),
    )
)


class WrappedStore:
    """The store protocol, passed on; `_pass_on` is the one place to spoil it."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: list[str] = []

    async def _pass_on(self, method: str, *arguments: Any) -> Any:
        return await getattr(self.inner, method)(*arguments)

    async def _call(self, method: str, *arguments: Any) -> Any:
        self.calls.append(method)
        return await self._pass_on(method, *arguments)

    async def pin(self, name: str, value: bytes) -> bytes:
        return await self._call("pin", name, value)

    async def append(self, conversation: str, entries: Sequence[Entry]) -> int:
        return await self._call("append", conversation, entries)

    async def known(self, conversation: str, digests: Sequence[bytes]) -> list[bool]:
        return await self._call("known", conversation, digests)

    async def read(self, conversation: str, digests: Sequence[bytes]) -> list[bytes | None]:
        return await self._call("read", conversation, digests)

    async def path(self, conversation: str, digest: bytes) -> list[bytes]:
        return await self._call("path", conversation, digest)

    async def note(self, conversation: str, name: bytes) -> bytes | None:
        return await self._call("note", conversation, name)

    async def set_note(self, conversation: str, name: bytes, value: bytes) -> None:
        await self._call("set_note", conversation, name, value)

    async def load(self, conversation: str) -> Snapshot | None:
        return await self._call("load", conversation)

    async def save(self, conversation: str, snapshot: Snapshot, entries: Sequence[Entry] = ()) -> bool:
        return await self._call("save", conversation, snapshot, entries)

    async def record(self, *entries: LedgerEntry) -> None:
        await self._call("record", *entries)

    async def rows(self, conversation: str, limit: int) -> list[bytes]:
        return await self._call("rows", conversation, limit)

    async def conversations(self, limit: int) -> list[ConversationSummary]:
        return await self._call("conversations", limit)

    async def totals(self, kind: str, limit: int) -> list[Total]:
        return await self._call("totals", kind, limit)

    async def delete(self, conversation: str) -> None:
        await self._call("delete", conversation)

    async def aclose(self) -> None:
        await self.inner.aclose()


class FailingStore(WrappedStore):
    """The methods in `failing` raise StoreError; empty the set and the store is well again."""

    def __init__(self, inner: Store, failing: Iterable[str] = METHODS) -> None:
        super().__init__(inner)
        self.failing = set(failing)
        assert self.failing <= METHODS, f"no such methods: {self.failing - METHODS}"

    async def _pass_on(self, method: str, *arguments: Any) -> Any:
        if method in self.failing:
            raise StoreError(f"{method} fails, as this test wants it")
        return await super()._pass_on(method, *arguments)


class SlowStore(WrappedStore):
    """Every call, or each one in `slow`, takes `delay_s` longer."""

    def __init__(self, inner: Store, delay_s: float, slow: Iterable[str] = METHODS) -> None:
        super().__init__(inner)
        self.delay_s = delay_s
        self.slow = set(slow)
        assert self.slow <= METHODS, f"no such methods: {self.slow - METHODS}"

    async def _pass_on(self, method: str, *arguments: Any) -> Any:
        if method in self.slow:
            await asyncio.sleep(self.delay_s)
        return await super()._pass_on(method, *arguments)


class ForgetfulStore(WrappedStore):
    """Writes are acknowledged and lost, as by a Redis that evicts or a disk that lies; reads are the inner store's."""

    async def _pass_on(self, method: str, *arguments: Any) -> Any:
        match method:
            case "append":
                return len(arguments[1])
            case "set_note" | "record" | "delete":
                return None
            case "save":
                return True
            case "pin":
                return arguments[1]
        return await super()._pass_on(method, *arguments)


class StaleStore(WrappedStore):
    """Each conversation's first save loses: another replica, which learned the same turns, is just before it."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._lost: set[str] = set()

    async def _pass_on(self, method: str, *arguments: Any) -> Any:
        if method == "save" and arguments[0] not in self._lost:
            self._lost.add(arguments[0])
            await super()._pass_on(method, *arguments)
        return await super()._pass_on(method, *arguments)
