"""Texts of a transcript as vectors: turns in small calls, so that others' questions get through, and questions."""

from collections.abc import Sequence

import numpy as np

from embedders import Embedder, Vectors
from memory_core.chunking import chunks
from memory_core.cues import without_stamp
from memory_core.index import norm

QUERY_CHUNKS_MAX = 4
"""A question longer than this is searched by its first and last chunks: that is where it is asked."""

_TEXTS_PER_CALL = 16


async def embed_texts(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """[texts, d], in small calls: a question of another conversation waits for one of them and not for all."""
    parts = [texts[start : start + _TEXTS_PER_CALL] for start in range(0, len(texts), _TEXTS_PER_CALL)]
    found = [await embedder.embed(part) for part in parts]
    return np.concatenate(found) if found else np.zeros((0, embedder.dimension), np.float32)


async def embed_question(embedder: Embedder, question: str) -> Vectors:
    """[d], of length 1 unless nothing is asked."""
    pieces = chunks(without_stamp(question))
    if len(pieces) > QUERY_CHUNKS_MAX:
        pieces = pieces[: QUERY_CHUNKS_MAX // 2] + pieces[-QUERY_CHUNKS_MAX // 2 :]
    total: Vectors = np.add.reduce(await embedder.embed(pieces), axis=0)
    return total / np.float32(max(norm(total), 1e-12))
