"""The ledger: one row a turn, what it would have cost and what it did. Rows are msgspec JSON, kept by the store."""

from typing import Any

import msgspec


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. Tokens are our own counts of the prompt; `reported_tokens` is the upstream's, 0 if it said none.

    `at` is in unix seconds, `overhead_ms` our own time before the upstream was asked, `error` why memory stood aside.
    `recalled` names what stood in the recall: (turn from 1, chunk from 0), in the order of the log.
    """

    at: float
    turn: int
    model: str
    mode: str
    full_tokens: int
    sent_tokens: int
    overhead_ms: float
    epoch: int = 0
    phase: str = ""
    status: int = 0
    reported_tokens: int = 0
    error: str = ""
    recalled: tuple[tuple[int, int], ...] = ()

    @property
    def saved(self) -> float:
        """Share of the full prompt that was not sent, 0..1."""
        return 1.0 - self.sent_tokens / self.full_tokens if self.full_tokens else 0.0


def encode_row(row: Row) -> bytes:
    """Row to bytes; inverse of `decode_row`."""
    return msgspec.json.encode(row)


def decode_row(payload: bytes) -> Row:
    """Bytes to row; raises msgspec.DecodeError (a ValueError) for bytes that are no row."""
    return msgspec.json.decode(payload, type=Row)


def reported_tokens(usage: dict[str, Any]) -> int:
    """`prompt_tokens` of an upstream's usage; 0 if it is not there."""
    tokens = usage.get("prompt_tokens")
    return tokens if isinstance(tokens, int) and 0 <= tokens < 2**63 else 0
