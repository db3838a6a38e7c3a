"""The demo's client: plays the conversation against a proxy and shows what every turn costs.

It is an ordinary client: it resends its whole history with each request. Whether a fact was there is judged
from the prompt that the upstream received, never from what the proxy says of itself.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.demo.model import MODEL
from proxy.demo.script import Line, Script, load_script

ROWS_SHOWN = 16
MILESTONES = (20, 60, 120)


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange. Token counts are the proxy's, None where it names none; `there` is None where no fact is asked."""

    turn: int
    full_tokens: int | None
    sent_tokens: int | None
    mode: str
    epoch: str
    fact: str | None
    there: bool | None
    reply: str

    def cells(self) -> tuple[str, ...]:
        there = "" if self.there is None else f"{'yes' if self.there else 'NO'}: {self.fact}"
        saved = _percent_saved(self.full_tokens, self.sent_tokens)
        counts = (_number(self.full_tokens), _number(self.sent_tokens))
        return (str(self.turn), *counts, saved, self.mode, self.epoch, there)


COLUMNS = ("turn", "full", "sent", "saved", "mode", "epoch", "fact there?")


async def run_demo(
    base_url: str,
    console: Console,
    *,
    last_prompt: Callable[[], str],
    mode: str = "compact",
    client: httpx.AsyncClient | None = None,
    script: Script | None = None,
    timeout_s: float = 30.0,
) -> int:
    """Play the script against the proxy at `base_url` (without `/v1`); 0 if every fact was in its prompt, else 1.

    `last_prompt` gives the text that the upstream received last (`Recorder.prompt`). `mode` is the value of
    `x-isocost-mode`. A `client` that is handed in stays open. A request that fails ends the demo with 1.
    """
    played = load_script() if script is None else script
    rows: list[Row] = []
    failure: str | None = None
    async with AsyncExitStack() as stack:
        if client is None:
            # trust_env off: a proxy from the environment must not stand between the demo and its own machine
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=timeout_s, trust_env=False))
        screen = stack.enter_context(_Screen(console, played))
        messages: list[dict[str, str]] = []
        try:
            for turn, line in enumerate(played.turns, start=1):
                messages.append({"role": "user", "content": line.say})
                response = await _ask(client, base_url, mode, messages)
                row = _row(turn, line, response, last_prompt(), played)
                messages.append({"role": "assistant", "content": row.reply})
                rows.append(row)
                screen.add(row)
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:  # no answer, or none of a chat model
            reason = str(error).partition("\n")[0]
            failure = f"turn {len(rows) + 1} failed: {type(error).__name__}: {reason}"
    console.print(_summary(rows, played))
    if failure is not None:
        console.print(Text(failure, style="bold red"))
    found = sum(row.there is True for row in rows)
    return 0 if failure is None and found == len(played.facts) else 1


async def _ask(client: httpx.AsyncClient, base_url: str, mode: str, messages: Sequence[Any]) -> httpx.Response:
    response = await client.post(
        f"{base_url.rstrip('/')}/v1/chat/completions",
        json={"model": MODEL, "messages": messages},
        headers={"x-isocost-mode": mode},
    )
    return response.raise_for_status()


def _row(turn: int, line: Line, response: httpx.Response, prompt: str, script: Script) -> Row:
    fact = None if line.asks is None else script.facts[line.asks]
    return Row(
        turn=turn,
        full_tokens=_count(response, "x-isocost-full-tokens"),
        sent_tokens=_count(response, "x-isocost-sent-tokens"),
        mode=response.headers.get("x-isocost-mode", "direct"),
        epoch=response.headers.get("x-isocost-epoch", ""),
        fact=fact,
        # the question must stand there too: a turn that was answered without a call leaves an older prompt behind
        there=None if fact is None else fact in prompt and line.say in prompt,
        reply=response.json()["choices"][0]["message"]["content"],
    )


def _count(response: httpx.Response, header: str) -> int | None:
    value = response.headers.get(header)
    return None if value is None else int(value)


class _Screen:
    """Rows as they come: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, script: Script) -> None:
        self._console = console
        self._script = script
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        # a table higher than the window would be cut at its newest end
        self._shown: deque[Row] = deque(maxlen=max(1, min(ROWS_SHOWN, console.height - 6)))

    def __enter__(self) -> "_Screen":
        if self._live is None:
            self._plain(self._script.title)
            self._plain(_aligned(COLUMNS))
        else:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def add(self, row: Row) -> None:
        self._shown.append(row)
        if self._live is None:
            self._plain(_aligned(row.cells()))
        else:
            self._live.update(self._table(), refresh=True)

    def _plain(self, line: str) -> None:
        self._console.print(Text(line.rstrip()), soft_wrap=True)

    def _table(self) -> Table:
        turns = len(self._script.turns)
        table = Table(title=f"{self._script.title}, turn {self._shown[-1].turn} of {turns}")
        for column in COLUMNS:
            table.add_column(column, justify="right" if column in COLUMNS[:4] else "left", no_wrap=True)
        for row in self._shown:
            table.add_row(*row.cells(), style=None if row.there is None else "green" if row.there else "bold red")
        return table


def _aligned(cells: Sequence[str]) -> str:
    turn, full, sent, saved, mode, epoch, there = cells
    return f"{turn:>4}  {full:>7}  {sent:>7}  {saved:>6}  {mode:<13}  {epoch:>5}  {there}"


def _summary(rows: Sequence[Row], script: Script) -> Group:
    found = sum(row.there is True for row in rows)
    lines = [f"facts in the prompt at their question: {found}/{len(script.facts)}"]
    lines += [f"turn {row.turn:>3}: missing {row.fact!r}" for row in rows if row.there is False]
    for row in rows:
        if row.turn in MILESTONES and row.full_tokens is not None:
            full, sent = _number(row.full_tokens), _number(row.sent_tokens)
            lines.append(f"turn {row.turn:>3}: full {full:>7}, sent {sent:>7} tokens")
    counted = [(row.full_tokens, row.sent_tokens) for row in rows]
    full_total = sum(full for full, _ in counted if full is not None)
    sent_total = sum(sent for _, sent in counted if sent is not None)
    if full_total > 0:
        share = sent_total / full_total
        lines.append(f"all turns: sent {sent_total:,} of {full_total:,} tokens, {share:.1%} of full history")
    else:
        lines.append("no x-isocost-* headers came back: this was a model without the proxy")
    return Group(*(Text(line) for line in lines))


def _number(tokens: int | None) -> str:
    return "-" if tokens is None else f"{tokens:,}"


def _percent_saved(full_tokens: int | None, sent_tokens: int | None) -> str:
    if full_tokens is None or sent_tokens is None or full_tokens == 0:
        return "-"
    return f"{1 - sent_tokens / full_tokens:.1%}"
