"""What a budget buys: LoCoMo's evidence coverage over tokens, for isocost's recall and three simpler choices.

    python -m benchmarks.coverage_plot [--plot FILE.svg]

Straight from memory_core, as the ablation does it: the mean over questions of the share of their evidence turns that
the budget admits. The sliding window holds the last turns that fit, whatever is asked. Drawing needs matplotlib.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean

from benchmarks.embedding import embed_all
from benchmarks.locomo import Dialogue, read_locomo
from benchmarks.recall_ablation import asked, bm25_alone, costs_of, dense_alone, found_in, ranked, said
from benchmarks.serving import DATA
from memory_core.index import Floats

BUDGETS = (256, 384, 512, 768, 1_024, 1_536, 2_048)

Curves = Mapping[str, Sequence[float]]
"""Coverage, 0..1, at each of BUDGETS, by the name of the choice."""


def curves(dialogues: Sequence[Dialogue], vectors: Sequence[tuple[Floats, Floats]]) -> Curves:
    """All four; `vectors` are the unit rows of each dialogue's turns and questions."""
    costs = [costs_of(dialogue) for dialogue in dialogues]
    rankings = {"isocost": nullcontext, "BM25 alone": bm25_alone, "dense alone": dense_alone}
    found = {}
    for name, ranking in rankings.items():
        with ranking():
            parts = zip(dialogues, vectors, costs, strict=True)
            found[name] = [row for dialogue, rows, each in parts for row in _recalled(dialogue, *rows, each)]
    found["sliding window"] = [row for part in zip(dialogues, costs, strict=True) for row in _latest(*part)]
    return {name: [fmean(shares) for shares in zip(*rows, strict=True)] for name, rows in found.items()}


def _recalled(dialogue: Dialogue, rows: Floats, queries: Floats, costs: Sequence[int]) -> Iterator[list[float]]:
    """For each question, the share of its evidence at each of BUDGETS."""
    for question, order in ranked(dialogue, rows, queries):
        yield [found_in(question, order, costs, budget) / len(question.evidence) for budget in BUDGETS]


def _latest(dialogue: Dialogue, costs: Sequence[int]) -> Iterator[list[float]]:
    windows = [latest_turns(costs, budget) for budget in BUDGETS]
    for question in dialogue.questions:
        yield [fmean(turn in window for turn in question.evidence) for window in windows]


def latest_turns(costs: Sequence[int], budget: int) -> set[int]:
    """The longest run of turns (from 0) at the end that fits into `budget` tokens."""
    first = len(costs)
    while first > 0 and costs[first - 1] <= budget:
        first -= 1
        budget -= costs[first]
    return set(range(first, len(costs)))


def render(found: Curves) -> str:
    """The table, in Markdown."""
    lines = ["| context tokens | " + " | ".join(f"{budget:,}" for budget in BUDGETS) + " |"]
    lines.append("|---" * (1 + len(BUDGETS)) + "|")
    lines += [f"| {name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |" for name, shares in found.items()]
    return "\n".join(lines)


def draw(found: Curves, file: Path) -> None:
    """Write the curves as SVG, the same bytes for the same curves."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # no pyplot: it would look for a display

    # text stays text: small, and readable by a search; the salt makes the ids of clip paths stand still
    with mpl.rc_context({"svg.hashsalt": "isocost", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for (name, shares), style in zip(found.items(), ("o-", "s--", "^--", "x:"), strict=True):
            axes.plot(BUDGETS, shares, style, label=name, markersize=4, linewidth=2 if name == "isocost" else 1.2)
        axes.set_xscale("log", base=2)
        axes.set_xticks([256, 512, 1024, 2048], ["256", "512", "1,024", "2,048"])
        axes.minorticks_off()
        axes.set_ylim(0, 1)
        axes.set_xlabel("context tokens")
        axes.set_ylabel("share of the evidence in the context")
        axes.set_title("LoCoMo, development half, categories 1–4")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


async def embed(dialogues: Sequence[Dialogue]) -> list[tuple[Floats, Floats]]:
    """The unit rows of the turns and of the questions of each dialogue."""
    rows = await embed_all([texts(dialogue) for dialogue in dialogues for texts in (said, asked)])
    return list(zip(rows[::2], rows[1::2], strict=True))


def main(plot: Path | None = None) -> bool:
    """Measure, print and draw; False if a simpler choice is better anywhere, True also where the data is missing."""
    source = DATA / "locomo.json"
    if not source.exists():
        print(f"Coverage by tokens: skipped, {source.name} is not beside this checkout\n")
        return True
    dialogues = read_locomo(source)
    found = curves(dialogues, asyncio.run(embed(dialogues)))
    print(f"LoCoMo, {len(dialogues)} dialogues: share of the evidence that a budget admits, recall alone\n")
    print(render(found) + "\n")
    if plot is not None:
        draw(found, plot)
    ours, *others = found.values()
    return all(best >= max(rest) for best, *rest in zip(ours, *others, strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage_plot")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it, too")
    sys.exit(0 if main(parser.parse_args().plot) else 1)
