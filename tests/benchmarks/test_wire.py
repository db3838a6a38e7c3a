"""The wire's benchmark: mock, client and proxy as processes, on few requests."""

import pytest

from benchmarks import wire
from benchmarks.wire_client import Connection, post
from benchmarks.wire_latency import CASES, Case, Round, chat, end, exceeded, one_round, quietest
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
        for case in CASES:
            measured = await one_round(case, (upstream, least, proxy), 4, 0)
            assert -5 < measured.bare < 1_000
            assert -5 < measured.added < 20_000
        assert measured.stages["recall"] > 0
        assert 0 < measured.stages["embed"] < 1_000
        assert 0 < measured.model < 1_000
        assert await wire.throughput(proxy.port, [chat(1)] * 4, 0.2) > 10
        first, gap = await wire.side_by_side(proxy.port, 3)
        assert 0 < first < 5
        assert 0.005 < gap < 1
        assert proxy.cpu_s > 0
        assert 0 < max(proxy.threads_s.values()) < proxy.cpu_s + 1


def measured(bare, added, embed=0.0):
    return Round(0.1, bare, added, added, embed, {"embed": embed})


def test_quiet_is_where_the_bare_proxy_was_fast_whatever_ours_was():
    rounds = [measured(0.5, 0.1), measured(0.3, 2.0), measured(0.2, 0.9), measured(0.9, 0.1), measured(0.4, 1.1)]
    assert quietest(rounds) == [rounds[2], rounds[1], rounds[4]]


def test_a_bar_can_be_missed():
    plain = Case("plain", chat(1), end, 1.0)
    assert exceeded(plain, [measured(0.3, 0.9)] * 3) == ""
    assert "plain: 1.10 ms added, 1.0 allowed" in exceeded(plain, [measured(0.3, 1.1)] * 3)
    asking = Case("asking", chat(1), end, 3.0, embeds=True)
    assert exceeded(asking, [measured(0.3, 6.9, 4.0)] * 3) == ""
    assert "3.10 ms added beside the embedder's own time" in exceeded(asking, [measured(0.3, 7.1, 4.0)] * 3)
    assert exceeded(Case("told only", chat(1), end), [measured(0.3, 99.0)] * 3) == ""
