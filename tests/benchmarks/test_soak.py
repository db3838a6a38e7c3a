"""The soak on few requests: that it runs to its end, and that each of its bars can be missed."""

import os
from collections.abc import Iterator
from typing import Any, cast

import pytest

from benchmarks import soak
from benchmarks.wire_places import Place, isocost, mock


@pytest.fixture(autouse=True)
def cores() -> Iterator[None]:
    """The soak keeps its own process to one core; what is tested after it in this process may have all of them."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if before is not None:
        os.sched_setaffinity(0, before)


@pytest.mark.slow
async def test_a_small_soak_runs_to_its_end():
    done = await soak.measure(requests=64, aborted=16, settle_s=0.1)
    assert [when for when, _, _ in done.read] == [
        "at the start",
        "after the warm-up",
        "after the requests",
        "after the aborted streams",
    ]
    assert all(mb > 50 for _, mb, _ in done.read)
    assert done.wrong == 0


@pytest.mark.slow
async def test_what_is_not_answered_with_200_is_counted():
    async with mock() as upstream, isocost(upstream.port, (0, 1)) as proxy:
        asked = soak.Soak(proxy)
        good = next(soak.conversation("the one", soak.SHORT))
        await asked.ask([good, good.replace(b"auto", b"none"), good])
        assert asked.wrong == 1
        await asked.ask([next(soak.conversation("the other", soak.HURRIED))] * 2, soak.Leaver)
        assert asked.wrong == 1


@pytest.mark.parametrize(
    ("start_mb", "end_mb", "waiting", "wrong", "holds"),
    [
        (260.0, 309.9, 0, 0, True),
        (260.1, 309.9, 0, 0, False),
        (50.0, 310.0, 0, 0, False),
        (50.0, 300.0, 1, 0, False),
        (50.0, 300.0, 0, 1, False),
    ],
)
def test_each_bar_can_be_missed(start_mb: float, end_mb: float, waiting: int, wrong: int, holds: bool):
    done = soak.Soak(Place(cast(Any, None), 0))
    done.read = [("at the start", start_mb, 0), ("after the warm-up", 300.0, 0), ("at the end", end_mb, waiting)]
    done.wrong = wrong
    assert done.holds is holds


def test_the_same_requests_are_made_in_every_run():
    first, again = ([request for request, _ in zip(soak.client(3), range(80), strict=False)] for _ in range(2))
    assert first == again


@pytest.mark.soak
async def test_twenty_thousand_requests_and_five_thousand_hang_ups_leave_nothing_behind():
    assert (await soak.measure(requests=20_000, aborted=5_000)).holds
