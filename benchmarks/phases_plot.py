"""What the state reports: one real conversation in curves, and whether a switch of topic is found where one is.

    python -m benchmarks.phases_plot [--plot FILE.svg]

The table counts `topic_switch` > 0 against known boundaries, over inputs alone, a boundary being the first input of
what follows. LongMemEval-S: five users' chats with an assistant, one after the other, each on something else. CAsT: 75
topics of some nine terse, elliptical questions, in a row, which nobody would ask so. LoCoMo: the sessions of two
friends, where a new session is seldom a new topic; its rows say how much a date is no switch. The plot shows the
first speaker of LoCoMo's first dialogue: numbers, no text.
"""

import argparse
import asyncio
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from benchmarks.cast import read_topics
from benchmarks.embedding import embed_all
from benchmarks.locomo import read_locomo
from benchmarks.serving import DATA
from memory_core.chunking import chunks
from memory_core.index import Floats
from memory_core.phases import PHASES, RECENT
from memory_core.state import MemoryState
from memory_core.update import Report, update

LONGMEMEVAL_EVERY = 6
"""Every sixth of its thirty rows: five histories of some 250 inputs each."""

RECALL_BAR = 0.8
"""Of the switches between an assistant's chats, the share to be found."""

PHASE_COLOURS = dict(zip(PHASES, ("#d9d9d9", "#fdd0a2", "#c7e9c0", "#74c476", "#9ecae1", "#fb6a4a"), strict=True))


@dataclass(frozen=True, slots=True)
class Talk:
    """The inputs of one conversation and those of them (from 0) that begin something else."""

    corpus: str
    inputs: tuple[str, ...]
    begins: frozenset[int]


@dataclass(frozen=True, slots=True)
class Detected:
    """Switches that were reported, those of them at a boundary, and how many boundaries there are."""

    corpus: str
    boundaries: int
    reported: int
    right: int

    def row(self) -> str:
        """Of the Markdown table."""
        precision = f"{self.right / self.reported:.2f}" if self.reported else "–"
        recall = f"{self.right / self.boundaries:.2f}" if self.boundaries else "–"
        return f"| {self.corpus} | {self.boundaries} | {self.reported} | {precision} | {recall} |"


def longmemeval(source: Path) -> Iterator[Talk]:
    """What each of a few users said, one chat after the other; of a long message its first chunk."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % LONGMEMEVAL_EVERY == 0:
                chats = json.loads(line)["haystack_sessions"]
                yield _talk(
                    "LongMemEval-S", [[_said(turn) for turn in chat if turn["role"] == "user"] for chat in chats]
                )


def _said(turn: dict[str, str]) -> str:
    return chunks(turn["content"])[0]


def cast(folder: Path) -> Iterator[Talk]:
    """All topics in a row."""
    yield _talk("CAsT", [[turn.said for turn in topic] for topic in read_topics(folder)])


def locomo(source: Path) -> Iterator[Talk]:
    """What the first speaker said, session after session."""
    for dialogue in read_locomo(source):
        sessions: dict[str, list[str]] = {}
        for turn in dialogue.turns:
            if turn.is_first_speaker:
                sessions.setdefault(turn.date, []).append(turn.said)
        yield _talk("LoCoMo, sessions", list(sessions.values()))


def _talk(corpus: str, parts: Sequence[Sequence[str]]) -> Talk:
    filled = [part for part in parts if part]
    ends = [0]
    for part in filled:
        ends.append(ends[-1] + len(part))
    return Talk(corpus, tuple(text for part in filled for text in part), frozenset(ends[1:-1]))


def reports(rows: Floats) -> list[Report]:
    """The report on each of these inputs, float32 [n, d]."""
    state, found = MemoryState.empty(rows.shape[1]), []
    for row in rows:
        state, report = update(state, row, 0.0, is_input=True)
        found.append(report)
    return found


def detected(talks: Sequence[Talk], reported: Sequence[Sequence[Report]]) -> list[Detected]:
    """One row a corpus."""
    found: dict[str, Detected] = {}
    for talk, rows in zip(talks, reported, strict=True):
        switches = {number for number, report in enumerate(rows) if report.topic_switch > 0}
        before = found.get(talk.corpus, Detected(talk.corpus, 0, 0, 0))
        found[talk.corpus] = Detected(
            talk.corpus,
            before.boundaries + len(talk.begins),
            before.reported + len(switches),
            before.right + len(switches & talk.begins),
        )
    return list(found.values())


def draw(rows: Sequence[Report], file: Path, title: str) -> None:
    """Write the curves over the phases as SVG, the same bytes for the same rows."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # no pyplot: it would look for a display
    from matplotlib.patches import Patch

    # text stays text: small, and readable by a search; the salt makes the ids of clip paths stand still
    with mpl.rc_context({"svg.hashsalt": "isocost", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(8.0, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for start, end in _runs([row.phase for row in rows]):
            axes.axvspan(start + 0.5, end + 0.5, color=PHASE_COLOURS[rows[start].phase], alpha=0.6, linewidth=0)
        places = range(1, len(rows) + 1)
        level = [fmean(row.similarity for row in rows[max(1, n - RECENT) : n] or rows[:1]) for n in places]
        lines = [
            axes.plot(places, [row.similarity for row in rows], color="#6baed6", linewidth=0.7, label="similarity")[0],
            axes.plot(places, level, color="#08306b", linewidth=1.8, label="mean of the last five")[0],
            axes.plot(places, [row.fsm for row in rows], "--", color="#54278f", linewidth=1.2, label="fsm")[0],
        ]
        switched = [(place, row.topic_switch) for place, row in zip(places, rows, strict=True) if row.topic_switch]
        markers = (
            axes.plot(*zip(*switched, strict=True), "v", color="#cb181d", markersize=5, label="topic_switch")
            if switched
            else []
        )
        phases = [Patch(color=PHASE_COLOURS[phase], alpha=0.6, linewidth=0, label=phase) for phase in PHASES]
        figure.legend(
            handles=[*lines, *markers, *phases], ncols=5, loc="outside lower center", frameon=False, fontsize=8
        )
        axes.set_xlim(0.5, len(rows) + 0.5)
        axes.set_ylim(-0.05, 1.05)
        axes.set_xlabel("input")
        axes.set_title(title)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _runs(phases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """[start, end) of each run of the same phase."""
    changes = [0, *(n for n, (left, right) in enumerate(pairwise(phases), start=1) if left != right), len(phases)]
    return pairwise(changes)


def main(plot: Path | None = None) -> bool:
    """Count, print and draw; False if too few switches between chats are found, True also where data is missing."""
    sources = (DATA / "longmemeval_s.jsonl.gz", DATA / "cast", DATA / "locomo.json")
    missing = [source.name for source in sources if not source.exists()]
    if missing:
        print(f"Phases: skipped, {', '.join(missing)} is not beside this checkout\n")
        return True
    talks = [talk for read, source in zip((longmemeval, cast, locomo), sources, strict=True) for talk in read(source)]
    rows = [reports(each) for each in asyncio.run(embed_all([talk.inputs for talk in talks]))]
    found = detected(talks, rows)
    print("Switches of topic, found where they are:\n")
    print("| conversation | boundaries | reported | precision | recall |\n|---|---|---|---|---|")
    print("\n".join(row.row() for row in found) + "\n")
    print("Share of the inputs in each phase:\n")
    print("| conversation | " + " | ".join(PHASES) + " |\n" + "|---" * (1 + len(PHASES)) + "|")
    for row in found:
        seen = [
            report.phase for talk, each in zip(talks, rows, strict=True) if talk.corpus == row.corpus for report in each
        ]
        print(
            f"| {row.corpus} | " + " | ".join(f"{fmean(phase == one for one in seen):.2f}" for phase in PHASES) + " |"
        )
    print()
    if plot is not None:
        first = next(number for number, talk in enumerate(talks) if talk.corpus.startswith("LoCoMo"))
        draw(rows[first], plot, "LoCoMo, first dialogue, first speaker")
    return found[0].right >= RECALL_BAR * found[0].boundaries


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phases_plot")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it, too")
    sys.exit(0 if main(parser.parse_args().plot) else 1)
