"""The wire's benchmark: mock, client and proxy as processes, on few requests."""

import pytest

from benchmarks import wire
from benchmarks.wire_client import Connection, post
from benchmarks.wire_mock import ANSWER, BURST_EVENTS, FIRST_S, PACED_EVENTS
from benchmarks.wire_places import bare, isocost, mock


@pytest.mark.slow
async def test_the_mock_is_what_the_client_takes_it_for():
    async with mock() as upstream:
        connection = await Connection.open(upstream.port)
        heard = await connection.ask(post(b'{"model": "json"}', {}))
        assert (heard.status, len(heard.pieces)) == (200, 1)
        burst = await connection.ask(post(b'{"model": "burst"}', {}))
        assert 0 < burst.first <= burst.end
        begun = await connection.ask(post(b'{"model": "first"}', {}))
        assert begun.first < FIRST_S <= begun.end
        paced = await connection.ask(post(b'{"model": "paced"}', {}))
        assert PACED_EVENTS // 2 < len(paced.pieces) <= PACED_EVENTS + 1
        assert paced.end > 0.9
        assert upstream.rss_mb > 5
        connection.close()
    assert b"chat.completion" in ANSWER
    assert BURST_EVENTS > 50


@pytest.mark.slow
async def test_each_case_is_answered_directly_and_through_the_proxy():
    async with mock() as upstream, bare(upstream.port) as least, isocost(upstream.port, (0, 1)) as proxy:
        assert len((await wire.one_by_one(wire.CASES[0], upstream.port, least.port, 3))[1]) == 3
        for case in wire.CASES:
            direct, proxied = await wire.one_by_one(case, upstream.port, proxy.port, 3)
            assert len(direct) == len(proxied) == 3
            assert all(0 < seconds < 20 for seconds in direct + proxied)
        stages = await wire.stages(proxy.port)
        assert stages["recall"][1] >= 3
        assert await wire.throughput(proxy.port, [wire.chat(1)] * 4, 0.2) > 10
        first, gap = await wire.side_by_side(proxy.port, 3)
        assert 0 < first < 5
        assert 0.005 < gap < 1
        assert proxy.cpu_s > 0
        assert 0 < max(proxy.threads_s.values()) < proxy.cpu_s + 1
