"""Embedders for tests: a fast one that tells texts apart, and one that can be held up or made to fail."""

import asyncio
import re
from collections.abc import Sequence
from hashlib import shake_256

import numpy as np

from embedders import EmbedderError, Vectors


class HashedWordsEmbedder:
    """Bags of hashed words: texts that share words are close, others nearly orthogonal. No model, no thread."""

    def __init__(self, dimension: int = 64) -> None:
        self.name = f"hashed-words@{dimension}"
        self.dimension = dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for index, text in enumerate(texts):
            rows[index] = self._row(text)
        return rows

    async def aclose(self) -> None:
        """Nothing to release."""

    def _row(self, text: str) -> Vectors:
        # The empty word stands in every bag, lightly, so that a text without words has a direction too.
        row = 0.01 * self._word("")
        for word in re.findall(r"\w+", text.lower()):
            row += self._word(word)
        return (row / np.linalg.norm(row)).astype(np.float32)

    def _word(self, word: str) -> Vectors:
        noise = shake_256(word.encode("utf-8", "replace")).digest(self.dimension)
        return np.frombuffer(noise, np.uint8).astype(np.float32) - 127.5


class GatedEmbedder(HashedWordsEmbedder):
    """Hashed words behind a gate. `calls` holds every call's texts, in order.

    `gate` cleared: calls wait. `started` is set when a call has come in. Texts in `poison` fail their call.
    """

    def __init__(self, dimension: int = 64, *, is_open: bool = True, poison: Sequence[str] = ()) -> None:
        super().__init__(dimension)
        self.calls: list[list[str]] = []
        self.cancelled_calls = 0
        self.closed = False
        self.poison = frozenset(poison)
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(list(texts))
        self.started.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled_calls += 1
            raise
        if self.poison & set(texts):
            raise EmbedderError("poisoned")
        return await super().embed(texts)

    async def aclose(self) -> None:
        self.closed = True
