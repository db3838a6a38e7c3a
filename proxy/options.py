"""What a client asks of us by `x-isocost-*` request headers; values out of range are the client's error."""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.credentials import PROOFS
from proxy.errors import BadRequestError
from proxy.plan import MODES

CONTEXT_TOKENS_MAX = 100_000
CONVERSATION_CHARS_MAX = 512

_PROOFS = sorted(PROOFS)


@dataclass(frozen=True, slots=True)
class Options:
    """`mode` and `context_tokens` are None where the client leaves them to the configuration."""

    conversation: str
    mode: str | None
    context_tokens: int | None
    credential: str


def read_options(headers: Iterable[tuple[bytes, bytes]]) -> Options:
    """Options from raw headers (names in lower case); raises BadRequestError that names the header."""
    found = dict(headers)
    conversation = _value(found, b"x-isocost-conversation") or ""
    if len(conversation) > CONVERSATION_CHARS_MAX:
        raise _refused("x-isocost-conversation", f"longer than {CONVERSATION_CHARS_MAX} characters")
    return Options(conversation, _mode(found), _context_tokens(found), _credential(found))


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Who asks: what the client proves itself with, "" if with nothing."""
    return _credential(dict(headers))


def _credential(found: dict[bytes, bytes]) -> str:
    """All that proves who asks: behind a gateway with one key for all, another header tells its clients apart."""
    said = [(name, value) for name in _PROOFS if name in found and (value := _value(found, name))]
    if len(said) == 1:
        return said[0][1]
    return "\n".join(f"{name.decode()}: {value}" for name, value in said)


def _value(found: dict[bytes, bytes], name: bytes) -> str | None:
    value = found.get(name)
    return None if value is None else value.decode("latin-1").strip()


def _mode(found: dict[bytes, bytes]) -> str | None:
    mode = _value(found, b"x-isocost-mode")
    if mode is not None and mode not in MODES:
        raise _refused("x-isocost-mode", f"must be one of {', '.join(MODES)}")
    return mode


def _context_tokens(found: dict[bytes, bytes]) -> int | None:
    value = _value(found, b"x-isocost-context-tokens")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10) or int(value) > CONTEXT_TOKENS_MAX:
        raise _refused("x-isocost-context-tokens", f"must be a whole number from 0 to {CONTEXT_TOKENS_MAX}")
    return int(value)


def _refused(header: str, sentence: str) -> BadRequestError:
    return BadRequestError(f"{header}: {sentence}", param=header)
