"""How many tokens is this message? Counted once per message, by digest, so a request costs its new turns only."""

import asyncio
import base64
import gzip
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache, partial
from importlib.resources import files

import tiktoken

from memory_core.chunking import chunks
from memory_core.transcript import digest_of
from proxy.message import Message

MESSAGE_TOKENS = 4
"""What a chat template puts round a message: role, separators (OpenAI cookbook: 3 + 1 for the role)."""

REPLY_TOKENS = 3
"""Every prompt ends with the opening of the reply (same source)."""

IMAGE_TOKENS = 765
"""A 1024 × 1024 image in high detail on the gpt-4o family: an estimate for every non-text part."""

_PIECE_CHARS = 20_000
"""Longer texts are counted in pieces: the byte-pair merge of one endless word is more than linear."""

DEFAULT_ENCODING = "o200k_base"

INLINE_CHARS_MAX = 20_000
"""More than this is counted in a thread; below it the hand-over costs more than the counting (some 4 ms)."""

CACHED_MAX = 16_384
"""Messages of each encoding whose counts are kept in any case, and at most twice as many: 4 MB. Sums are kept by the
meter, so that a count is looked up again only where a conversation is new or forks."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An encoding as tiktoken publishes it: sha256 of its unpacked ranks, split pattern, special tokens."""

    sha256: str
    pattern: str
    special_tokens: Mapping[str, int]


_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

VOCABULARIES = {
    "o200k_base": Vocabulary(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "|".join(
            (
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTION,
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTION,
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            )
        ),
        {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018},
    ),
    "cl100k_base": Vocabulary(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {"<|endoftext|>": 100_257, "<|endofprompt|>": 100_276},
    ),
}


class VocabularyError(Exception):
    """A vocabulary is missing from the package or was altered."""


@cache
def load_encoding(name: str) -> tiktoken.Encoding:
    """An encoding from the vocabulary shipped in proxy/assets: tiktoken's own loader would download it.

    Takes about .5 s and 60 MB the first time; raises VocabularyError.
    """
    if name not in VOCABULARIES:
        raise VocabularyError(f"unknown encoding {name!r}: choose one of {', '.join(sorted(VOCABULARIES))}")
    try:
        packed = files("proxy").joinpath("assets", f"{name}.tiktoken.gz").read_bytes()
    except OSError:
        raise VocabularyError(f"the vocabulary {name} is missing: install isocost again") from None
    return encoding_from(name, packed)


def encoding_from(name: str, packed: bytes) -> tiktoken.Encoding:
    """An encoding from its gzipped ranks; raises VocabularyError if they are not those that tiktoken publishes."""
    vocabulary = VOCABULARIES[name]
    try:
        ranks = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        ranks = b""
    if hashlib.sha256(ranks).hexdigest() != vocabulary.sha256:
        raise VocabularyError(f"the vocabulary {name} of this installation was altered: install isocost again")
    table = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, ranks.splitlines())}
    encoding = tiktoken.Encoding(
        name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=table,
        special_tokens=dict(vocabulary.special_tokens),
    )
    table.clear()  # counted with its own copy; this one, 27 MB, is for turning tokens back into bytes
    return encoding


class _Counts:
    """Of one encoding, by fingerprint: the latest `most`, and up to as many of those before.

    Two generations of plain dicts: when the young one is full it becomes the old one. An entry takes 130 bytes so, in
    an ordered dict 290.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def get(self, fingerprint: bytes) -> int | None:
        """A count if it is kept; it is young again then."""
        count = self._young.get(fingerprint)
        if count is None and (count := self._old.get(fingerprint)) is not None:
            self.put(fingerprint, count)
        return count

    def put(self, fingerprint: bytes, count: int) -> None:
        """Keep one."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[fingerprint] = count


class TokenCounter:
    """Counts for one process. `encodings` maps model patterns (fnmatch) to encoding names; the first match wins."""

    def __init__(self, encodings: Mapping[str, str], *, cached_max: int = CACHED_MAX) -> None:
        self._encodings = encodings
        self._counts: dict[str, _Counts] = defaultdict(lambda: _Counts(cached_max))
        self._loaded: set[str] = set()
        self._text = lru_cache(maxsize=4_096)(lambda encoding, text: _count(load_encoding(encoding), text))
        self.encoding = lru_cache(maxsize=1_024)(self._find_encoding)
        """The name of the encoding that counts for a model."""

    def text(self, text: str, model: str = "") -> int:
        """Tokens of a short text. The newest few thousand are kept: what is recalled once is recalled again."""
        return self._text(self.encoding(model), text)

    def texts(self, model: str) -> Callable[[str], int]:
        """The same for many texts, each without a look at the model."""
        return partial(self._text, self.encoding(model))

    def message(self, message: Message, model: str = "") -> int:
        """Tokens of one message; in o200k if no model is named."""
        encoding = self.encoding(model)
        known = self._known(encoding, [message])
        if not known:
            known = {message.fingerprint: _count_all(encoding, [message])[0]}
            self._remember(encoding, known)
        return known[message.fingerprint]

    async def messages(self, messages: Sequence[Message], model: str) -> list[int]:
        """Tokens of each message, counting only those not counted before; long texts in a thread."""
        encoding = self.encoding(model)
        counts = self._known(encoding, messages)
        new = {m.fingerprint: m for m in messages if m.fingerprint not in counts}
        if new:
            unloaded = encoding not in self._loaded
            self._loaded.add(encoding)
            if unloaded or sum([len(message.text) for message in new.values()]) > INLINE_CHARS_MAX:
                counted = await asyncio.to_thread(_count_all, encoding, list(new.values()))
            else:
                counted = _count_all(encoding, list(new.values()))
            fresh = dict(zip(new, counted, strict=True))
            self._remember(encoding, fresh)
            counts |= fresh
        return [counts[message.fingerprint] for message in messages]

    async def payload(self, payload: bytes, model: str) -> int:
        """Tokens of raw JSON that goes into the prompt (tools), cached like a message."""
        text = payload.decode("utf-8", "replace")
        carrier = Message(payload, "tools", text, 0, digest_of(b"payload", payload))
        return (await self.messages([carrier], model))[0] - MESSAGE_TOKENS

    def _known(self, encoding: str, messages: Sequence[Message]) -> dict[bytes, int]:
        """The counts that are cached, taken at once: counting the others may push them out."""
        found = {}
        kept = self._counts[encoding]
        for fingerprint in {message.fingerprint for message in messages}:
            count = kept.get(fingerprint)
            if count is not None:
                found[fingerprint] = count
        return found

    def _remember(self, encoding: str, counts: Mapping[bytes, int]) -> None:
        kept = self._counts[encoding]
        for fingerprint, count in counts.items():
            kept.put(fingerprint, count)

    def _find_encoding(self, model: str) -> str:
        matching = (name for pattern, name in self._encodings.items() if fnmatchcase(model, pattern))
        return next(matching, DEFAULT_ENCODING)


def _count_all(encoding: str, messages: Sequence[Message]) -> list[int]:
    loaded = load_encoding(encoding) if messages else None
    if loaded is None:
        return []
    return [MESSAGE_TOKENS + m.attachments * IMAGE_TOKENS + _count(loaded, m.text) for m in messages]


def _count(encoding: tiktoken.Encoding, text: str) -> int:
    return sum(len(encoding.encode_ordinary(piece)) for piece in chunks(text, _PIECE_CHARS))
