"""What every Embedder promises, asked of each of ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import numpy as np
import pytest

from embedders import Embedder, EmbedderError
from embedders.batching import BatchingEmbedder
from embedders.cache import CachingEmbedder
from embedders.onnx import OnnxEmbedder
from embedders.remote import RemoteEmbedder
from embedders.selftest import self_test
from tests.support.embedders import HashedWordsEmbedder
from tests.support.embeddings_server import serve_embeddings

Opener = Callable[[], AbstractAsyncContextManager[Embedder]]

AWKWARD = ["", " ", "😀👩‍👩‍👧 ok", "a\x00b", "\x00", "lone \ud800 half", "\udfff", "x" * 5_000, "汉字" * 300]


@asynccontextmanager
async def onnx() -> AsyncIterator[Embedder]:
    embedder = await OnnxEmbedder.open(threads=2)
    yield embedder
    await embedder.aclose()


@asynccontextmanager
async def remote() -> AsyncIterator[Embedder]:
    async with serve_embeddings(HashedWordsEmbedder()) as server:
        embedder = await RemoteEmbedder.open(server.url, model="hashed", timeout_s=20.0)
        yield embedder
        await embedder.aclose()


@asynccontextmanager
async def batching() -> AsyncIterator[Embedder]:
    embedder = BatchingEmbedder(HashedWordsEmbedder(), batch_tokens_max=20, queue_tokens_max=2_000)
    yield embedder
    await embedder.aclose()


@asynccontextmanager
async def caching() -> AsyncIterator[Embedder]:
    embedder = CachingEmbedder(HashedWordsEmbedder(), bytes_max=2_000)
    yield embedder
    await embedder.aclose()


@asynccontextmanager
async def composed() -> AsyncIterator[Embedder]:
    batched = BatchingEmbedder(await OnnxEmbedder.open(), batch_tokens_max=64, queue_tokens_max=10_000)
    embedder = CachingEmbedder(batched, bytes_max=10_000_000)
    yield embedder
    await embedder.aclose()


@pytest.fixture(params=[onnx, remote, batching, caching, composed], ids=lambda opener: opener.__name__)
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    opener: Opener = request.param
    async with opener() as opened:
        yield opened


def assert_unit_rows(vectors: np.ndarray, count: int, dimension: int) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape == (count, dimension)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


async def test_it_has_a_name_and_a_dimension(embedder: Embedder) -> None:
    assert "@" in embedder.name
    assert embedder.dimension >= 2


async def test_it_passes_the_self_test(embedder: Embedder) -> None:
    await self_test(embedder)


async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert_unit_rows(await embedder.embed([]), 0, embedder.dimension)


async def test_rows_are_unit_and_in_order(embedder: Embedder) -> None:
    texts = [f"sentence about number {n}" for n in range(40)]
    vectors = await embedder.embed(texts)
    assert_unit_rows(vectors, 40, embedder.dimension)
    for index in (0, 17, 39):
        alone = await embedder.embed([texts[index]])
        assert int((vectors @ alone[0]).argmax()) == index


async def test_equal_text_gives_equal_bytes_in_any_company(embedder: Embedder) -> None:
    text = "I live in Porto with two dogs."
    [alone] = await embedder.embed([text])
    first, *_ = await embedder.embed([text, "short", "a much longer companion " * 20])
    *_, last = await embedder.embed(["x", "another companion " * 30, text])
    again, twice = await embedder.embed([text, text])
    for row in (first, last, again, twice):
        assert row.tobytes() == alone.tobytes()


async def test_different_texts_differ(embedder: Embedder) -> None:
    cat, tax = await embedder.embed(["my cat is called Tigger", "the tax office opens at nine"])
    assert float(cat @ tax) < 0.9


async def test_awkward_texts_give_unit_rows(embedder: Embedder) -> None:
    vectors = await embedder.embed(AWKWARD)
    assert_unit_rows(vectors, len(AWKWARD), embedder.dimension)
    again = await embedder.embed(list(reversed(AWKWARD)))
    assert again[::-1].tobytes() == vectors.tobytes()


@pytest.mark.slow
async def test_the_end_of_a_long_text_counts(embedder: Embedder) -> None:
    start = "the cat sat by the door " * 800
    whole, start_only = await embedder.embed([start + "tax rates will rise again " * 1_040, start])
    assert_unit_rows(np.stack([whole, start_only]), 2, embedder.dimension)
    assert float(whole @ start_only) < 0.95


async def test_concurrent_calls_get_their_own_rows(embedder: Embedder) -> None:
    texts = [[f"call {n}", f"of {n % 3} and more"] for n in range(12)]
    answers = await asyncio.gather(*(embedder.embed(part) for part in texts))
    for part, vectors in zip(texts, answers, strict=True):
        assert (await embedder.embed(part)).tobytes() == vectors.tobytes()


async def test_what_a_caller_does_with_its_rows_is_its_own_business(embedder: Embedder) -> None:
    vectors = await embedder.embed(["mine", "yours"])
    kept = vectors.copy()
    vectors[:] = 0.0
    assert (await embedder.embed(["mine", "yours"])).tobytes() == kept.tobytes()


async def test_closing_twice_is_harmless_and_ends_it(request: pytest.FixtureRequest, embedder: Embedder) -> None:
    await embedder.embed(["once"])
    await embedder.aclose()
    await embedder.aclose()
    with pytest.raises(EmbedderError, match="closed"):
        await embedder.embed(["too late"])
