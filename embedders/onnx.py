"""Text to unit vectors with onnxruntime, in threads of our own: one for who waits, one for who can wait (LATER).

One text at a time, on purpose. Equal text must give equal bytes on every replica, whatever stood beside it in
a batch; padding and dynamically quantised activations (one scale for the whole batch) would break that. It
costs nothing on a CPU: batches of 8 took 8 times as long as one (measured). So `threads` work inside a text, and
batching.py, which is for servers, stays out of a question's way.
"""

import asyncio
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from embedders import LATER, EmbedderError, Vectors
from embedders.batching import estimate_tokens, overloaded
from embedders.folder import ModelFiles, Pooling, builtin_files, folder_files
from embedders.int8_products import is_exact, multiplied_in_int8
from embedders.onnx_graph import Graph
from embedders.word_table import looked_up_first
from embedders.worker import Worker

_T = TypeVar("_T")

_PROVIDERS = ["CPUExecutionProvider"]

QUEUE_TOKENS_MAX = 262_144

# What a BERT-like encoder may ask for, and where it stands in an encoding. There is no padding, so the mask
# is all ones and mean pooling over it is a plain mean.
_INPUTS: dict[str, Callable[[Encoding], list[int]]] = {
    "input_ids": lambda window: window.ids,
    "attention_mask": lambda window: window.attention_mask,
    "token_type_ids": lambda window: window.type_ids,
}


class OnnxEmbedder:
    """The built-in all-MiniLM-L6-v2 (int8), or any local ONNX encoder in the Hugging Face layout.

    A text longer than the model's limit is not cut: its tokens are split into windows, and the windows'
    vectors averaged by their token counts. What UTF-8 cannot hold (lone surrogates) is read as `?`.
    """

    def __init__(self, model: "_Model", dimension: int, now: Worker, later: Worker, tokens_max: int) -> None:
        self.name = model.files.name
        self.dimension = dimension
        self.files = model.files
        self._model = model
        self._now = now
        self._later = later
        self._tokens_max = tokens_max
        self._tokens = {now: 0, later: 0}
        self._closed = False

    @classmethod
    async def open(
        cls, folder: Path | None = None, *, threads: int = 1, queue_tokens_max: int = QUEUE_TOKENS_MAX
    ) -> Self:
        """Open the model in `folder` (None: the built-in one), `threads` (>= 1) working on each text.

        Texts of `queue_tokens_max` estimated tokens may wait for each of the two threads, and a call that finds none.
        Raises EmbedderError if a file is missing, changed, or not an encoder that we can run.
        """
        async with AsyncExitStack() as undo:
            now = Worker("embedder")
            undo.push_async_callback(now.aclose)
            model = await now.ask(partial(_load, threads=threads), folder)
            vector, _ = await now.ask(model.begun, "")
            undo.pop_all()
        return cls(model, len(vector), now, Worker("embedder-later", _give_way), queue_tokens_max)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], unit rows, in order; raises OverloadedError, EmbedderError."""
        worker = self._later if LATER.get() else self._now
        tokens = self._queue(worker, texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        try:
            for index, text in enumerate(texts):
                rows[index], others = await self._asked(worker, self._model.begun, text)
                # A hop per window: a caller who has gone, or another call, waits for one window and no more.
                for window in others:
                    rows[index] += await self._asked(worker, self._model.weighted, window)
                rows[index] = _unit(rows[index])
        finally:
            self._tokens[worker] -= tokens
        return rows

    async def aclose(self) -> None:
        self._closed = True
        await self._now.aclose()
        await self._later.aclose()

    def _queue(self, worker: Worker, texts: Sequence[str]) -> int:
        """Let these texts wait for the thread, if they may; returns their tokens."""
        waiting, tokens = self._tokens[worker], sum(map(estimate_tokens, texts))
        if waiting and waiting + tokens > self._tokens_max:
            raise overloaded(waiting, self._tokens_max, tokens)
        self._tokens[worker] += tokens
        return tokens

    def _asked(self, worker: Worker, work: Callable[[Any], _T], argument: object) -> asyncio.Future[_T]:
        if self._closed:
            raise EmbedderError(f"the embedder {self.name} was closed")
        return worker.ask(work, argument)


def _give_way() -> None:
    """This thread runs only while nothing else wants its core: on one core, learning would else add its own time to
    the requests beside it. Where the system knows no such thing it runs like any other."""
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@dataclass(frozen=True, slots=True)
class _Model:
    """Tokenizer and session; blocking, so called in the embedder's thread only."""

    files: ModelFiles
    tokenizer: Tokenizer
    session: onnxruntime.InferenceSession
    inputs: tuple[str, ...]
    output: str
    pooling: Pooling

    def begun(self, text: str) -> tuple[NDArray[np.float32], list[Encoding]]:
        """The first window's vector, and the other windows of a long text: all its tokens, at most `tokens_max` in
        each, each with the model's special tokens. Both in one hop, which takes a core some .3 ms."""
        with _translated("the tokenizer failed"):
            encoding = self.tokenizer.encode(text.encode("utf-8", "replace").decode())
        return self.weighted(encoding), encoding.overflowing

    def weighted(self, window: Encoding) -> NDArray[np.float32]:
        """float32 [dimension]: the sum over a window's tokens, as which it counts in a text."""
        feed = {name: np.array([_INPUTS[name](window)], np.int64) for name in self.inputs}
        with _translated(f"{self.files.name} failed on a window of {len(window.ids)} tokens"):
            hidden = self.session.run([self.output], feed)[0][0]
        vector: NDArray[np.float32] = hidden[0] if self.pooling == "cls" else hidden.mean(axis=0)
        return vector.astype(np.float32, copy=False) * np.float32(len(window.ids))


def _load(folder: Path | None, threads: int) -> _Model:
    files = builtin_files() if folder is None else folder_files(folder)
    with _translated(f"{files.tokenizer} is not a tokenizer that can be read"):
        tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.no_padding()
    # Truncation here means splitting: what does not fit comes back as `overflowing`, nothing is dropped.
    tokenizer.enable_truncation(files.tokens_max)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep what the longest text ever took: 110 MB more, and no faster
    options.log_severity_level = 3  # errors are raised; warnings would only reach stderr
    with _translated(f"{files.weights} is not a model that onnxruntime can run"):
        session = _session(files.weights, options)
    inputs = tuple(node.name for node in session.get_inputs())
    if unknown := set(inputs) - set(_INPUTS):
        raise EmbedderError(f"{files.weights} asks for {sorted(unknown)}: only text encoders can be run")
    return _Model(files, tokenizer, session, inputs, _token_output(files, session), files.pooling)


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A model, with what of it is int8 left so; from a file that is gone when it is loaded: of bytes that it is given a
    session keeps a copy for its life, 23 MB of the built-in model's. Still, where there is no room for a file, bytes
    will do."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped, memoryview(mapped) as model:
        smaller = kept_int8(model)
    if smaller is None:
        return onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)
    with ExitStack() as stack:
        source: str | bytes = smaller
        with suppress(OSError):  # a read-only file system, a full disk
            written = Path(stack.enter_context(TemporaryDirectory(prefix="isocost-")), path.name)
            written.write_bytes(smaller)
            source = str(written)
        return onnxruntime.InferenceSession(source, options, providers=_PROVIDERS)


def kept_int8(model: memoryview) -> bytes | None:
    """The same model with its int8 tables and weights left as they are; None if it has none, or is no ONNX file."""
    try:
        graph = Graph(model)
        changes = [looked_up_first(graph)]
        if is_exact():
            changes.append(multiplied_in_int8(graph))
        return graph.written(changes) if any(change.instead for change in changes) else None
    except (ValueError, IndexError):
        return None


def _token_output(files: ModelFiles, session: onnxruntime.InferenceSession) -> str:
    """The output that holds a vector a token; pooling is ours, so a ready-made sentence vector is not used."""
    names = [node.name for node in session.get_outputs() if len(node.shape) == 3]
    for name in ("last_hidden_state", "token_embeddings", *names):
        if name in names:
            return str(name)
    raise EmbedderError(f"{files.weights} has no output [batch, sequence, dimension]: export it with one")


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = math.sqrt(vector.dot(vector))
    if not (math.isfinite(length) and length > 0.0):
        raise EmbedderError("the model gave a vector without direction: its weights are broken, reinstall them")
    return vector / np.float32(length)


@contextmanager
def _translated(sentence: str) -> Iterator[None]:
    """Errors of tokenizers (bare `Exception`) and onnxruntime (one class a status code) as EmbedderError."""
    try:
        yield
    except Exception as error:
        raise EmbedderError(f"{sentence} ({type(error).__name__})") from error
