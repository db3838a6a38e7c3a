"""`open_embedder` opens what is named, tests it, closes what it opened when that fails, never falls back."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedders import Embedder, EmbedderError, Vectors, open_embedder
from tests.support.embedders import HashedWordsEmbedder
from tests.support.embeddings_server import serve_embeddings
from tests.support.tiny_encoder import write_json, write_tiny_encoder


async def opened(url_or_path: str, **changes: Any) -> Embedder:
    values = {
        "threads": 1,
        "batch_tokens_max": 512,
        "queue_tokens_max": 8_192,
        "cache_bytes_max": 1_000_000,
        "timeout_s": 5.0,
    }
    return await open_embedder(url_or_path, **{**values, **changes})


def model_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("embedder")}


async def no_new_model_threads(before: set[threading.Thread]) -> None:
    async with asyncio.timeout(5):
        while model_threads() - before:
            await asyncio.sleep(0)


async def test_the_builtin_model() -> None:
    embedder = await opened("builtin")
    assert embedder.name == "all-MiniLM-L6-v2-int8@8199be6f"
    answers = await asyncio.gather(*(embedder.embed(["same text"]) for _ in range(5)))
    assert len({vectors.tobytes() for vectors in answers}) == 1
    await embedder.aclose()


async def test_a_folder(tmp_path: Path) -> None:
    embedder = await opened(str(write_tiny_encoder(tmp_path / "tiny")))
    assert embedder.name.startswith("tiny@")
    await embedder.aclose()


async def test_a_url_with_its_model() -> None:
    async with serve_embeddings(HashedWordsEmbedder()) as server:
        embedder = await opened(server.url, model="hashed", key="sk-1")
        assert embedder.name.startswith("hashed@127.0.0.1:")
        asked = len(server.requests)
        await embedder.embed(["once"])
        await embedder.embed(["once"])
        assert len(server.requests) == asked + 1
        await embedder.aclose()


async def test_a_url_needs_a_model() -> None:
    with pytest.raises(EmbedderError, match="needs the name of the model"):
        await opened("http://127.0.0.1:9/v1")


async def test_a_missing_folder_is_no_reason_for_another_model(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="is not a folder: give a local ONNX model folder"):
        await opened(str(tmp_path / "missing"))


async def test_a_model_that_fails_its_self_test_is_closed(tmp_path: Path) -> None:
    before = model_threads()
    folder = write_tiny_encoder(tmp_path / "tiny")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    with pytest.raises(EmbedderError, match=r"tiny@.*hardly closer.*reinstall"):
        await opened(str(folder))
    await no_new_model_threads(before)


async def test_a_model_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = model_threads()
    folder = write_tiny_encoder(tmp_path / "tiny")
    (folder / "onnx" / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EmbedderError, match="is not a model"):
        await opened(str(folder))
    await no_new_model_threads(before)


async def test_a_server_that_answers_the_same_to_all_is_refused() -> None:
    class Same(HashedWordsEmbedder):
        async def embed(self, texts: list[str]) -> Vectors:  # type: ignore[override]
            return np.repeat(await super().embed(["same"]), len(texts), axis=0)

    async with serve_embeddings(Same()) as server:
        with pytest.raises(EmbedderError, match="hardly closer"):
            await opened(server.url, model="same")
