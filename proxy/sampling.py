"""Which conversations go upstream as the client wrote them, to compare with: a fixed share, the same on any replica."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """`shadow`: planned and priced as if, but sent unchanged. `holdout`: sent unchanged. Of all conversations, 0..1."""

    shadow: float = 0.0
    holdout: float = 0.0

    def of(self, conversation: str) -> str:
        """The share that a conversation (hexadecimal) falls into: "shadow", "holdout" or ""."""
        place = int(conversation[:8], 16) / 2**32
        if place < self.shadow:
            return "shadow"
        return "holdout" if place < self.shadow + self.holdout else ""
