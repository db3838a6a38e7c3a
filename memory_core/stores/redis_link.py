"""How Redis is reached: URLs of all topologies, one deadline a call, a bound on connections, a circuit breaker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from memory_core.stores import StoreError

T = TypeVar("T")
Client = Redis | RedisCluster

CALLS_MAX = 32  # calls at work at once, and so connections; more wait, at most the time-out
IDLE_CHECK_S = 30.0  # a connection that rested for longer is pinged before it is used
FAILURES_MAX = 3
PAUSE_S = 2.0


class RedisLink:
    """Runs calls against Redis; each ends or raises StoreError within `timeout_s`.

    After FAILURES_MAX failures in a row all calls fail at once for PAUSE_S, so that a dead Redis costs a
    request nothing; then one call is let through to see. Nothing is retried: the caller knows what it may repeat.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        *,
        place: str,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self._clients = clients  # the first one answers; the others are its sentinels
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._breaker = Breaker(clock)
        self._closed = False

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work`, one call of the store's protocol however many round trips it makes."""
        if self._closed:
            raise StoreError(f"{self.place}: the store is closed")
        if not self._breaker.admits():
            raise StoreError(f"{self.place} failed {FAILURES_MAX} times in a row; asked again in {PAUSE_S:g} s")
        alive: bool | None = None
        cancellations = _cancellations()
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                result = await work()
            alive = True
            if _cancellations() > cancellations:  # Python 3.11's wait_for, which redis-py uses, can swallow one
                raise asyncio.CancelledError
        except StoreError:
            alive = True
            raise
        except (RedisError, RedisClusterException, OSError, UnicodeError) as error:
            alive = _is_answer(error)
            raise StoreError(self._sentence(error)) from error
        finally:
            self._breaker.settle(alive)
        return result

    async def ask(self, *command: Any) -> Any:
        return await self._clients[0].execute_command(*command)

    async def pipe(self, *commands: tuple[Any, ...]) -> Any:
        """Several commands, one round trip (one a node in a cluster, hence no MULTI)."""
        pipe = self._clients[0].pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute()

    async def aclose(self) -> None:
        """Let the calls at work end, then close. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(TimeoutError):  # a call that takes longer ends by its own time-out
            async with asyncio.timeout(self._timeout_s):
                for _ in range(CALLS_MAX):  # all slots in hand: what was accepted has ended
                    await self._slots.acquire()
        for client in self._clients:
            await client.aclose()

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, UnicodeError):
            return f"{self.place}: a conversation id or name is not valid Unicode"
        if isinstance(error, OutOfMemoryError):
            return f"{self.place} is out of memory (OOM): raise its maxmemory or delete conversations"
        if isinstance(error, ReadOnlyError):
            return f"{self.place} is a read-only replica: name the master, or use redis+sentinel://"
        if isinstance(error, TimeoutError | RedisTimeoutError):
            return f"{self.place} did not answer within {self._timeout_s:g} s"
        return f"{self.place}: {type(error).__name__}: {str(error)[:200]}"


class Breaker:
    """Closed until FAILURES_MAX calls in a row failed; then open for PAUSE_S; then one probe decides."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._retry_at_s = 0.0
        self._probing = False

    def admits(self) -> bool:
        """May a call go out? Each True must be followed by one `settle`."""
        if self._failures < FAILURES_MAX:
            return True
        if self._probing or self._clock() < self._retry_at_s:
            return False
        self._probing = True
        return True

    def settle(self, alive: bool | None) -> None:
        """How an admitted call ended; None if it was cancelled, which tells nothing."""
        self._probing = False
        if alive:
            self._failures = 0
        elif alive is not None:
            self._failures += 1
            self._retry_at_s = self._clock() + PAUSE_S


def place(url: str) -> str:
    """The URL as it may stand in a message: without user, password and options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def connect(url: str, timeout_s: float) -> list[Client]:
    """Clients for `url`, the one to ask first; nothing is sent yet. Raises StoreError if it cannot be read."""
    try:
        return _clients(url, timeout_s)
    except (ValueError, TypeError, RedisError, RedisClusterException) as error:
        # not chained: its text may quote a part of the password
        raise StoreError(f"{place(url)}: not a URL that can be read ({type(error).__name__})") from None


def _clients(url: str, timeout_s: float) -> list[Client]:
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": IDLE_CHECK_S,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": CALLS_MAX,
        "protocol": 2,  # one shape of replies on every server
    }
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss"):
        return [Redis.from_pool(ConnectionPool.from_url(url, **options))]
    if parts.scheme not in ("redis+sentinel", "redis+cluster"):
        raise ValueError(parts.scheme)
    if parse_qs(parts.query).get("ssl") == ["true"]:
        options["ssl"] = True
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    login: dict[str, Any] = {"username": unquote(username) or None, "password": unquote(password) or None}
    addresses = [urlsplit(f"//{host}") for host in hosts.split(",")]
    if parts.scheme == "redis+cluster":
        nodes = [ClusterNode(a.hostname or "localhost", a.port or 6379) for a in addresses]
        return [RedisCluster(startup_nodes=nodes, **options, **login)]
    return _through_sentinels(addresses, parts.path, timeout_s=timeout_s, login=login, options=options)


def _through_sentinels(
    addresses: Sequence[SplitResult], path: str, *, timeout_s: float, login: dict[str, Any], options: dict[str, Any]
) -> list[Client]:
    service, _, db = path.strip("/").partition("/")
    if not service:
        raise ValueError(path)
    # a share of the time-out each, so that one hung sentinel leaves time to ask the next
    share_s = timeout_s / (len(addresses) + 1)
    asking = options | {"socket_timeout": share_s, "socket_connect_timeout": share_s}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [(a.hostname or "localhost", a.port or 26379) for a in addresses], sentinel_kwargs=asking, **options, **login
    )
    return [sentinel.master_for(service, db=int(db) if db else 0), *sentinel.sentinels]


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _is_answer(error: Exception) -> bool:
    """Whether Redis is alive and said no; such errors do not open the breaker."""
    if isinstance(error, ClusterDownError):
        return False
    return isinstance(error, ResponseError | UnicodeError)
