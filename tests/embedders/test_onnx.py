"""The built-in model gives the vectors it gave; windows lose no token; broken models are refused."""

import asyncio
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from embedders import LATER, EmbedderError, OverloadedError
from embedders.folder import builtin_files
from embedders.int8_products import is_exact
from embedders.onnx import OnnxEmbedder, kept_int8
from tests.support.tiny_encoder import DIMENSION, write_tiny_encoder

pytestmark = pytest.mark.slow  # the real model

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "data" / "all-MiniLM-L6-v2-int8.golden.npz"


async def embedded(texts: list[str], folder: Path | None = None) -> np.ndarray:
    embedder = await OnnxEmbedder.open(folder)
    try:
        return await embedder.embed(texts)
    finally:
        await embedder.aclose()


def by_hand(text: str) -> np.ndarray:
    """The oracle: one run over all tokens of a short text, mean, norm, nothing else."""
    files = builtin_files()
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = np.array([tokenizer.encode(text).ids])
    session = onnxruntime.InferenceSession(kept_int8(memoryview(files.weights.read_bytes())))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    [hidden] = session.run(["last_hidden_state"], feed)[0]
    total = hidden.astype(np.float64).sum(axis=0)
    return total / np.sqrt((total**2).sum())


async def test_the_golden_vectors_stand() -> None:
    with np.load(GOLDEN) as golden:
        vectors = await embedded(golden["texts"].tolist())
        # Those of the float products; another model or pooling is off by more than a tenth.
        np.testing.assert_allclose(vectors, golden["vectors"], atol=0.02 if is_exact() else 1e-4)
        assert (vectors * golden["vectors"]).sum(axis=1).min() > 0.997


async def test_it_is_all_minilm_l6_v2() -> None:
    [vector] = await embedded(["This is an example sentence"])
    # The first numbers that the model's float weights give; int8 moves them by less than .01.
    published = [0.0677, 0.0635, 0.0487, 0.0793, 0.0374, 0.0027]
    np.testing.assert_allclose(vector[:6], published, atol=0.015)


@pytest.mark.parametrize("text", ["", "Hello!", "I live in Porto with two dogs. " * 8])
async def test_a_text_of_one_window_is_the_plain_mean(text: str) -> None:
    [vector] = await embedded([text])
    np.testing.assert_allclose(vector, by_hand(text), atol=1e-6)


async def test_the_name_holds_the_weights() -> None:
    embedder = await OnnxEmbedder.open()
    assert (embedder.name, embedder.dimension) == ("all-MiniLM-L6-v2-int8@8199be6f", 384)
    await embedder.aclose()


async def test_it_needs_no_room_for_a_file():
    """A read-only file system: here a process that may write no byte into any file."""
    program = (
        "import asyncio, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from embedders.onnx import OnnxEmbedder\n"
        "async def main():\n"
        "    embedder = await OnnxEmbedder.open()\n"
        "    print((await embedder.embed(['This is an example sentence']))[0, :3].astype(float).round(2).tolist())\n"
        "    await embedder.aclose()\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-c", program), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    heard, _ = await process.communicate()
    assert heard.strip() == b"[0.07, 0.06, 0.05]"


async def test_threads_do_not_change_the_vectors() -> None:
    one = await OnnxEmbedder.open(threads=1)
    two = await OnnxEmbedder.open(threads=2)
    text = ["The quick brown fox jumps over the lazy dog. " * 10]
    np.testing.assert_allclose(await one.embed(text), await two.embed(text), atol=1e-6)
    await one.aclose()
    await two.aclose()


async def test_long_text_is_the_token_weighted_mean_of_its_windows(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    # 16 tokens a window, 2 of them special: 14 cats, 14 rates, and 5 floors in a shorter third window.
    [vector] = await embedded(["cat " * 14 + "rates " * 14 + "floor " * 5], folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    word = tokenizer.token_to_id
    windows = [[2, *[word(text)] * count, 3] for text, count in (("cat", 14), ("rates", 14), ("floor", 5))]
    # The tiny encoder mixes no tokens, so one run over all windows' tokens is the weighted mean.
    ids = np.concatenate(windows)[np.newaxis]
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))
    [hidden] = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
    mean = hidden.mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


async def test_the_loop_runs_on_while_the_model_works() -> None:
    embedder = await OnnxEmbedder.open()
    work = asyncio.create_task(embedder.embed(["a sentence of some words " * 100]))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 100
    await embedder.aclose()


async def test_closing_mid_work_is_an_error_there_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    embedder = await OnnxEmbedder.open()
    threads = set(threading.enumerate()) - before
    work = asyncio.create_task(embedder.embed(["word " * 50_000]))
    await asyncio.sleep(0)  # the work is in the thread now
    started = time.monotonic()
    await embedder.aclose()
    with pytest.raises(EmbedderError, match="closed"):
        await work
    # 200 windows take ten seconds and more.
    assert time.monotonic() - started < 5.0
    assert threads
    assert not any(thread.is_alive() for thread in threads)


async def test_a_folder_is_a_model(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    embedder = await OnnxEmbedder.open(folder)
    assert embedder.dimension == DIMENSION
    vectors = await embedder.embed(["the cat", "the cat", "interest rates"])
    assert vectors[0].tobytes() == vectors[1].tobytes()
    assert float(vectors[0] @ vectors[2]) < 0.7
    await embedder.aclose()


async def test_cls_pooling_reads_the_first_token_only(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    )
    # This encoder mixes no tokens, so the first one's vector is the same for all texts.
    one, other = await embedded(["the cat", "interest rates"], folder)
    np.testing.assert_allclose(one, other, atol=1e-6)


async def test_weights_that_are_no_model(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    (folder / "onnx" / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EmbedderError, match=r"model\.onnx is not a model that onnxruntime can run"):
        await OnnxEmbedder.open(folder)


async def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is not a tokenizer"):
        await OnnxEmbedder.open(folder)


async def test_weights_without_direction(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny", seed=0, scale=0.0)
    with pytest.raises(EmbedderError, match="without direction"):
        await embedded(["the cat"], folder)


async def test_its_queue_is_bounded_but_for_the_first() -> None:
    embedder = await OnnxEmbedder.open(queue_tokens_max=100)
    first = asyncio.create_task(embedder.embed(["word " * 500]))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="queue is full"):
        await embedder.embed(["one more"])
    later = LATER.set(True)
    try:
        assert (await embedder.embed(["in the other thread"])).shape == (1, embedder.dimension)
    finally:
        LATER.reset(later)
    assert (await first).shape == (1, embedder.dimension)
    assert (await embedder.embed(["one more"])).shape == (1, embedder.dimension)
    await embedder.aclose()
