"""What was measured of a real engine, a row a turn and path: as CSV, as tables, as sentences. Pure but for the file."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.real_model_client import Turn

MILESTONES = (1, 20, 40, 60, 80, 100)

LATE_FROM = 60
"""From this turn on bounded prompts are to be the faster ones."""


class Sample(msgspec.Struct, frozen=True):
    """One turn on one path; times in ms, tokens by the engine's count, None where nobody said.

    The client timed `first_token_ms`, the engine `prompt_ms`. `mode`, `epoch`, `error` and `sent_tokens` (its own count
    of the prompt) are isocost's headers, `estimated_cached_tokens` is from its ledger.
    """

    path: str
    turn: int
    first_token_ms: float
    prompt_tokens: int
    cached_tokens: int | None = None
    prompt_ms: float | None = None
    mode: str = ""
    epoch: int = 0
    error: str = ""
    retries: int = 0
    sent_tokens: int | None = None
    estimated_cached_tokens: int | None = None

    @classmethod
    def of(cls, path: str, number: int, turn: Turn) -> "Sample":
        """The figures of an answer."""
        usage, said = turn.usage, turn.isocost
        return cls(
            path,
            number,
            round(turn.first_token_ms, 1),
            usage.prompt_tokens,
            usage.cached_tokens,
            None if usage.prompt_ms is None else round(usage.prompt_ms, 1),
            said.get("mode", ""),
            int(said.get("epoch", 0)),
            said.get("error", ""),
            turn.retries,
            int(said["sent-tokens"]) if "sent-tokens" in said else None,
        )


Samples = Sequence[Sample]


def write_rows(samples: Iterable[Sample], file: Path) -> None:
    """As CSV with a head; an empty cell is None or ""."""
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, Sample.__struct_fields__, lineterminator="\n")
        writer.writeheader()
        writer.writerows(msgspec.structs.asdict(sample) for sample in samples)


def read_rows(file: Path) -> list[Sample]:
    """Inverse of `write_rows`; raises msgspec.ValidationError (a ValueError) for a cell that is none of ours."""
    with file.open(newline="", encoding="utf-8") as source:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(source)]
    return msgspec.convert(rows, list[Sample], strict=False)


def of_path(samples: Iterable[Sample], path: str) -> list[Sample]:
    """The turns of one path, in order."""
    return [sample for sample in samples if sample.path == path]


def with_estimates(samples: Iterable[Sample], cached: Mapping[int, int]) -> list[Sample]:
    """Isocost's turns with what its ledger took for cached, by turn of the transcript: question n is the (2n - 1)th."""
    return [
        msgspec.structs.replace(sample, estimated_cached_tokens=cached.get(2 * sample.turn - 1))
        if sample.path == "isocost"
        else sample
        for sample in samples
    ]


COLUMNS: Mapping[str, Callable[[Sample], float | None]] = {
    "TTFT ms": lambda sample: sample.first_token_ms,
    "prompt ms": lambda sample: sample.prompt_ms,
    "prompt tokens": lambda sample: sample.prompt_tokens,
    "cached tokens": lambda sample: sample.cached_tokens,
}


def total(samples: Samples, of: Callable[[Sample], float | None]) -> float | None:
    """A sum; None as soon as one turn lacks its part."""
    values = [of(sample) for sample in samples]
    return None if None in values else sum(value for value in values if value is not None)


def warm_table(direct: Samples, proxied: Samples, milestones: Sequence[int] = MILESTONES) -> str:
    """Milestones (turns from 1) that were reached, the sums over all turns, and isocost's share of direct's."""
    reached = [number for number in milestones if number <= min(len(direct), len(proxied))]
    rows = [[f"{n}", *_pairs(direct[n - 1 : n], proxied[n - 1 : n]), _done(proxied[n - 1])] for n in reached]
    rows.append([f"sum of 1–{len(direct)}", *_pairs(direct, proxied), ""])
    ratios = (_ratio(total(proxied, of), total(direct, of)) for of in COLUMNS.values())
    rows.append(["isocost ÷ direct", *(cell for ratio in ratios for cell in ("", ratio)), ""])
    return _markdown(["turn", *(f"{name}, {way}" for name in COLUMNS for way in ("direct", "isocost")), "epoch"], rows)


def cold_table(direct: Samples, proxied: Samples) -> str:
    """The same turns without the engine's prefix cache: every token of the prompt is computed."""
    names = ("TTFT ms", "prompt tokens")
    rows = [
        [f"{one.turn}", *_pairs([one], [other], names), _ratio(other.first_token_ms, one.first_token_ms)]
        for one, other in zip(direct, proxied, strict=True)
    ]
    head = [f"{name}, {way}" for name in names for way in ("direct", "isocost")]
    return _markdown(["turn, cold", *head, "TTFT, isocost ÷ direct"], rows)


def _pairs(direct: Samples, proxied: Samples, names: Iterable[str] = COLUMNS) -> list[str]:
    return [_number(total(samples, COLUMNS[name])) for name in names for samples in (direct, proxied)]


def _done(sample: Sample) -> str:
    return f"{sample.epoch}" if sample.mode == "compact" else sample.mode


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _ratio(part: float | None, whole: float | None, digits: int = 2) -> str:
    return "–" if part is None or not whole else f"{part / whole:.{digits}f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def late(direct: Samples, proxied: Samples, first: int = LATE_FROM) -> str:
    """The medians from the turn `first` on, and how often isocost was the faster one; "" if it was not reached."""
    pairs = [(one, other) for one, other in zip(direct, proxied, strict=True) if one.turn >= first]
    if not pairs:
        return ""
    medians = [median(sample.first_token_ms for sample in samples) for samples in zip(*pairs, strict=True)]
    faster = sum(other.first_token_ms < one.first_token_ms for one, other in pairs)
    return (
        f"Turns {first}–{pairs[-1][0].turn}, median time to first token: direct {medians[0]:,.0f} ms, isocost "
        f"{medians[1]:,.0f} ms; isocost was the faster one on {faster} of {len(pairs)} ({faster / len(pairs):.0%})."
    )


def agreement(proxied: Samples, first: int = LATE_FROM) -> str:
    """The ledger's estimate of cached tokens beside the engine's count, over all turns and from `first` on."""
    lines = []
    for since in (1, first):
        samples = [sample for sample in proxied if sample.turn >= since]
        if samples:
            lines.append(f"Cached tokens, turns {since}–{samples[-1].turn}: {_agreement(samples)}.")
    counted = total(proxied, lambda sample: sample.sent_tokens)
    prompts = total(proxied, lambda sample: sample.prompt_tokens)
    lines.append(f"Its own count of all that it sent is {_ratio(counted, prompts, 3)} of the engine's.")
    return "\n".join(lines)


def _agreement(samples: Samples) -> str:
    estimated = total(samples, lambda sample: sample.estimated_cached_tokens)
    cached = total(samples, lambda sample: sample.cached_tokens)
    return f"{_number(estimated)} by isocost's ledger, {_number(cached)} by the engine, {_ratio(estimated, cached, 3)}"


def remark(direct: Samples, proxied: Samples) -> str:
    """What isocost did, so that a run in which memory stood aside does not pass for one in which it worked."""
    compact = sum(sample.mode == "compact" for sample in proxied)
    errors = sorted({sample.error for sample in proxied if sample.error})
    retries = [sum(sample.retries for sample in samples) for samples in (direct, proxied)]
    return (
        f"isocost compacted {compact} of {len(proxied)} turns; errors: {', '.join(errors) if errors else 'none'}; "
        f"requests sent again: direct {retries[0]}, isocost {retries[1]}"
    )


def epoch_starts(proxied: Samples) -> list[int]:
    """The turns at which isocost rewrote the prompt: the first compact one, and each of another epoch than the last."""
    starts, before = [], 0
    for sample in proxied:
        epoch = sample.epoch if sample.mode == "compact" else 0
        if epoch not in (0, before):
            starts.append(sample.turn)
        before = epoch
    return starts
