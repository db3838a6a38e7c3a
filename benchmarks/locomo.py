"""LoCoMo's JSON as dialogues: the one reader of every measurement that uses it.

LoCoMo (snap-research, CC BY-NC 4.0, so no row of it is in this repository) holds long conversations of two people in
dated sessions, and questions with the turns that hold the evidence. Its photos are known by a caption that another
model wrote; it is part of the text, as those who publish retrieval figures on LoCoMo have it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
"""The fifth, adversarial, asks for what was never said: its evidence answers another question."""

_SESSION = re.compile(r"session_(\d+)")
_PLACE = re.compile(r"D\d+:\d+")
"""A few evidence fields join two places in one string or carry stray characters; this reads them all."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the two said. `caption` describes the photo that went with it, "" if none did."""

    date: str
    speaker: str
    text: str
    caption: str
    is_first_speaker: bool

    @property
    def said(self) -> str:
        """ "speaker: text [photo: caption]"."""
        photo = f" [photo: {self.caption}]" if self.caption else ""
        return f"{self.speaker}: {self.text}{photo}"

    @property
    def dated(self) -> str:
        """As `said`, after the session's date: what is sent and remembered."""
        return f"[{self.date}] {self.said}"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its category (a key of CATEGORIES) and the turns (from 0, each once) that hold its evidence."""

    text: str
    category: int
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation in the order of its sessions, and the questions about it."""

    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


def read_locomo(path: Path) -> list[Dialogue]:
    """Every dialogue of the file."""
    return [read_dialogue(sample) for sample in json.loads(path.read_text("utf-8"))]


def read_dialogue(sample: Mapping[str, Any]) -> Dialogue:
    """One sample of the file; questions of the fifth category, or whose evidence names no turn, are left out."""
    conversation = sample["conversation"]
    numbers = sorted(int(match.group(1)) for match in map(_SESSION.fullmatch, conversation) if match)
    turns: list[Turn] = []
    places: dict[str, int] = {}
    for number in numbers:
        for row in conversation[f"session_{number}"]:
            places[row["dia_id"]] = len(turns)
            turns.append(
                Turn(
                    conversation[f"session_{number}_date_time"],
                    row["speaker"],
                    row["text"].strip(),
                    row.get("blip_caption", "").strip(),
                    row["speaker"] == conversation["speaker_a"],
                )
            )
    return Dialogue(tuple(turns), tuple(_questions(sample["qa"], places)))


def _questions(rows: Sequence[Mapping[str, Any]], places: Mapping[str, int]) -> list[Question]:
    questions = []
    for row in rows:
        named = dict.fromkeys(_PLACE.findall(" ".join(row.get("evidence", []))))
        evidence = tuple(places[name] for name in named if name in places)
        if row["category"] in CATEGORIES and evidence:
            questions.append(Question(row["question"], row["category"], evidence))
    return questions
