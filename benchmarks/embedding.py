"""Texts to vectors with the built-in model, for measurements that use memory_core without a proxy around it."""

import sys
import time
from collections.abc import Sequence

import numpy as np

from embedders import Vectors, open_embedder
from memory_core.index import Floats

_TEXTS_PER_CALL = 32


async def embed_all(parts: Sequence[Sequence[str]]) -> list[Floats]:
    """Unit rows, float32 [len(part), d], of each part, with a progress line on stderr."""
    embedder = await open_embedder(
        "builtin",
        threads=2,
        batch_tokens_max=8_192,
        queue_tokens_max=262_144,
        cache_bytes_max=64 * 2**20,
        timeout_s=60.0,
    )
    total, done, started = sum(map(len, parts)), 0, time.monotonic()
    found = []
    try:
        for part in parts:
            rows = [np.zeros((0, embedder.dimension), np.float32)]
            for start in range(0, len(part), _TEXTS_PER_CALL):
                rows.append(await embedder.embed(part[start : start + _TEXTS_PER_CALL]))
                done += len(rows[-1])
                seconds = time.monotonic() - started
                print(f"\rembedding {done:,} of {total:,} texts, {seconds:.0f} s", end="", file=sys.stderr)
            found.append(np.concatenate(rows))
    finally:
        await embedder.aclose()
        print(file=sys.stderr)
    return found


class SilentEmbedder:
    """Random unit vectors, at once, the same for the same text."""

    name = "silent"
    dimension = 384

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """[texts, 384]."""
        seeds = [np.random.default_rng(len(text)).standard_normal(self.dimension) for text in texts]
        rows = np.array(seeds, np.float32).reshape(len(texts), self.dimension)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    async def aclose(self) -> None:
        """Nothing is held."""
