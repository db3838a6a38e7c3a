"""The conversations that are replayed turn by turn: LoCoMo as a chat, LongMemEval's histories, tool chats."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.locomo import Dialogue, read_locomo
from benchmarks.longmemeval_http import read_rows
from benchmarks.serving import DATA

SYSTEM = {"role": "system", "content": "You are a helpful assistant. Answer briefly and say so if you do not know."}
"""What a chat without one begins with."""

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat as its client keeps it; `messages` hold the assistant's as well."""

    corpus: str
    messages: tuple[Message, ...]

    def requests(self) -> Iterator[tuple[tuple[Message, ...], Message]]:
        """What is sent for each assistant message, and that message."""
        for place, message in enumerate(self.messages):
            if message["role"] == "assistant" and place and self.messages[place - 1]["role"] in ("user", "tool"):
                yield self.messages[:place], message


def locomo(most: int | None = None) -> list[Conversation]:
    """One of the two is the user, the other the assistant."""
    dialogues = read_locomo(DATA / "locomo.json")
    return [Conversation("LoCoMo", (SYSTEM, *_spoken(dialogue))) for dialogue in islice(dialogues, most)]


def longmemeval(most: int | None = None) -> list[Conversation]:
    """Histories of some 490 messages, dated in front of the user's."""
    rows = read_rows(DATA / "longmemeval_s.jsonl.gz")
    return [Conversation("LongMemEval-S", (SYSTEM, *row.history)) for row in islice(rows, most)]


def tool_chats(most: int | None = None) -> list[Conversation]:
    """Trajectories with tool calls and their replies."""
    with gzip.open(DATA / "tool_chats.json.gz", "rt", encoding="utf-8") as file:
        rows = json.load(file)
    return [Conversation("tool chats", tuple(row["traj"])) for row in islice(rows, most)]


def endless(conversation: Conversation, messages: int) -> Conversation:
    """A synthetic continuation: its messages again and again, numbered so that no round repeats another's words."""
    turns = conversation.messages[1:]
    grown = [
        {**turns[place % len(turns)], "content": f"({place}) {turns[place % len(turns)]['content']}"}
        for place in range(messages)
    ]
    return Conversation("continuation", (conversation.messages[0], *grown))


def _spoken(dialogue: Dialogue) -> Iterator[Message]:
    for turn in dialogue.turns:
        yield {"role": "user" if turn.is_first_speaker else "assistant", "content": turn.dated}
