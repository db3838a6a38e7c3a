"""The real-model benchmark as a drawing, from the rows that it has written and nothing else.

    python -m benchmarks.real_model_plot ROWS.csv FILE.svg

Three panels over the turns of the chat, direct and through isocost: time to first token, the engine's own time for the
prompt, and its tokens with those found in the prefix cache. Drawing needs matplotlib.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.real_model_rows import Sample, Samples, epoch_starts, of_path, read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"direct": "#cb181d", "isocost": "#08519c"}


def draw(samples: Samples, file: Path) -> None:
    """Write the panels as SVG, the same bytes for the same rows."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # no pyplot: it would look for a display

    starts = epoch_starts(of_path(samples, "isocost"))
    # text stays text: small, and readable by a search; the salt makes the ids of clip paths stand still
    with mpl.rc_context({"svg.hashsalt": "isocost", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(7.2, 8.0), layout="constrained")
        first, prompt, tokens = figure.subplots(3, 1, sharex=True)
        _lines(first, samples, lambda sample: sample.first_token_ms / 1000)
        first.set_ylabel("time to first token, s")
        _lines(prompt, samples, lambda sample: None if sample.prompt_ms is None else sample.prompt_ms / 1000)
        prompt.set_ylabel("engine's time for the prompt, s")
        _lines(tokens, samples, lambda sample: sample.prompt_tokens, suffix=", prompt")
        _lines(tokens, samples, lambda sample: sample.cached_tokens, suffix=", of it cached", style=":")
        tokens.set_ylabel("tokens, the engine's count")
        tokens.set_xlabel("turn")
        for axes in (first, prompt, tokens):
            for start in starts:
                axes.axvline(start, color="#969696", linewidth=0.7, linestyle="--", zorder=0)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False, loc="upper left", fontsize=8)
        first.set_title("SmolLM2-135M on llama.cpp, one slot, prefix cache on; dashed: an epoch begins", fontsize=10)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _lines(
    axes: "Axes", samples: Samples, of: Callable[[Sample], float | None], *, suffix: str = "", style: str = "-"
) -> None:
    for path, colour in COLOURS.items():
        # a turn that lacks the figure leaves a gap: None is drawn as nothing
        points = [(sample.turn, of(sample)) for sample in of_path(samples, path)]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.3, label=f"{path}{suffix}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_model_plot")
    parser.add_argument("rows", type=Path, metavar="ROWS.csv", help="written by benchmarks.real_model --rows")
    parser.add_argument("plot", type=Path, metavar="FILE.svg", help="what to draw")
    args = parser.parse_args()
    draw(read_rows(args.rows), args.plot)


if __name__ == "__main__":
    main()
