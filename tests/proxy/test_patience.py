"""Waiting for a task of someone else's."""

import asyncio

import pytest

from proxy.patience import ended


async def test_a_task_is_waited_for_and_no_longer_than_that():
    task = asyncio.create_task(asyncio.sleep(0.01, "done"))
    async with asyncio.timeout(5):
        await ended(task, within_s=60)
    assert task.result() == "done"


@pytest.mark.parametrize("within_s", [0.0, 0.01])
async def test_a_task_that_is_late_goes_on(within_s: float):
    go = asyncio.Event()
    task = asyncio.create_task(go.wait())
    await ended(task, within_s=within_s)
    assert not task.done()
    go.set()
    assert await task


async def test_a_task_goes_on_whoever_stops_to_wait_for_it():
    go = asyncio.Event()
    task = asyncio.create_task(go.wait())
    waiting = asyncio.create_task(ended(task, within_s=60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    assert await task


async def test_how_a_task_ended_is_left_to_whoever_asks_it():
    async def fail() -> None:
        raise ValueError("its own")

    task = asyncio.create_task(fail())
    await ended(task, within_s=60)
    assert isinstance(task.exception(), ValueError)
    cancelled = asyncio.create_task(asyncio.sleep(60))
    cancelled.cancel()
    await ended(cancelled, within_s=60)
    assert cancelled.cancelled()
