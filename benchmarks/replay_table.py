"""The figures of a replay: tables, and the bars that they are held to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from statistics import fmean, median

from config.prices import Price

RATIO_BARS = {(0.1, 1.0): 0.25, (0.25, 1.0): 0.13, (0.025, 1.25): 0.75}
"""Of LongMemEval's histories: read and write price, the most of cached full history's price."""

LONG = 1.3
"""Of the break-even: a conversation so long must have cost no more than cached full history."""

FLAT_FROM = 100
MEDIAN_TOKENS_MAX = 3_200
P99_TOKENS_MAX = 5_500
FLAT_WITHIN = 0.10
AGREES_WITHIN = 0.05
"""The ledger's estimate of cached tokens, message by message, with the exact one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: tokens, prices in fresh input tokens. `cached` by token ids, `estimated` as the ledger has it."""

    messages: int
    full: int
    sent: int
    paid: float
    rival: float
    rewritten: float
    cached: int
    estimated: int
    epoch: int
    why: str
    rewrite: float
    fault: str


@dataclass(frozen=True)
class Played:
    """A conversation at a row of prices."""

    corpus: str
    price: Price
    turns: tuple[Turn, ...]

    @cached_property
    def ratio(self) -> float:
        """Of cached full history's price."""
        return sum(turn.paid for turn in self.turns) / sum(turn.rival for turn in self.turns)

    @cached_property
    def debts(self) -> list[float]:
        """By how much more than cached full history had been paid after each turn."""
        return list(accumulate(turn.paid - turn.rival for turn in self.turns))

    @cached_property
    def worst(self) -> float:
        """The most of cached full history's price that had been paid after any turn."""
        paid = accumulate(turn.paid for turn in self.turns)
        rival = accumulate(turn.rival for turn in self.turns)
        return max(ours / theirs for ours, theirs in zip(paid, rival, strict=True))

    @cached_property
    def over_bound(self) -> float:
        """The most that was owed after any turn, as a share of the rewrite that began the epoch in force."""
        worst, rewrite = 0.0, 0.0
        for turn, debt in zip(self.turns, self.debts, strict=True):
            rewrite = turn.rewrite or rewrite
            if debt > 0.5:
                worst = max(worst, debt / rewrite if rewrite else float("inf"))
        return worst

    @cached_property
    def break_even(self) -> int:
        """Tokens of full history when passthrough was left; 0 if it never was."""
        return next((turn.full for turn in self.turns if turn.epoch), 0)

    @property
    def is_long(self) -> bool:
        """So long that the layout must have paid."""
        return bool(self.break_even) and self.turns[-1].full > LONG * self.break_even

    @property
    def late(self) -> list[int]:
        """Tokens sent from message FLAT_FROM on, once compact."""
        return [turn.sent for turn in self.turns if turn.messages >= FLAT_FROM and turn.epoch]


def print_tables(played: Sequence[Played]) -> None:
    """A table for each corpus, a line for each row of prices."""
    for corpus, runs in _grouped(played, lambda run: run.corpus):
        print(f"### {corpus}: {len({id(run.turns[0]) for run in runs}) // len(_prices(runs))} conversations\n")
        _print_row(
            *("r", "w", "÷ cached full history", "÷ uncached", "÷ rewritten each turn", "worst turn"),
            *("most owed ÷ rewrite", "left passthrough", "at tokens", "long, and paid", "tokens, median", "p99"),
            *("ledger's cached ÷ exact", "faults"),
        )
        _print_row(*["---:"] * 14)
        for price in _prices(runs):
            _print_price(price, [run for run in runs if run.price is price])
        print()


def _print_price(price: Price, runs: Sequence[Played]) -> None:
    turns = [turn for run in runs for turn in run.turns]
    paid = sum(turn.paid for turn in turns)
    late = sorted(tokens for run in runs for tokens in run.late)
    left = [run.break_even for run in runs if run.break_even]
    long = [run for run in runs if run.is_long]
    cached = sum(turn.cached for turn in turns)
    _print_row(
        price.read,
        price.write,
        f"{fmean(run.ratio for run in runs):.3f}",
        f"{paid / sum(turn.full for turn in turns):.3f}",
        f"{paid / sum(turn.rewritten for turn in turns):.3f}",
        f"{max(run.worst for run in runs):.3f}",
        f"{max(run.over_bound for run in runs):.2f}",
        f"{len(left)} of {len(runs)}",
        f"{median(left):,.0f}" if left else "–",
        f"{sum(run.ratio <= 1 for run in long)} of {len(long)}",
        f"{median(late):,.0f}" if late else "–",
        f"{percentile(late, 99):,}" if late else "–",
        f"{sum(turn.estimated for turn in turns) / cached:.3f}" if cached else "–",
        sum(bool(turn.fault) for turn in turns),
    )


def bars_held(played: Sequence[Played]) -> bool:
    """Print what is missed; True if nothing is."""
    missed = [
        *(f"{_name(run)}: owed more than a rewrite" for run in played if run.over_bound > 1),
        *(f"{_name(run)}: long, but not paid for" for run in played if run.is_long and run.ratio > 1),
        *(f"{_name(run)}: {turn.fault}" for run in played for turn in run.turns if turn.fault),
    ]
    cached, estimated = (sum(getattr(t, name) for run in played for t in run.turns) for name in ("cached", "estimated"))
    if abs(estimated / cached - 1) > AGREES_WITHIN:
        missed.append(f"the ledger estimates {estimated / cached:.3f} of the tokens that are cached")
    histories = [run for run in played if run.corpus == "LongMemEval-S"]
    for price in _prices(histories):
        runs = [run for run in histories if run.price is price]
        ratio, bar = fmean(run.ratio for run in runs), RATIO_BARS.get((price.read, price.write), 1.0)
        late = sorted(tokens for run in runs for tokens in run.late)
        if ratio > bar:
            missed.append(f"{_name(runs[0])}: {ratio:.3f} of cached full history, at most {bar} allowed")
        if median(late) > MEDIAN_TOKENS_MAX or percentile(late, 99) > P99_TOKENS_MAX:
            missed.append(f"{_name(runs[0])}: {median(late):,.0f} tokens, p99 {percentile(late, 99):,}")
    print("\n".join(missed) if missed else "All bars are held.")
    return not missed


def is_flat(near: Sequence[Played], far: Sequence[Played]) -> bool:
    """Print the tokens sent at some hundred messages and far on; True if these are the same within a tenth."""
    medians = [median([tokens for run in runs for tokens in run.late]) for runs in (near, far)]
    ratio = medians[1] / medians[0]
    last = far[0].turns[-1].messages
    print(f"Median of the tokens sent: {medians[0]:,.0f} from message {FLAT_FROM} on, {medians[1]:,.0f} near {last:,}")
    return abs(ratio - 1) <= FLAT_WITHIN


def percentile(ordered: Sequence[int], share: int) -> int:
    """The smallest value that so many hundredths do not exceed."""
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


def _name(run: Played) -> str:
    return f"{run.corpus}, r = {run.price.read}, w = {run.price.write}"


def _prices(runs: Iterable[Played]) -> list[Price]:
    return list(dict.fromkeys(run.price for run in runs))


def _grouped(runs: Sequence[Played], key: Callable[[Played], str]) -> list[tuple[str, list[Played]]]:
    return [(name, list(group)) for name, group in groupby(runs, key)]


def _print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |")
