"""Concurrent `embed` calls gathered into batches by tokens, behind a bounded queue.

While the model works on one batch, what arrives meanwhile becomes the next; nothing waits for a batch to
fill. One worker task owns a queue, and lives only while there is something in it. There are two: a question
does not wait behind what is only learned (LATER).
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedders import LATER, Embedder, EmbedderError, OverloadedError, Vectors


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, cheaply: a token for 4 characters, and the two special ones.

    About right for English, too low for CJK (a token a character). It shares out work and bounds memory,
    which needs no more; the real count would mean to tokenise everything twice.
    """
    return -(-len(text) // 4) + 2


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    text: str
    tokens: int
    row: asyncio.Future[NDArray[np.float32]]  # done before its turn: the caller has gone


class BatchingEmbedder:
    """An embedder in front of `inner`, which it owns and closes.

    `batch_tokens_max` bounds a batch (a single longer text is a batch of its own), `queue_tokens_max` what
    may wait in each queue; both in estimated tokens, >= 1. A call that finds its queue empty is taken whatever
    its size.
    """

    def __init__(self, inner: Embedder, batch_tokens_max: int, queue_tokens_max: int) -> None:
        self._inner = inner
        self._now = _Lane(inner, batch_tokens_max, queue_tokens_max)
        self._later = _Lane(inner, batch_tokens_max, queue_tokens_max)
        self._closed = False

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def queued_tokens(self) -> int:
        """Estimated tokens that wait now, without the batches that are being computed."""
        return self._now.queued_tokens + self._later.queued_tokens

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], unit rows, in order.

        Raises OverloadedError if the queue has no room, EmbedderError if the batch failed or this was closed.
        """
        if self._closed:
            raise closed_error(self.name)
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return await (self._later if LATER.get() else self._now).embed(texts)

    async def aclose(self) -> None:
        self._closed = True
        for lane in (self._now, self._later):
            await lane.aclose()
        await self._inner.aclose()


class _Lane:
    """A queue and its worker."""

    def __init__(self, inner: Embedder, batch_tokens_max: int, queue_tokens_max: int) -> None:
        self._inner = inner
        self._batch_tokens_max = batch_tokens_max
        self._queue_tokens_max = queue_tokens_max
        self._queue: deque[_Entry] = deque()
        self._worker: asyncio.Task[None] | None = None
        self.queued_tokens = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder."""
        entries = self._enqueue(texts)
        rows = [entry.row for entry in entries]
        try:
            return np.stack(await asyncio.gather(*rows))
        except BaseException:  # a failed batch or a caller who leaves: what still waits is for nobody
            for row in rows:
                row.cancel()
            self._forget_gone()
            raise

    async def aclose(self) -> None:
        """Fail what waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait({self._worker})
        self._fail(self._queue, closed_error(self._inner.name))
        self._queue.clear()
        self.queued_tokens = 0

    def _enqueue(self, texts: Sequence[str]) -> list[_Entry]:
        loop = asyncio.get_running_loop()
        entries = [_Entry(text, estimate_tokens(text), loop.create_future()) for text in texts]
        tokens = sum(entry.tokens for entry in entries)
        if self._queue and self.queued_tokens + tokens > self._queue_tokens_max:
            raise overloaded(self.queued_tokens, self._queue_tokens_max, tokens)
        self._queue.extend(entries)
        self.queued_tokens += tokens
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="embedder-batches")
        return entries

    async def _work(self) -> None:
        while batch := self._next_batch():
            # gather, since it hands us the error as a value, and passes our own cancellation on
            try:
                [outcome] = await asyncio.gather(
                    self._inner.embed([entry.text for entry in batch]), return_exceptions=True
                )
            except asyncio.CancelledError:
                self._fail(batch, closed_error(self._inner.name))
                raise
            self._answer(batch, outcome)

    def _next_batch(self) -> list[_Entry]:
        """The oldest entries that fit into a batch; at least one unless the queue is empty."""
        batch: list[_Entry] = []
        tokens = 0
        while self._queue and (not batch or tokens + self._queue[0].tokens <= self._batch_tokens_max):
            entry = self._queue.popleft()
            self.queued_tokens -= entry.tokens
            if not entry.row.done():
                tokens += entry.tokens
                batch.append(entry)
        return batch

    def _answer(self, batch: Sequence[_Entry], outcome: Vectors | BaseException) -> None:
        if isinstance(outcome, asyncio.CancelledError):
            outcome = EmbedderError("the model's call was cancelled from within")
        elif not isinstance(outcome, BaseException) and np.shape(outcome) != (len(batch), self._inner.dimension):
            outcome = EmbedderError(f"the model answered {np.shape(outcome)} for {len(batch)} texts")
        if isinstance(outcome, BaseException):
            self._fail(batch, outcome)
            return
        for entry, row in zip(batch, outcome, strict=True):
            if not entry.row.done():
                entry.row.set_result(row)

    def _fail(self, entries: Iterable[_Entry], error: BaseException) -> None:
        for entry in entries:
            if not entry.row.done():
                entry.row.set_exception(error)

    def _forget_gone(self) -> None:
        self._queue = deque(entry for entry in self._queue if not entry.row.done())
        self.queued_tokens = sum(entry.tokens for entry in self._queue)


def overloaded(waiting: int, most: int, tokens: int) -> OverloadedError:
    """For calls that find no room."""
    return OverloadedError(
        f"the embedder's queue is full ({waiting} of {most} tokens wait, {tokens} asked for): try later"
    )


def closed_error(name: str) -> EmbedderError:
    """For calls that come too late."""
    return EmbedderError(f"the embedder {name} was closed")
