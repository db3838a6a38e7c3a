"""A thread that is asked from an event loop."""

import asyncio
import gc
import threading

import pytest

from embedders.worker import Worker


async def test_what_is_asked_is_done_one_after_the_other_in_one_thread_that_is_not_the_loops() -> None:
    worker, done = Worker("worker"), list[tuple[int, int]]()

    def note(number: int) -> int:
        done.append((number, threading.get_ident()))
        return number * number

    assert await asyncio.gather(*[worker.ask(note, number) for number in range(5)]) == [0, 1, 4, 9, 16]
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    threads = {thread for _, thread in done}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    await worker.aclose()


async def test_what_is_raised_is_raised_where_it_was_asked_and_the_next_is_done() -> None:
    worker = Worker("worker")

    def fail(why: str) -> None:
        raise ValueError(why)

    with pytest.raises(ValueError, match="broken"):
        await worker.ask(fail, "broken")
    assert await worker.ask(str, 1) == "1"
    await worker.aclose()


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    worker, go, done = Worker("worker"), threading.Event(), list[str]()
    first = worker.ask(go.wait, 60)
    second, third = worker.ask(done.append, "second"), worker.ask(done.append, "third")
    second.cancel()
    go.set()
    assert await first
    await third
    assert done == ["third"]
    await worker.aclose()


async def test_what_was_begun_is_finished_before_the_end_though_its_asker_has_gone() -> None:
    worker, begun, done = Worker("worker"), threading.Event(), list[str]()

    def slowly(name: str) -> None:
        begun.set()
        threading.Event().wait(0.05)
        done.append(name)

    asked = worker.ask(slowly, "first")
    await asyncio.to_thread(begun.wait, 5)
    asked.cancel()
    await worker.aclose()
    assert done == ["first"]
    assert not [thread for thread in threading.enumerate() if thread.name == "worker"]


async def test_it_begins_as_it_is_told_and_ends_when_nobody_holds_it() -> None:
    begun = threading.Event()
    worker = Worker("forgotten", begun.set)
    assert await asyncio.to_thread(begun.wait, 5)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "forgotten"]
    del worker
    gc.collect()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


def test_a_loop_that_is_gone_is_told_nothing_and_the_thread_goes_on() -> None:
    go = threading.Event()

    async def leave() -> Worker:
        worker = Worker("worker")
        worker.ask(go.wait, 60)
        return worker

    async def come() -> str:
        return await worker.ask(str, 2)

    worker = asyncio.run(leave())
    go.set()
    assert asyncio.run(come()) == "2"
    asyncio.run(worker.aclose())
