"""The `isocost` command: serve, demo, conversations, handoff, forget, models."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path
from typing import Annotated

import cyclopts
import uvicorn
from rich.console import Console
from rich.table import Table

from config.settings import Settings, load_settings
from config.sources import SettingsError
from embedders import EmbedderError
from embedders.models import ModelInfo, check_model, list_models, quantise_model
from memory_core.stores import Store, StoreError, open_store
from proxy.app import create_app, open_configured_embedder
from proxy.claim import Claim
from proxy.demo.model import demo_model
from proxy.demo.recorder import Recorder
from proxy.demo.serving import serve_app
from proxy.demo.show import run_demo
from proxy.handing_over import handed_over
from proxy.ledger import Row, decode_row
from proxy.tokens import TokenCounter

app = cyclopts.App(
    name="isocost",
    help="OpenAI-compatible proxy that makes every turn of a conversation cost the same.",
    version=lambda: metadata.version("isocost"),
)
models = cyclopts.App(name="models", help="Embedding models: list, check, quantise.")
app.command(models)
PIPED_COLUMNS = 160
"""A table that goes into a file or a pipe is not cut to the 80 columns of a terminal that is not there."""

LISTED = 50
HANDED_OVER_TOKENS = 1_500
console = Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS)

Flag = cyclopts.Parameter(show_default=False)


@app.command
def serve(
    *,
    host: Annotated[str | None, Flag] = None,
    port: Annotated[int | None, Flag] = None,
    upstream: Annotated[str | None, Flag] = None,
    store: Annotated[str | None, Flag] = None,
    workers: Annotated[int | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
) -> int:
    """Run the proxy.

    Each flag is also ISOCOST_* in the environment and a key of the TOML file; see config/isocost.example.toml.

    Parameters
    ----------
    host: address to listen on (127.0.0.1)
    port: port to listen on (8400)
    upstream: base URL of the model server; the built-in demo model if none
    store: sqlite:///path, redis://, rediss://, redis+sentinel://, redis+cluster:// or memory://
    workers: processes that share the port (1)
    config: a TOML file
    """
    flags = {"host": host, "port": port, "upstream": upstream, "store": store, "workers": workers}
    settings = load_settings(flags, config)
    _log_to_stderr(settings.log_level)
    shown = settings.upstream if settings.upstream else "the built-in demo model"
    logging.getLogger("isocost").info(
        "isocost on http://%s:%d -> %s, mode %s", settings.host, settings.port, shown, settings.mode
    )
    if settings.workers > 1:  # uvicorn's workers build the app themselves: what flags said, the environment tells them
        os.environ.update({f"ISOCOST_{name.upper()}": str(value) for name, value in flags.items() if value is not None})
        if config is not None:
            os.environ["ISOCOST_CONFIG"] = str(config)
    # uvicorn drains, then raises the signal again: a stop that was asked for and went well is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    target = "proxy.app:create_app" if settings.workers > 1 else create_app(settings)
    uvicorn.run(
        target,
        factory=settings.workers > 1,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,  # the upstream's own `server` and `date` stand, not ours beside them
        date_header=False,
        lifespan="on",
        timeout_graceful_shutdown=int(settings.drain_timeout_s),
    )
    return 0


@app.command
def demo(*, mode: str = "compact") -> int:
    """Play a 120-turn conversation through the proxy and the built-in demo model; no network, nothing kept.

    Parameters
    ----------
    mode: compact, auto or passthrough
    """
    _log_to_stderr("error")
    return asyncio.run(_demo(mode))


@app.command
def conversations(
    conversation: str | None = None,
    /,
    *,
    store: Annotated[str | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
    last: int = LISTED,
) -> int:
    """List conversations, or the ledger of one: a row a turn, full and sent tokens, mode, overhead.

    Parameters
    ----------
    conversation: a conversation's id, as in x-isocost-conversation
    store: where to look, as for `serve`
    last: how many rows at most
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_conversations(settings, conversation, last))


@app.command(name="handoff")
def hand_off(
    conversation: str,
    /,
    *,
    store: Annotated[str | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
    tokens: int = HANDED_OVER_TOKENS,
) -> int:
    """Print what a conversation settled, in Markdown: rules, decisions, open errors, test results, exact values.

    Parameters
    ----------
    conversation: a conversation's id, as in x-isocost-conversation
    store: where to look, as for `serve`
    tokens: the most that the block may take; sections of low priority are dropped whole
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_hand_off(settings, conversation, tokens))


@app.command
def forget(
    conversation: str, /, *, store: Annotated[str | None, Flag] = None, config: Annotated[Path | None, Flag] = None
) -> int:
    """Delete a conversation from the store: its log, state and ledger. A client that resends it begins it anew.

    Parameters
    ----------
    conversation: a conversation's id, as in x-isocost-conversation
    store: where to look, as for `serve`
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_forget(settings, conversation))


@models.command(name="list")
def list_(root: Path = Path()) -> int:
    """List the built-in model and the ONNX models in the folders under ROOT."""
    _print_models(list_models(root))
    return 0


@models.command
def check(folder: Path | None = None) -> int:
    """Open a model folder (the built-in model if none) and test it."""
    _print_models([asyncio.run(check_model(folder))])
    return 0


@models.command
def quantise(source: Path, target: Path) -> int:
    """Make an int8 model of the ONNX model folder SOURCE in the new folder TARGET."""
    _print_models([quantise_model(source, target)])
    return 0


def main() -> None:
    """The command's entry point: faults of use and of the surroundings end in one sentence and status 2."""
    try:
        sys.exit(app())
    except (SettingsError, StoreError, EmbedderError) as error:
        Console(stderr=True).print(f"isocost: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


async def _demo(mode: str) -> int:
    recorder = Recorder(demo_model())
    async with serve_app(recorder) as model_port:
        # flags over whatever this machine is configured to do: the demo shows the defaults
        flags = {"upstream": f"http://127.0.0.1:{model_port}", "store": "memory://"}
        async with serve_app(create_app(load_settings(flags, environ={}))) as port:
            return await run_demo(f"http://127.0.0.1:{port}", console, last_prompt=recorder.prompt, mode=mode)


async def _conversations(settings: Settings, conversation: str | None, last: int) -> int:
    store = await open_store(settings.store_url, timeout_s=settings.store_timeout_s)
    try:
        if conversation is None:
            return await _list(store, last)
        rows = [decode_row(row) for row in await store.rows(conversation, last)]
    finally:
        await store.aclose()
    if not rows:
        console.print(f"no conversation {conversation!r} in this store", markup=False)
        return 1
    console.print(_ledger_table(rows))
    return 0


async def _hand_off(settings: Settings, conversation: str, tokens: int) -> int:
    async with AsyncExitStack() as stack:
        embedder = await open_configured_embedder(settings)
        stack.push_async_callback(embedder.aclose)
        store = await open_store(settings.store_url, timeout_s=settings.store_timeout_s)
        stack.push_async_callback(store.aclose)
        await Claim(store, embedder.name).confirm()
        block = await handed_over(store, embedder.name, conversation, tokens, TokenCounter({}).text)
    if block is None:
        console.print(f"no conversation {conversation!r} in this store", markup=False)
        return 1
    console.print(block or "Nothing was settled in this conversation.", markup=False, highlight=False, soft_wrap=True)
    return 0


async def _forget(settings: Settings, conversation: str) -> int:
    store = await open_store(settings.store_url, timeout_s=settings.store_timeout_s)
    try:
        if await store.load(conversation) is None and not await store.rows(conversation, 1):
            console.print(f"no conversation {conversation!r} in this store", markup=False)
            return 1
        await store.delete(conversation)
    finally:
        await store.aclose()
    return 0


async def _list(store: Store, last: int) -> int:
    table = Table("conversation", "requests", box=None)
    for summary in await store.conversations(last):
        table.add_row(summary.conversation, str(summary.rows))
    console.print(table)
    return 0


def _ledger_table(rows: list[Row]) -> Table:
    table = Table("turn", "full", "sent", "saved", "mode", "epoch", "phase", "overhead ms", "status", "error", box=None)
    table.add_column("recalled")
    for row in rows:
        cells = [row.turn, row.full_tokens, row.sent_tokens, f"{row.saved:.0%}", row.mode, row.epoch, row.phase]
        table.add_row(*map(str, [*cells, f"{row.overhead_ms:.1f}", row.status, row.error, _places(row)]))
    return table


def _places(row: Row) -> str:
    """Turns that were recalled; "12.2" is the second part of turn 12."""
    return " ".join(f"{turn}.{chunk + 1}" if chunk else str(turn) for turn, chunk in row.recalled)


def _print_models(found: list[ModelInfo]) -> None:
    table = Table("name", "dimension", "tokens max", "MB", "sha256", "path", "problem", box=None)
    for model in found:
        megabytes = None if model.size_bytes is None else round(model.size_bytes / 1e6, 1)
        numbers = ["" if number is None else str(number) for number in (model.dimension, model.tokens_max, megabytes)]
        table.add_row(model.name, *numbers, model.sha256, str(model.path), model.problem or "")
    console.print(table)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel("WARNING")  # it tells of each call to an embeddings server
