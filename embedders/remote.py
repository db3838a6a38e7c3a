"""Text to unit vectors over any OpenAI-compatible `/v1/embeddings`.

What the server does with a text beyond its own limit is the server's business: most refuse it (an
EmbedderError here), and those that cut it do so unseen. Rows are normalised here, since few promise it.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Self

import httpx
import msgspec
import numpy as np

from embedders import EmbedderError, Vectors

# text-embeddings-inference refuses more than 32 texts a call by default; OpenAI would take 2,048.
TEXTS_PER_CALL_MAX = 32
CONNECT_RETRIES_MAX = 2
RETRY_DELAY_S = 0.2
# 32 rows of 4,096 numbers of 25 characters are 3 MiB.
BODY_BYTES_MAX = 16 * 2**20

_ADVICE = {
    401: "check the key",
    403: "check the key and what it may use",
    404: "check that the URL ends in /v1 and that the server has this model",
    413: "a text is longer than this server takes",
    429: "the server is overloaded, or the quota is used up: try later",
}


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Reply(msgspec.Struct):
    data: list[_Row]


class RemoteEmbedder:
    """Vectors from `{url}/embeddings`. Texts and the key stay out of all errors."""

    def __init__(self, client: httpx.AsyncClient, model: str, *, timeout_s: float, texts_per_call_max: int) -> None:
        host = client.base_url.netloc.decode("ascii")
        self.name = f"{model}@{host}"
        self.dimension = 0  # learned by `open`
        self._client = client
        self._model = model
        self._host = host
        self._timeout_s = timeout_s
        self._texts_per_call_max = texts_per_call_max

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        model: str,
        timeout_s: float,
        key: str | None = None,
        texts_per_call_max: int = TEXTS_PER_CALL_MAX,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Self:
        """Connect to `url` (it ends in /v1) and learn the dimension with one call.

        `timeout_s` bounds each call, retries included; `transport` None means real sockets.
        Raises EmbedderError.
        """
        embedder = cls(
            _client(url, key, timeout_s, transport),
            model,
            timeout_s=timeout_s,
            texts_per_call_max=texts_per_call_max,
        )
        try:
            embedder.dimension = (await embedder._call(["dimension"])).shape[1]
        except BaseException:
            await embedder.aclose()
            raise
        return embedder

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), dimension], unit rows, in order; raises EmbedderError."""
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), self._texts_per_call_max):
            part = texts[start : start + self._texts_per_call_max]
            vectors = await self._call(part)
            if vectors.shape[1] != self.dimension:
                raise self._broken(f"changed its dimension from {self.dimension} to {vectors.shape[1]}")
            rows[start : start + len(part)] = vectors
        return rows

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _call(self, texts: Sequence[str]) -> Vectors:
        if self._client.is_closed:
            raise EmbedderError(f"the embedder {self.name} was closed")
        # Servers refuse lone surrogates (not UTF-8) and the empty text (OpenAI); both have a fixed stand-in.
        sent = [text.encode("utf-8", "replace").decode() or " " for text in texts]
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._post({"model": self._model, "input": sent})
        except TimeoutError as error:
            raise self._broken(f"gave no answer within {self._timeout_s} s: is it overloaded?") from error
        except httpx.HTTPError as error:
            raise self._broken(f"cannot be used ({type(error).__name__}): is it running?") from error
        try:
            reply = msgspec.json.decode(body, type=_Reply)
        except msgspec.MsgspecError as error:
            raise self._broken("did not answer in OpenAI's shape: does the URL end in /v1?") from error
        return self._checked(reply, len(texts))

    async def _post(self, payload: dict[str, object]) -> bytes:
        """One answer's body. Only failed connects are tried again: nothing was computed for them."""
        for attempt in range(CONNECT_RETRIES_MAX + 1):
            try:
                async with self._client.stream("POST", "embeddings", json=payload) as response:
                    return await self._body(response)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if attempt == CONNECT_RETRIES_MAX:
                    raise
            await asyncio.sleep(RETRY_DELAY_S * 2**attempt)
        raise AssertionError("unreachable")

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code != 200:
            # Not its body: servers quote the text, and some the key.
            advice = _ADVICE.get(response.status_code, "look into its log")
            raise self._broken(f"answered {response.status_code}: {advice}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise self._broken(f"answered more than {BODY_BYTES_MAX} bytes")
        return bytes(body)

    def _checked(self, reply: _Reply, count: int) -> Vectors:
        by_index = {row.index: row.embedding for row in reply.data}
        if len(reply.data) != count or by_index.keys() != set(range(count)):
            raise self._broken(f"did not answer one row for each of {count} texts")
        if len({len(row) for row in by_index.values()}) != 1 or not by_index[0]:
            raise self._broken("answered rows of unequal or no length")
        vectors = np.array([by_index[index] for index in range(count)], np.float64)
        with np.errstate(over="ignore"):  # judged in the next line
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0.0).all()):
            raise self._broken("answered a vector without direction")
        rows: Vectors = (vectors / lengths).astype(np.float32)
        return rows

    def _broken(self, what: str) -> EmbedderError:
        return EmbedderError(f"the embedding server {self._host} {what}")


def _client(
    url: str, key: str | None, timeout_s: float, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    if not (math.isfinite(timeout_s) and timeout_s > 0.0):
        raise EmbedderError(f"the embedder's time-out must be over 0 s, not {timeout_s}")
    headers = {}
    if key is not None:
        # A header's own error would quote the key.
        if not (key.isascii() and key.isprintable()) or " " in key or not key:
            raise EmbedderError("the embedder's key is empty or holds characters that no header takes")
        headers["authorization"] = f"Bearer {key}"
    try:
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=httpx.Timeout(timeout_s), transport=transport)
    except httpx.InvalidURL as error:
        raise EmbedderError("the embedder's URL is not one: write http(s)://host[:port]/v1") from error
