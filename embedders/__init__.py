"""Text to unit vectors: the Embedder protocol, its errors, and `open_embedder`."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32 [n, dimension], rows of unit length."""


LATER: ContextVar[bool] = ContextVar("isocost_embed_later", default=False)
"""Set by who can wait: such texts queue apart from the others', and a local model works on them in a thread that gives
way to everything else. A context variable, since it says how and not what: every embedder may ignore it."""


@contextmanager
def giving_way() -> Iterator[None]:
    """What is embedded meanwhile can wait."""
    before = LATER.set(True)
    try:
        yield
    finally:
        LATER.reset(before)


class EmbedderError(Exception):
    """The embedder is missing, broken or unreachable. The message says what to do."""


class OverloadedError(EmbedderError):
    """The queue in front of the model is full; try later."""


class Embedder(Protocol):
    """Text to unit vectors. Implementations never truncate silently and give the same row for the same text.

    `name` identifies the vector space: vectors of different names must never be compared, so it changes
    whenever the weights, the pooling or the tokenizer do.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], unit rows, in order; raises EmbedderError."""
        ...

    async def aclose(self) -> None: ...


async def open_embedder(
    url_or_path: str,
    *,
    threads: int,
    batch_tokens_max: int,
    queue_tokens_max: int,
    cache_bytes_max: int,
    timeout_s: float,
    model: str | None = None,
    key: str | None = None,
) -> Embedder:
    """Open what `url_or_path` names, behind a bounded queue and a cache, and self-test it.

    `builtin`, a local ONNX folder (`threads` work on a text), or `http(s)://host/v1` with the server's
    `model`, an optional `key`, and `timeout_s` for each call. Raises EmbedderError with what to do; it never
    falls back to another model, since vectors of two models must not meet in one store.
    """
    # Imported here: neither onnxruntime nor httpx is needed by who only wants the protocol.
    from embedders.cache import CachingEmbedder
    from embedders.selftest import self_test

    async with AsyncExitStack() as undo:
        opened = await _open_model(
            url_or_path,
            threads=threads,
            batch_tokens_max=batch_tokens_max,
            queue_tokens_max=queue_tokens_max,
            timeout_s=timeout_s,
            model=model,
            key=key,
        )
        embedder = CachingEmbedder(opened, cache_bytes_max)
        undo.push_async_callback(embedder.aclose)
        await self_test(embedder)
        undo.pop_all()
    return embedder


async def _open_model(
    url_or_path: str,
    *,
    threads: int,
    batch_tokens_max: int,
    queue_tokens_max: int,
    timeout_s: float,
    model: str | None,
    key: str | None,
) -> Embedder:
    """What it opens has a bounded queue."""
    if url_or_path.startswith(("http://", "https://")):
        if not model:
            raise EmbedderError("an embedder by URL needs the name of the model that the server shall use")
        from embedders.batching import BatchingEmbedder
        from embedders.remote import RemoteEmbedder

        remote = await RemoteEmbedder.open(url_or_path, model=model, timeout_s=timeout_s, key=key)
        return BatchingEmbedder(remote, batch_tokens_max, queue_tokens_max)
    from embedders.onnx import OnnxEmbedder

    folder = None if url_or_path == "builtin" else Path(url_or_path)
    return await OnnxEmbedder.open(folder, threads=threads, queue_tokens_max=queue_tokens_max)
