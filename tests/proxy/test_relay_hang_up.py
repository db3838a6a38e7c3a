"""The request's body, capped; and a client that hangs up, whatever we wait for."""

import asyncio

import pytest

from proxy.errors import BadRequestError, BodyTooLargeError
from proxy.relay import ClientGoneError, read_body, until_gone

# --- the request's body


def receiving(*events):
    waiting = iter(events)

    async def receive():
        return next(waiting)

    return receive


def part(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_the_body_is_read_whole_up_to_its_cap():
    assert (
        await read_body(receiving(part(b"ab"), {"type": "http.request", "more_body": True}, part(b"c", more=False)), 3)
        == b"abc"
    )
    assert await read_body(receiving({"type": "http.request"}), 0) == b""


async def test_a_body_over_the_cap_is_refused_without_reading_the_rest():
    with pytest.raises(BodyTooLargeError, match="2 MiB"):
        await read_body(receiving(part(b"x" * 2**20), part(b"x" * 2**20), part(b"x")), 2 * 2**20)


async def test_a_client_that_hangs_up_in_its_body():
    with pytest.raises(ClientGoneError):
        await read_body(receiving(part(b"ab"), {"type": "http.disconnect"}), 10)


# --- hanging up


class Line:
    """A client's line: `receive` waits until it is hung up."""

    def __init__(self):
        self.down = asyncio.Event()
        self.readers = 0

    async def receive(self):
        self.readers += 1
        try:
            await self.down.wait()
        finally:
            self.readers -= 1
        return {"type": "http.disconnect"}


async def test_work_that_ends_ends_the_watcher_too():
    line = Line()
    done = []

    async def work():
        await asyncio.sleep(0)
        done.append(True)

    await until_gone(line.receive, work())
    await asyncio.sleep(0)  # the watcher's own last step
    assert done == [True]
    assert line.readers == 0


async def test_a_hang_up_cancels_the_work_whatever_it_waits_for():
    line = Line()
    started, tidied = asyncio.Event(), []

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)

    running = asyncio.create_task(until_gone(line.receive, work()))
    await started.wait()
    line.down.set()
    await asyncio.wait_for(running, 5)
    assert tidied == [True]


async def test_the_work_s_error_is_raised_here():
    async def work():
        raise BadRequestError("No.")

    line = Line()
    with pytest.raises(BadRequestError):
        await until_gone(line.receive, work())
    assert line.readers == 0


async def test_messages_before_the_hang_up_are_not_one():
    line = Line()
    events = iter([part(b""), part(b"", more=False)])

    async def receive():
        event = next(events, None)
        return event if event is not None else await line.receive()

    async def work():
        for _ in range(5):
            await asyncio.sleep(0)

    await until_gone(receive, work())


async def test_a_server_that_stops_cancels_both():
    line = Line()
    started, tidied = asyncio.Event(), []

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)

    running = asyncio.create_task(until_gone(line.receive, work()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tidied == [True]
    assert line.readers == 0
