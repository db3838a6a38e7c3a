"""A thread that does one thing after another for whoever asks it from an event loop.

Not a ThreadPoolExecutor behind `run_in_executor`: two futures a job, locks and callbacks of which take as long again as
the two switches of threads (30 µs instead of 55 for a hop there and back).
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar
from weakref import finalize

_T = TypeVar("_T")


class _Job(NamedTuple):
    told: "asyncio.Future[Any]"
    work: Callable[[Any], Any]
    argument: object


class Worker:
    """One thread. It ends with `aclose`, or when nobody holds the worker any more; `begin` is what it does first."""

    def __init__(self, name: str, begin: Callable[[], None] | None = None) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=_work_off, args=(self._jobs, begin), name=name, daemon=True)
        self._end = finalize(self, self._jobs.put, None)
        self._thread.start()

    def ask(self, work: Callable[[Any], _T], argument: object) -> "asyncio.Future[_T]":
        """`work(argument)` in the thread, after all that was asked before. One that is cancelled by then is not done.

        Nothing is done that is asked after `aclose`.
        """
        told: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(told, work, argument))
        return told

    async def aclose(self) -> None:
        """End the thread, once what was asked is done."""
        self._end()
        await asyncio.to_thread(self._thread.join)


def _work_off(jobs: "SimpleQueue[_Job | None]", begin: Callable[[], None] | None) -> None:
    """In the thread."""
    if begin is not None:
        begin()
    while (job := jobs.get()) is not None:
        if not job.told.cancelled():
            _do(job)
        del job  # nothing of it is held while the next one is waited for


def _do(job: _Job) -> None:
    result, error = None, None
    try:
        result = job.work(job.argument)
    except BaseException as raised:  # whatever it is, it is the asker's
        error = raised
    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
        job.told.get_loop().call_soon_threadsafe(_tell, job.told, result, error)


def _tell(told: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if told.done():  # its asker is gone
        return
    if error is None:
        told.set_result(result)
    else:
        told.set_exception(error)
