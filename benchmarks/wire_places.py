"""The processes of the wire's benchmark: the mock, the proxies before it, what they use of the machine."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

PROXY_CORE, OTHER_CORE = 0, 1
"""The proxy has a core to itself; the mock and the client share the other."""

START_TIMEOUT_S = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


def pin(cores: Sequence[int]) -> None:
    """Keep this process to some cores, where the machine has them and lets us.

    Tried and not looked up first: who is started by a process that is pinned may only use that one's core by then.
    """
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, cores)


class Place:
    """A process with a port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def cpu_s(self) -> float:
        """Processor seconds that it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def threads_s(self) -> dict[str, float]:
        """Processor seconds of each of its threads but the first, by their numbers."""
        folders = Path(f"/proc/{self._process.pid}/task").iterdir()
        spent = {}
        for folder in folders:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                spent[folder.name] = int((folder / "schedstat").read_text().split()[0]) / 1e9
        spent.pop(str(self._process.pid), None)
        return spent

    @property
    def rss_mb(self) -> float:
        """Memory that it holds, in MB."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6


@asynccontextmanager
async def mock() -> AsyncIterator[Place]:
    """The upstream."""
    process = await _started([sys.executable, "-m", "benchmarks.wire_mock"], {}, (OTHER_CORE,), asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Place(process, int(await process.stdout.readline()))
    finally:
        await _ended(process)


@asynccontextmanager
async def isocost(upstream: int, cores: Sequence[int] = (PROXY_CORE,), **settings: object) -> AsyncIterator[Place]:
    """`isocost serve` in front of it, on an SQLite file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {
            "ISOCOST_UPSTREAM": f"http://127.0.0.1:{upstream}",
            "ISOCOST_STORE": f"sqlite:///{folder}/bench.sqlite",
            "ISOCOST_PORT": str(port),
            "ISOCOST_LOG_LEVEL": "error",
            **{f"ISOCOST_{name.upper()}": str(value) for name, value in settings.items()},
        }
        command = [str(Path(sys.executable).with_name("isocost")), "serve"]
        async with running(command, environment, cores, port, "/healthz") as place:
            yield place


@asynccontextmanager
async def bare(upstream: int) -> AsyncIterator[Place]:
    """The least that a proxy does, on the same core."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.wire_bare", str(port), f"http://127.0.0.1:{upstream}"]
    async with running(command, {}, (PROXY_CORE,), port, "/healthz") as place:
        yield place


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str], cores: Sequence[int], port: int, health: str
) -> AsyncIterator[Place]:
    """A server, from when it answers at `health`."""
    process = await _started(command, environment, cores, asyncio.subprocess.DEVNULL)
    try:
        await _healthy(process, f"http://127.0.0.1:{port}{health}")
        yield Place(process, port)
    finally:
        await _ended(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _started(
    command: Sequence[str], environment: Mapping[str, str], cores: Sequence[int], output: int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=output, preexec_fn=lambda: pin(cores)
    )


async def _healthy(process: asyncio.subprocess.Process, url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(START_TIMEOUT_S):
        while process.returncode is None:
            try:
                if (await client.get(url)).status_code < 500:  # a stranger may be refused, but is heard
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
    raise RuntimeError(f"{url}: the server ended before it answered")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 20)
    except TimeoutError:
        process.kill()
        await process.wait()
