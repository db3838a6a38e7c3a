"""The `isocost` command: serve and demo; the other commands stand in cli_*.py and are named here."""

import asyncio
import logging
import os
import signal
import sys
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import Annotated

import cyclopts
import uvicorn
from rich.console import Console

from config.settings import load_settings
from config.sources import SettingsError
from embedders import EmbedderError
from memory_core.stores import StoreError
from proxy.app import create_app
from proxy.cli_conversations import conversations, forget, hand_off
from proxy.cli_models import models
from proxy.cli_output import Flag, console
from proxy.cli_prices import prices
from proxy.cli_totals import totals
from proxy.demo.model import demo_model
from proxy.demo.recorder import Recorder
from proxy.demo.serving import serve_app
from proxy.demo.show import run_demo
from proxy.give_back import share_one_arena
from proxy.server import OPTIONS
from proxy.upstream import origin_of

app = cyclopts.App(
    name="isocost",
    help="OpenAI-compatible proxy that makes every turn of a conversation cost the same.",
    version=lambda: metadata.version("isocost"),
)


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
    host
        address to listen on (127.0.0.1)
    port
        port to listen on (8400)
    upstream
        base URL of the model server; the built-in demo model if none
    store
        sqlite:///path, redis://, rediss://, redis+sentinel://, redis+cluster:// or memory://
    workers
        processes that share the port (1)
    config
        a TOML file
    """
    share_one_arena()
    flags = {"host": host, "port": port, "upstream": upstream, "store": store, "workers": workers}
    settings = load_settings(flags, config)
    _log_to_stderr(settings.log_level)
    shown = origin_of(settings.upstream) if settings.upstream else "the built-in demo model"
    logging.getLogger("isocost").info(
        "isocost on http://%s:%d -> %s, mode %s", settings.host, settings.port, shown, settings.mode
    )
    if settings.workers > 1:  # uvicorn's workers build the app themselves: what flags said, the environment tells them
        os.environ.update({f"ISOCOST_{name.upper()}": str(value) for name, value in flags.items() if value is not None})
        os.environ.setdefault("MALLOC_ARENA_MAX", "1")  # what share_one_arena does, for processes that are yet to start
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
        **OPTIONS,
        timeout_graceful_shutdown=ceil(settings.drain_timeout_s),
    )
    return 0


@app.command
def demo(*, mode: str = "compact") -> int:
    """Play a 120-turn conversation through the proxy and the built-in demo model; no network, nothing kept.

    Parameters
    ----------
    mode
        compact, auto or passthrough
    """
    _log_to_stderr("error")
    return asyncio.run(_demo(mode))


for command in (conversations, forget, totals, prices, models):
    app.command(command)
app.command(hand_off, name="handoff")


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


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel("WARNING")  # it tells of each call to an embeddings server
